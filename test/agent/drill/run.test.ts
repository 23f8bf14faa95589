import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import type { PreparedDrill } from '../../../agent/drill/run.ts';
import { Progress } from '../../../agent/output/progress.ts';
import { Ledgers } from '../../../agent/restore/resume/ledger.ts';
import type { RestoreTools } from '../../../agent/restore/resume/receiving.ts';
import { systemClock } from '../../../catalog/clock.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { guidOf } from '../../../catalog/words.ts';
import { StandIns } from '../stand-ins.ts';

const host = new StandIns();
after(() => host.end());
process.env['PATH'] = host.path;
// Only now: where commands are looked for is read once.
const { performDrill } = await import('../../../agent/drill/run.ts');
const { drillPlace, makePlaceCommand } = await import('../../../agent/drill/place.ts');

const place = drillPlace('scratch', {
  ...{ began: '2026-11-20T21:50:00.123Z', process: 4711, boot: '6b0d', kept: false },
});
const [, ...create] = makePlaceCommand(place);
beforeEach(() => {
  host.forgetCalls();
  host.answer('zfs', create, {});
  const ask = ['get', '-Hp', '-s', 'local', '-o', 'value', 'zkeep:drill', place.container];
  host.answer('zfs', ask, { out: `${place.mark}\n` });
  host.answer('zfs', ['destroy', '-r', place.container], {});
});

const wanted = { lineage: 'x', host: 'h', dataset: 'tank/a', guid: guidOf(7n), name: 'one', created: 1 };
/** A drill of one step, whose manifest cannot be had: what else it works with is not asked for. */
function prepared(): PreparedDrill {
  const step = { backup: { backup: 'b', to: wanted.guid, name: 'one', bytes: 1 }, command: [], resume: null };
  const item = {
    actions: { target: place.target, before: [], steps: [step], again: null, lost: [] },
    settings: { settings: [], wraps: new Map() },
    looked: { plan: { wanted, steps: [step], bytes: 1, stored: 1 }, type: 'filesystem' },
  };
  const whole = { before: [makePlaceCommand(place)], root: [], items: [item] };
  return { place, prepared: { whole, abilities: {} }, item } as unknown as PreparedDrill;
}

function tools(thrown: unknown): RestoreTools {
  const view = { manifest: async () => await Promise.reject(thrown) };
  const ledgers = new Ledgers(host.folder);
  const progress = new Progress({ write: () => undefined }, systemClock, true);
  const { signal } = new AbortController();
  return { view, ledgers, progress, identities: [], signal } as unknown as RestoreTools;
}
const how = { host: 'here', keep: false };
const isCleared = () => assert.equal(host.calls.at(-1), `zfs destroy -r ${place.container}`);

test('a store that is away is no evidence: the drill fails, and is cleared', async () => {
  const away = new ZkeepError('unavailable', 'store.unavailable', 'the store does not answer');
  await assert.rejects(performDrill(prepared(), tools(away), how), { code: 'store.unavailable' });
  isCleared();
});

test('a scratch pool that is full is no evidence: the drill fails, and nothing is left', async () => {
  host.answer('zfs', create, { exit: 1, err: "cannot create 'scratch/x': out of space\n" });
  await assert.rejects(performDrill(prepared(), tools(undefined), how), { kind: 'full' });
  isCleared();
});

test('what is stored and spoilt is evidence that it did not pass', async () => {
  const spoilt = new ZkeepError('damaged', 'segment.digest', 'the segment is not what was stored');
  const { drill, left } = await performDrill(prepared(), tools(spoilt), how);
  assert.deepEqual(
    [drill.passed, drill.problems, left],
    [false, ['the segment is not what was stored'], undefined],
  );
  isCleared();
});

test('what it made and cannot destroy is told with the evidence', async () => {
  host.answer('zfs', ['destroy', '-r', place.container], { exit: 1, err: 'cannot destroy: strange\n' });
  const spoilt = new ZkeepError('damaged', 'segment.digest', 'spoilt');
  const { drill, left } = await performDrill(prepared(), tools(spoilt), how);
  assert.equal(drill.passed, false);
  assert.ok(left instanceof ZkeepError && left.code === 'drill.left');
});
