import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { RetentionEdge } from '../../../../catalog/chain/retention/edge.ts';
import { Periods } from '../../../../catalog/chain/retention/periods.ts';
import {
  digestOf,
  type PlannedRow,
  planRetention,
  type RetentionQuestion,
  totalsOf,
} from '../../../../catalog/chain/retention/plan.ts';
import { chainRenewal } from '../../../../catalog/chain/retention/renewal.ts';
import { backupId, guid, PLAIN, RAW } from '../graphs.ts';
import { backup, chain, DAY, type Draft, HOUR, policy, question, START } from './histories.ts';

function plan(more: Partial<RetentionQuestion>): PlannedRow[] {
  return planRetention(question(more));
}
/** `s3 kept`, the newest first. */
const fates = (rows: readonly PlannedRow[]) => rows.map(({ name, fate }) => `${name} ${fate}`);
const kept = (rows: readonly PlannedRow[]) =>
  rows.filter(({ because }) => because.length > 0).map(({ name }) => name);
/** Full backups only: nothing hangs on anything. */
const fulls = (count: number, every: number) =>
  Array.from({ length: count }, (_, at) => backup({ number: at, from: null, to: at + 1, at: at * every }));

describe('rules', () => {
  test('keep everything where there is no policy, or none that lets anything go', () => {
    const edges = chain(3, DAY);
    assert.deepEqual(fates(plan({ edges })), ['s3 kept', 's2 kept', 's1 kept']);
    assert.deepEqual(plan({ edges })[1]?.because, [{ reason: 'no-policy', policy: null }]);
    const other = policy({ last: 1 }, { datasets: ['other/**'] });
    assert.deepEqual(kept(plan({ edges, policies: [other] })).length, 3);
    assert.deepEqual(plan({ edges, policies: [policy({})] })[1]?.because, [
      { reason: 'no-policy', policy: 'usual' },
    ]);
  });

  test('keep the newest of each of the last periods that have one', () => {
    // Every six hours for forty days, but none on the second to last day.
    const edges = fulls(160, 6 * HOUR).filter((_, at) => Math.floor(at / 4) !== 38);
    const names = (keep: object) => kept(plan({ edges, policies: [policy(keep)] }));
    assert.deepEqual(names({ last: 2 }), ['s160', 's159']);
    assert.deepEqual(names({ hourly: 3 }), ['s160', 's159', 's158']);
    assert.deepEqual(names({ daily: 3 }), ['s160', 's152', 's148']);
    // START is a Monday: weeks end with s28, s56, ...
    assert.deepEqual(names({ weekly: 3 }), ['s160', 's140', 's112']);
    assert.deepEqual(names({ monthly: 9 }), ['s160', 's108']);
    assert.deepEqual(names({ yearly: 9 }), ['s160']);
    assert.deepEqual(names({ daily: 0 }), ['s160'], 'the newest stays in any case');
    assert.deepEqual(names({ last: 1, daily: 2, weekly: 2 }), ['s160', 's152', 's140']);
  });

  test('keep what is no older than a duration', () => {
    const edges = fulls(10, DAY);
    const now = START + 9 * DAY;
    assert.deepEqual(kept(plan({ edges, policies: [policy({ within: '2d' })], now })), ['s10', 's9', 's8']);
    assert.deepEqual(kept(plan({ edges, policies: [policy({ within: '2d' })], now: now + 1 })), [
      's10',
      's9',
    ]);
  });

  test('keep all of a policy that was not checked and names a duration that nobody understands', () => {
    const edges = fulls(3, DAY);
    assert.deepEqual(kept(plan({ edges, policies: [policy({ within: '30' })] })).length, 3);
  });

  test('are those of every policy that is for a dataset, by name, host or lineage', () => {
    const edges = fulls(9, DAY);
    const [first] = edges;
    const policies = [
      policy({ last: 2 }, { name: 'a', datasets: ['tank/*'] }),
      policy({ weekly: 9 }, { name: 'b', datasets: [], hosts: ['al*'] }),
      policy({ last: 3 }, { name: 'c', datasets: [], lineages: first ? [first.lineage] : [] }),
      policy({ last: 9 }, { name: 'd', datasets: ['**'], hosts: ['beta'] }),
    ];
    const rows = plan({ edges, policies });
    assert.deepEqual(kept(rows), ['s9', 's8', 's7']);
    assert.deepEqual(
      rows[0]?.because.map(({ reason, policy: name }) => `${reason} ${name}`),
      ['newest null', 'last a', 'weekly b', 'last c'],
    );
  });

  test('count what was backed up in time, and what was not, each for itself: what is made to seem old lets nothing go', () => {
    const edges = fulls(5, DAY);
    const later = 100 * DAY;
    const made = [0, 1, 2, 3, 4].map((at) =>
      backup({ number: 50 + at, from: null, to: 50 + at, at: at * DAY + 23 * HOUR, later }),
    );
    const ahead = backup({ number: 70, from: null, to: 70, at: 900 * DAY, later: -895 * DAY });
    const policies = [policy({ daily: 3 })];
    const before = kept(plan({ edges, policies }));
    const after = kept(plan({ edges: [...edges, ...made, ahead], policies }));
    assert.deepEqual(
      before.filter((name) => !after.includes(name)),
      [],
    );
  });
});

