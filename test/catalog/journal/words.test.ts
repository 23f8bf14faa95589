import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FACT_KINDS, type Fact } from '../../../catalog/journal/entry.ts';
import { sayEntry, sayFact } from '../../../catalog/journal/words.ts';
import {
  damaged,
  drilled,
  entry,
  entryId,
  marked,
  pin,
  policy,
  proven,
  removed,
  unmarked,
} from '../index/journal/entries.ts';

const of = { host: 'alpha', dataset: 'tank/fs' };
const heard = { agent: 'mds1', host: 'alpha', seen: '2026-11-20T12:00:00.000Z' };
const SAID: readonly (readonly [Fact, RegExp])[] = [
  [{ kind: 'policy.set', policy: policy('mdt') }, /^policy mdt is set: tank\/\*\*: keeps last 7 \(UTC\)$/],
  [{ kind: 'policy.removed', name: 'mdt' }, /^policy mdt is removed$/],
  [
    { kind: 'pin.set', pin: pin(1, 5, { until: '2027-01-01T00:00:00.000Z' }) },
    / until 2027-01-01T.*: a reason$/,
  ],
  [{ kind: 'pin.set', pin: pin(1, 5, { legal: true }) }, / is held by law: a reason$/],
  [{ kind: 'pin.removed', pin: entryId(1), reason: 'over' }, / is removed: over$/],
  [marked(1), /^1 backup is marked/],
  [unmarked(1, 2), /^2 backups are not to be removed/],
  [removed(1, 2, 3, 4), /^4 backups are removed: (tank\/fs@a, ){2}tank\/fs@a and 1 more$/],
  [
    { kind: 'backup.abandoned', backup: marked(1).kind as never, ...of },
    /^the open backup .* of tank\/fs on alpha is abandoned$/,
  ],
  [proven(1), /^1 backup is proven whole$/],
  [damaged(1), /^backup .* is damaged: it is not there$/],
  [drilled(1, 1), /^a drill of tank\/fs@s1 on alpha passed in 1 s$/],
  [drilled(1, 1, { passed: false }), / did not pass: /],
  [{ kind: 'job.ended', job: 'prune', outcome: 'done', seconds: 1, words: '' }, /^job prune is done$/],
  [{ kind: 'job.ended', job: 'prune', outcome: 'failed', seconds: 1, words: 'no' }, /^job prune failed: no$/],
  [
    { kind: 'run.failed', host: 'alpha', job: 'nightly', datasets: [], words: 'no' },
    /^job nightly of alpha fails: no$/,
  ],
  [{ kind: 'run.recovered', host: 'alpha', job: 'nightly' }, /^job nightly of alpha is well again$/],
  [{ kind: 'late', ...of, newest: 0, objective: 60 }, /^tank\/fs on alpha is late: its newest is of 1970-/],
  [{ kind: 'late', ...of, newest: null, objective: 60 }, /is late: nothing of it can be restored$/],
  [{ kind: 'late.over', ...of }, /^tank\/fs on alpha is not late any more$/],
  [
    { kind: 'agent.away', ...heard },
    /^agent mds1 on alpha is away: last heard of 2026-11-20T12:00:00\.000Z$/,
  ],
  [{ kind: 'agent.away.over', ...heard }, /^agent mds1 on alpha is not away any more$/],
  [{ kind: 'token.added', name: 'mds1', scope: 'agent' }, /^token mds1 \(agent\) is made$/],
  [{ kind: 'token.removed', name: 'mds1' }, /^token mds1 is ended$/],
  [{ kind: 'enrolled', name: 'mds1', host: 'alpha' }, /^alpha has got its token mds1$/],
];

it('every kind of fact has its words', () => {
  for (const [fact, words] of SAID) assert.match(sayFact(fact), words);
  assert.deepEqual(new Set(SAID.map(([{ kind }]) => kind)), new Set(FACT_KINDS));
});

it('ids alone are told with the datasets that they were about, the first of many', () => {
  const place = (name: string) => ({ host: 'alpha', dataset: name });
  assert.match(sayFact(damaged(1), [of]), /^backup \S+ of tank\/fs on alpha is damaged: it is not there$/);
  assert.match(
    sayFact({ kind: 'pin.set', pin: pin(1, 5) }, [of]),
    / of tank\/fs on alpha is pinned: a reason$/,
  );
  assert.equal(
    sayFact(marked(1, 2), ['a', 'b', 'c', 'd', 'e'].map(place)),
    '2 backups of a on alpha, b on alpha, c on alpha and 2 more are marked for removal',
  );
  assert.match(
    sayEntry(entry(1, unmarked(1), { about: [of] })),
    /1 backup of tank\/fs on alpha is not to be/,
  );
});

it('an entry says when, who and what', () => {
  const fact: Fact = { kind: 'policy.removed', name: 'mdt' };
  assert.match(sayEntry(entry(1, fact)), /^2025-\S+Z {2}alice {2}policy mdt is removed$/);
  assert.match(sayEntry(entry(1, fact, { by: null })), / {2}the service {2}/);
});
