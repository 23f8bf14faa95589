/**
 * A short soak: backups and restores cut at random moments, begun again by the same
 * command, and compared with what `zfs send` gives. `test/lab/soak` runs it for as
 * long as one likes, with more kinds of streams, and cuts the power, too.
 */
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { after, test } from 'node:test';
import { inGuest, Soak } from './soak/soak.ts';
import { tableOf } from './soak/summary.ts';

const KINDS = ['full', 'on-snapshot', 'raw-on-bookmark', 'volume'];
/** Of a stream, MiB: three segments. */
const LARGE = 40;
/** Two segments, and what a request says beside them: most that a cut may cost. */
const MOST_TWICE = 2 * 16 * 2 ** 20 + 2 ** 20;

const seed = process.env['ZKEEP_SOAK_SEED'] ?? String(Date.now());
const events: object[] = [];
const soak = await Soak.open({
  ...inGuest(await mkdtemp('/var/tmp/soak-')),
  seed,
  mebibytes: LARGE,
  kinds: KINDS,
  // What ends zkeep comes most often: only then something is gone on with.
  methods: ['agent', 'agent', 'child', 'child', 'stop', 'service', 'tcp', 'store'],
  restores: 1,
  tell: (event) => void events.push(event),
});
after(() => soak.destroy());

for (const kind of KINDS) {
  test(`a cut backup of ${kind} becomes what zfs send gives, and a cut restore of it what it was`, async (t) => {
    t.diagnostic(`ZKEEP_SOAK_SEED=${seed}`);
    events.length = 0;
    await soak.round();
    assert.deepEqual(soak.state.faults, [], JSON.stringify(events, null, 1));
  });
}

test('a cut costs two segments at most', (t) => {
  for (const line of tableOf(soak.state).split('\n')) t.diagnostic(line);
  for (const rows of [soak.state.backups, soak.state.restores]) {
    for (const [kind, { worst }] of Object.entries(rows)) assert.ok(worst <= MOST_TWICE, `${kind}: ${worst}`);
  }
});