describe('periods', () => {
  const berlin = new Periods('Europe/Berlin');
  const at = (text: string) => Date.parse(text);

  test('are those of the zone, also on the days on which its clocks are changed', () => {
    const day = (text: string) => berlin.numberOf('daily', at(text));
    // 25 October 2026 has 25 hours, from 22:00 UTC to 23:00 UTC.
    assert.equal(day('2026-10-24T22:00:00Z'), day('2026-10-25T22:59:59Z'));
    assert.equal(day('2026-10-24T21:59:59Z') + 1, day('2026-10-24T22:00:00Z'));
    assert.equal(day('2026-10-25T23:00:00Z'), day('2026-10-25T22:59:59Z') + 1);
    // 29 March 2026 has 23.
    assert.equal(day('2026-03-28T23:00:00Z'), day('2026-03-29T21:59:59Z'));
    assert.equal(day('2026-03-29T22:00:00Z'), day('2026-03-29T21:59:59Z') + 1);
    // Weeks begin on Monday, months and years where the zone is.
    assert.notEqual(
      berlin.numberOf('weekly', at('2026-10-25T22:59:59Z')),
      berlin.numberOf('weekly', at('2026-10-25T23:00:00Z')),
    );
    assert.notEqual(
      berlin.numberOf('yearly', at('2025-12-31T22:59:59Z')),
      berlin.numberOf('yearly', at('2025-12-31T23:00:00Z')),
    );
  });

  test('count the hour that the clocks show twice as two', () => {
    const hour = (text: string) => berlin.numberOf('hourly', at(text));
    assert.equal(hour('2026-10-25T01:30:00Z'), hour('2026-10-25T00:30:00Z') + 1);
    assert.equal(
      new Periods('Asia/Kathmandu').numberOf('hourly', at('2026-01-01T00:14:59Z')) + 1,
      new Periods('Asia/Kathmandu').numberOf('hourly', at('2026-01-01T00:15:00Z')),
    );
  });

  test('are what Intl says of every moment', () => {
    const zones = [
      'UTC',
      'Europe/Berlin',
      'America/St_Johns',
      'Australia/Lord_Howe',
      'Pacific/Apia',
      'Africa/Cairo',
    ];
    const known = new Map(zones.map((zone) => [zone, new Periods(zone)]));
    const shown = (zone: string, moment: number) => {
      const parts = new Intl.DateTimeFormat('en-CA', { timeZone: zone, dateStyle: 'short' }).format(moment);
      return parts;
    };
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.integer({ min: 0, max: 4_000_000_000 }),
        fc.integer({ min: 0, max: 200_000 }),
        (zone, seconds, more) => {
          const periods = known.get(zone) ?? new Periods(zone);
          const [one, other] = [seconds * 1000, (seconds + more) * 1000];
          const same = (period: 'daily' | 'monthly' | 'yearly') =>
            periods.numberOf(period, one) === periods.numberOf(period, other);
          const [a, b] = [shown(zone, one), shown(zone, other)];
          assert.equal(same('daily'), a === b);
          assert.equal(same('monthly'), a.slice(0, 7) === b.slice(0, 7));
          assert.equal(same('yearly'), a.slice(0, 4) === b.slice(0, 4));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('what hangs on what', () => {
  const policies = [policy({ last: 1 })];

  test('stays because kept snapshots need it, with their number and one of them', () => {
    const rows = plan({ edges: chain(4, DAY), policies: [policy({ last: 2 })] });
    assert.deepEqual(fates(rows), ['s4 kept', 's3 kept', 's2 needed', 's1 needed']);
    assert.deepEqual(rows[3]?.needed_by, { count: 2, example: 'tank/fs@s4' });
    assert.deepEqual(totalsOf(rows), {
      kept: { backups: 2, stored: 200 },
      needed: { backups: 2, stored: 200 },
    });
  });

  test('stays although another way to the same snapshot was stored later, whatever that costs', () => {
    const edges = [...chain(4, DAY), backup({ number: 9, from: null, to: 4, at: 3 * DAY, stored: 150 })];
    const rows = plan({ edges, policies });
    assert.deepEqual(fates(rows), ['s4 kept', 's4 kept', 's3 needed', 's2 needed', 's1 needed']);
    assert.deepEqual(rows[4]?.needed_by, { count: 1, example: 'tank/fs@s4' });
  });

  test('stays although another way leads into the middle of its chain, also for what came after that', () => {
    const next = backup({ number: 30, from: 4, to: 5, at: 4 * DAY });
    const into = (to: number) => backup({ number: 20 + to, from: null, to, at: 3 * DAY, stored: 1 });
    const edges = [...chain(4, DAY), into(2), into(3), next];
    const rows = plan({ edges, policies });
    const stays = rows.filter(({ fate }) => fate !== 'mark').map(({ backup: id }) => id);
    assert.deepEqual(stays, [30, 23, 3, 2, 1, 0].map(backupId), 'what a restore takes, and what was first');
    // Once its snapshot is not wanted any more, and nothing hangs on it, it goes as all others do.
    const newer = backup({ number: 40, from: null, to: 9, at: 9 * DAY });
    assert.equal(
      fates(plan({ edges: [...edges, newer], policies })).filter((one) => / mark$/.test(one)).length,
      7,
    );
  });

  test('goes when it was stored later and is the dearer way', () => {
    const edges = [...chain(4, DAY), backup({ number: 9, from: null, to: 4, at: 3 * DAY, stored: 900 })];
    assert.deepEqual(fates(plan({ edges, policies })), [
      's4 mark',
      's4 kept',
      's3 needed',
      's2 needed',
      's1 needed',
    ]);
  });

  test('does not go when the way without it is damaged; what is damaged goes when there is another way', () => {
    const standIn = backup({ number: 9, from: null, to: 4, at: 3 * DAY, stored: 150 });
    const edges = [...chain(4, DAY), standIn];
    const kindly = fates(plan({ edges, policies, damaged: new Set([standIn.backup]) }));
    assert.deepEqual(kindly, ['s4 mark', 's4 kept', 's3 needed', 's2 needed', 's1 needed']);
    assert.deepEqual(fates(plan({ edges, policies, damaged: new Set([backupId(1)]) })).at(-2), 's2 mark');
  });

  test('is kept out of reach until a policy would let it go, with what would mend it', () => {
    const edges = chain(6, DAY);
    const damaged = new Set([backupId(2)]);
    // s1 and s2 are restorable; s3 to s6 hang on what is damaged.
    const rows = plan({ edges, policies: [policy({ daily: 2 })], damaged });
    assert.deepEqual(fates(rows), ['s6 kept', 's5 kept', 's4 kept', 's3 kept', 's2 kept', 's1 kept']);
    assert.equal(rows[0]?.because[0]?.reason, 'unrestorable');
    const mended = backup({ number: 20, from: null, to: 20, at: 10 * DAY });
    const next = backup({ number: 21, from: 20, to: 21, at: 11 * DAY });
    const after = plan({ edges: [...edges, mended, next], policies: [policy({ daily: 2 })], damaged });
    assert.deepEqual(fates(after).slice(0, 3), ['s21 kept', 's20 kept', 's6 mark']);
  });

  test('is removed when its grace is over, and not before what hangs on it', () => {
    const edges = [...chain(3, DAY), backup({ number: 9, from: null, to: 9, at: 5 * DAY })];
    const now = START + 30 * DAY;
    const at = (days: number) => now - days * DAY;
    const marks = [
      { backup: backupId(0), at: at(8) },
      { backup: backupId(1), at: at(8) },
      { backup: backupId(2), at: at(1) },
    ];
    const rows = plan({ edges, policies, marks, now });
    assert.deepEqual(fates(rows), ['s9 kept', 's3 marked', 's2 marked', 's1 marked']);
    assert.equal(rows[3]?.until, new Date(at(1) + 7 * DAY).toISOString(), 'when what it waits for goes');
    const later = plan({ edges, policies, marks, now: now + 6 * DAY });
    assert.deepEqual(fates(later), ['s9 kept', 's3 remove', 's2 remove', 's1 remove']);
    assert.notEqual(digestOf(rows), digestOf(later));
    assert.deepEqual(fates(plan({ edges, policies: [policy({ last: 9 })], marks, now }))[1], 's3 unmark');
    const narrow = plan({ edges, policies, marks, now: now + 6 * DAY, mayGo: ({ name }) => name !== 's3' });
    assert.deepEqual(fates(narrow), ['s9 kept', 's3 marked', 's2 marked', 's1 marked']);
  });

  test('is marked anew when its mark is of a time to come, because a clock was wrong', () => {
    const edges = [...chain(2, DAY), backup({ number: 9, from: null, to: 9, at: 5 * DAY })];
    const now = START + 30 * DAY;
    const marks = [0, 1, 2].map((number) => ({ backup: backupId(number), at: now + 400 * DAY }));
    const rows = plan({ edges, policies, marks, now });
    assert.deepEqual(fates(rows), ['s9 kept', 's2 mark', 's1 mark']);
    assert.equal(rows[1]?.until, null);
    const nine = plan({ edges, policies, marks: [{ backup: backupId(9), at: now + 400 * DAY }], now });
    assert.equal(fates(nine)[0], 's9 unmark');
    // Clocks differ a little.
    const soon = marks.map((mark) => ({ ...mark, at: now + HOUR }));
    assert.deepEqual(fates(plan({ edges, policies, marks: soon, now }))[1], 's2 marked');
  });

  test('stays while it is in use, and the chain of such flags to what is being backed up', () => {
    const raw = chain(2, DAY, { flags: RAW }).map((edge, at) => ({ ...edge, backup: backupId(100 + at) }));
    const edges = [...chain(2, DAY), ...raw, backup({ number: 9, from: null, to: 9, at: 5 * DAY })];
    const inUse = { backups: new Set([backupId(1)]), bases: [] };
    const used = (rows: PlannedRow[]) =>
      rows.filter(({ fate }) => fate === 'in-use').map(({ backup: id }) => id);
    assert.deepEqual(used(plan({ edges, policies, inUse })), [backupId(1), backupId(0)]);
    const bases = [{ guid: guid(2), flags: RAW }];
    assert.deepEqual(used(plan({ edges, policies, inUse: { backups: new Set(), bases } })), [
      backupId(101),
      backupId(100),
    ]);
    const none = [{ guid: guid(77), flags: PLAIN }];
    assert.deepEqual(used(plan({ edges, policies, inUse: { backups: new Set(), bases: none } })), []);
  });

  test('stays for a pin until that ends, and for a legal hold without an end', () => {
    const edges = fulls(3, DAY);
    const now = START + 30 * DAY;
    const pin = { guid: guid(1), until: new Date(now + 1).toISOString(), legal: false };
    assert.deepEqual(fates(plan({ edges, policies, pins: [pin], now })), ['s3 kept', 's2 mark', 's1 kept']);
    assert.deepEqual(fates(plan({ edges, policies, pins: [pin], now: now + 1 })).at(-1), 's1 mark');
    const hold = [{ ...pin, legal: true }];
    assert.deepEqual(
      plan({ edges, policies, pins: hold, now: now + DAY }).at(-1)?.because[0]?.reason,
      'legal',
    );
  });
});

describe('a dataset that goes on under another name or host', () => {
  const before = chain(3, DAY);
  const goesOn = (dataset: string, host: string, number: number, from = 3) =>
    [0, 1].map((at) =>
      backup({
        number: number + at,
        from: at === 0 ? from : number,
        to: number + at,
        at: (3 + at) * DAY + number * HOUR,
        dataset,
        host,
      }),
    );
  const policies = [policy({ last: 2 })];

  test('is counted together with what it was', () => {
    assert.deepEqual(kept(plan({ edges: [...before, ...goesOn('tank/new', 'alpha', 10)], policies })), [
      's11',
      's10',
    ]);
    assert.deepEqual(kept(plan({ edges: [...before, ...goesOn('tank/fs', 'beta', 10)], policies })), [
      's11',
      's10',
    ]);
  });

  test('is not, when the old one goes on as well, or there was one of the new name before', () => {
    const still = backup({ number: 5, from: 3, to: 5, at: 4 * DAY });
    const both = plan({ edges: [...before, still, ...goesOn('tank/new', 'alpha', 10)], policies });
    assert.deepEqual(kept(both).sort(), ['s10', 's11', 's3', 's5']);
    const older = backup({ number: 50, from: null, to: 50, at: HOUR, dataset: 'tank/new' });
    const edges = [...before, older, ...goesOn('tank/new', 'alpha', 10)];
    const pins = [{ guid: guid(50), until: null, legal: false }];
    assert.deepEqual(kept(plan({ edges, policies, pins })).sort(), ['s10', 's11', 's2', 's3', 's50']);
    assert.deepEqual(kept(plan({ edges, policies })).sort(), ['s10', 's11'], 'once that is gone, it is');
  });

  test('is not, when two go on: each is a dataset of its own', () => {
    const two = [...goesOn('tank/new', 'beta', 10), ...goesOn('tank/new', 'gamma', 20)];
    const rows = plan({ edges: [...before, ...two], policies });
    assert.deepEqual(kept(rows).sort(), ['s10', 's11', 's2', 's20', 's21', 's3']);
  });

  describe('where nothing links the two, but its own GUIDs tell', () => {
    const source = 'p/d/alpha';
    /** A full backup and two increments. */
    const stay = (dataset: string, number: number, more: Partial<Draft> = {}) =>
      [0, 1, 2].map((at) =>
        backup({
          number: number + at,
          from: at === 0 ? null : number + at - 1,
          to: number + at,
          at: (number + at) * DAY,
          dataset,
          source,
          ...more,
        }),
      );
    const keptOf = (...edges: RetentionEdge[][]) => kept(plan({ edges: edges.flat(), policies })).sort();

    test('is counted together with all that it was', () => {
      assert.deepEqual(keptOf(stay('tank/fs', 10), stay('tank/new', 20)), ['s21', 's22']);
      const three = keptOf(stay('tank/fs', 10), stay('tank/new', 20), stay('tank/last', 30));
      assert.deepEqual(three, ['s31', 's32']);
    });

    test('is, when it has its first name again', () => {
      assert.deepEqual(keptOf(stay('tank/fs', 10), stay('tank/new', 20), stay('tank/fs', 30)), [
        's31',
        's32',
      ]);
    });

    test('is, when what linked the two is gone, and of the old name only what is pinned is left', () => {
      const pins = [{ guid: guid(10), until: null, legal: false }];
      const left = stay('tank/fs', 10).slice(0, 1);
      const rows = plan({ edges: [...left, ...stay('tank/new', 20)], policies, pins });
      assert.deepEqual(kept(rows).sort(), ['s10', 's21', 's22']);
      assert.deepEqual(rows.find(({ name }) => name === 's10')?.because, [
        { reason: 'pinned', policy: null },
      ]);
    });

    test('is not, when it is another dataset, or one of the two does not tell', () => {
      for (const other of ['p/e/alpha', 'p/d/beta', null]) {
        const apart = keptOf(stay('tank/fs', 10), stay('tank/new', 20, { source: other }));
        assert.deepEqual(apart, ['s11', 's12', 's21', 's22'], `${other}`);
      }
    });

    test('is not, when another dataset has the old name now', () => {
      const since = stay('tank/fs', 15, { source: 'p/e/alpha' });
      assert.deepEqual(keptOf(stay('tank/fs', 10), since, stay('tank/new', 20)), [
        's16',
        's17',
        's21',
        's22',
      ]);
    });

    test('is not, as long as there is something of another one that had the new name before', () => {
      const before = stay('tank/new', 5, { source: 'p/e/alpha' });
      const edges = [...before, ...stay('tank/fs', 10), ...stay('tank/new', 20)];
      const pins = [{ guid: guid(6), until: null, legal: false }];
      assert.deepEqual(kept(plan({ edges, policies, pins })).sort(), ['s11', 's12', 's21', 's22', 's6']);
      assert.deepEqual(kept(plan({ edges, policies })).sort(), ['s21', 's22'], 'once that is gone, it is');
    });

    test('is counted with its new name, not with that of a pool that was restored from it', () => {
      const restored = stay('new/fs', 40, { source: 'q/d/alpha' }).map((edge) =>
        edge.from === null ? { ...edge, from: guid(12) } : edge,
      );
      const both = keptOf(stay('tank/fs', 10), stay('tank/new', 20), restored);
      assert.deepEqual(both, ['s21', 's22', 's41', 's42']);
    });
  });
});

describe('a chain', () => {
  const facts = { steps: 10, full: 100, increments: 150 };
  const hour = 3600;

  test('ends when it is too long or too dear', () => {
    assert.equal(chainRenewal({ steps: 10 }, facts, null), 'it has 10 backups, and 10 are the most');
    assert.equal(chainRenewal({ steps: 11 }, facts, null), null);
    assert.match(chainRenewal({ ratio: 1.4 }, facts, null) ?? '', /1\.5 times .* 1\.4 times is the most/);
    assert.equal(chainRenewal({ ratio: 1.5 }, facts, null), null);
    assert.match(chainRenewal({ restore: '59m' }, facts, hour) ?? '', /60 minutes, and 59m is the most/);
    assert.equal(chainRenewal({ restore: '1h' }, facts, hour), null);
    assert.equal(chainRenewal({ restore: '1m' }, facts, null), null, 'no restore was measured');
  });

  test('of one full backup does not end for its cost: the next full one would cost the same', () => {
    const full = { steps: 1, full: 100, increments: 0 };
    assert.equal(chainRenewal({ ratio: 0.01, restore: '1m' }, full, hour), null);
    assert.match(chainRenewal({ steps: 1 }, full, hour) ?? '', /1 are the most/);
  });
});
