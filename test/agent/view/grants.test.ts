import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byGrant, ReadGrants } from '../../../agent/view/read-grants.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { Patience } from '../../../catalog/patience.ts';
import type { Grant } from '../../../catalog/repository/store/store.ts';
import { ManualClock } from '../../server/fixture/manual-clock.ts';

const grant = (segment: number, expires: number): Grant => ({
  method: 'GET',
  url: `http://x/${segment}`,
  headers: {},
  expires,
});

describe('grants to read', () => {
  const clock = { time: 0, now: () => clock.time, sleep: async () => undefined, random: () => 0 };

  it('are asked for once for many segments, however many want them at once', async () => {
    const asked: number[][] = [];
    const grants = new ReadGrants(
      70,
      async (some) => {
        asked.push(some);
        return some.map((segment) => grant(segment, 1e9));
      },
      clock,
    );
    const got = await Promise.all(
      [0, 1, 63, 64, 69].map(async (segment) => (await grants.grantFor(segment)).url),
    );
    assert.deepEqual(
      got,
      [0, 1, 63, 64, 69].map((segment) => `http://x/${segment}`),
    );
    assert.deepEqual(
      asked.map((some) => [some[0], some.length]),
      [
        [0, 64],
        [64, 6],
      ],
    );
  });

  it('are asked for anew when they end, but not for ever', async () => {
    let asked = 0;
    const ask = async () => {
      asked += 1;
      return [grant(0, asked === 1 ? 10_000 : 0)];
    };
    const grants = new ReadGrants(1, ask, clock);
    await grants.grantFor(0);
    clock.time = 9_000;
    await grants.grantFor(0);
    assert.equal(asked, 2);
  });

  it('that could not be had are asked for again', async () => {
    let asked = 0;
    const grants = new ReadGrants(
      1,
      async () => {
        asked += 1;
        if (asked === 1) throw new Error('away');
        return [grant(0, 1e9)];
      },
      clock,
    );
    await assert.rejects(grants.grantFor(0), /away/);
    assert.equal((await grants.grantFor(0)).url, 'http://x/0');
  });
});

describe('a transfer by a grant to read', () => {
  const stale = () => new ZkeepError('unavailable', 'grant.expired', 'too late');
  const house = (limit = 60_000) => {
    const clock = new ManualClock();
    let asked = 0;
    const grants = new ReadGrants(2, async (some) => {
      asked += 1;
      return some.map((segment) => grant(segment + 10 * asked, Number.MAX_SAFE_INTEGER));
    });
    const waits: string[] = [];
    const patience = new Patience({ limit, clock, onWait: ({ failure }) => waits.push(failure.code) });
    patience.heard();
    return { grants, tools: { patience, signal: undefined }, waits };
  };

  it('that the store calls too old is done again at once with a new one, whatever the clock here says', async () => {
    const { grants, tools, waits } = house();
    const tried: string[] = [];
    const read = async ({ url }: Grant) => {
      tried.push(url);
      if (tried.length < 3) throw stale();
      return 'bytes';
    };
    assert.equal(await byGrant(grants, 1, read, tools), 'bytes');
    assert.deepEqual(tried, ['http://x/11', 'http://x/21', 'http://x/31']);
    assert.deepEqual(waits, []);
  });

  it('is given up when new ones are always too old: the clocks are wrong', async () => {
    const { grants, tools, waits } = house();
    const read = async () => {
      throw stale();
    };
    await assert.rejects(byGrant(grants, 1, read, tools), /too late/);
    assert.deepEqual(waits, []);
  });

  it('is given a new one once for all that find it too old at the same time', async () => {
    const { grants, tools } = house();
    const seen = new Set<string>();
    const read = async ({ url }: Grant) => {
      seen.add(url);
      await new Promise(setImmediate);
      if (/[/]1[01]$/.test(url)) throw stale();
    };
    await Promise.all([byGrant(grants, 0, read, tools), byGrant(grants, 1, read, tools)]);
    assert.deepEqual([...seen].toSorted(), ['http://x/10', 'http://x/11', 'http://x/20', 'http://x/21']);
  });

  it('waits for a store that is away', async () => {
    const { grants, tools, waits } = house();
    const failures = [
      new ZkeepError('unavailable', 'store.unavailable', 'no answer'),
      new ZkeepError('unavailable', 'store.timeout', 'too slow'),
    ];
    const read = async () => {
      const failure = failures.shift();
      if (failure) throw failure;
      return 'bytes';
    };
    assert.equal(await byGrant(grants, 0, read, tools), 'bytes');
    assert.deepEqual(waits, ['store.unavailable', 'store.timeout']);
  });
});
