import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  decideRootSettings,
  decideSettings,
  type SettingsDecision,
} from '../../../agent/restore/settings.ts';
import type { ObjectAttributes, Property } from '../../../catalog/attributes/attributes.ts';
import type { BackupSummary, RestorePlan } from '../../../catalog/protocol/protocol.ts';
import { guid, LINEAGE, step } from './made-steps.ts';

const local = (value: string): Property => ({ value, source: 'local' });
const received = (value: string): Property => ({ value, source: 'received', received: value });
const HERE = {
  version: '2.3.9',
  properties: new Set(['atime', 'compression', 'recordsize', 'dedup', 'mountpoint']),
};

const STEPS = [step(null, 1), step(1, 2)];

function planOf(steps: BackupSummary[]): RestorePlan {
  const lineage = LINEAGE;
  const wanted = { guid: guid(2), lineage, host: 'host', dataset: 'tank/a', name: 's2', created: 2 };
  return { wanted, base: steps[0]?.from ?? null, rollback: false, steps, bytes: 0, stored: 0 };
}

const dataset = (properties: Record<string, Property>, name = 'tank/a'): ObjectAttributes => ({
  name,
  kind: 'filesystem',
  properties,
});
const snapshot = (number: number, properties: Record<string, Property>) => ({
  guid: guid(number),
  name: `s${number}`,
  object: { name: `tank/a@s${number}`, kind: 'snapshot' as const, properties },
});

function decide(
  stored: Pick<SettingsDecision['stored'], 'dataset' | 'snapshots'>,
  more: Partial<SettingsDecision> = {},
) {
  return decideSettings({
    plan: planOf(STEPS),
    target: 'new/b',
    stored: { pool: null, version: '2.3.9', parsed: null, ...stored },
    have: [],
    now: new Map(),
    here: HERE,
    takeMountpoint: false,
    unwrappable: new Set(),
    ...more,
  });
}

describe('what is decided about properties', () => {
  it("lets the last stream bring the dataset's received ones, and each its snapshot's", () => {
    const { wraps, commands } = decide({
      dataset: dataset({ atime: received('off') }),
      snapshots: [snapshot(1, { 'lab:a': received('1') }), snapshot(2, { 'lab:b': local('2') })],
    });
    const [first, last] = STEPS.map(({ backup }) => wraps.get(backup));
    assert.deepEqual([first?.properties, first?.snapshotProperties], [new Map(), new Map([['lab:a', '1']])]);
    assert.deepEqual([last?.properties, last?.snapshotProperties], [new Map([['atime', 0n]]), new Map()]);
    assert.deepEqual(commands, [['zfs', 'set', 'lab:b=2', 'new/b@s2']]);
  });

  it('sets what was received where no stream can bring it', () => {
    const stored = { dataset: dataset({ atime: received('off') }), snapshots: [] };
    const set = [['zfs', 'set', 'atime=off', 'new/b']];
    assert.deepEqual(decide(stored, { plan: planOf([]), have: [guid(2)] }).commands, set);
    const unwrappable = new Set(STEPS.map(({ backup }) => backup));
    const { wraps, commands } = decide(stored, { unwrappable });
    assert.deepEqual([wraps.size, commands], [0, set]);
    const unknown = { dataset: dataset({ dedup: received('verify') }), snapshots: [] };
    assert.deepEqual(decide(unknown).commands, [['zfs', 'set', 'dedup=verify', 'new/b']]);
  });

  it('does nothing where everything stands already', () => {
    const properties = { atime: received('off'), compression: local('off') };
    const stored = { dataset: dataset(properties), snapshots: [] };
    const now = new Map([['new/b', dataset(properties, 'new/b')]]);
    const { commands, wraps } = decide(stored, { plan: planOf([]), have: [guid(2)], now });
    assert.deepEqual([commands, wraps.size], [[], 0]);
  });

  it('sets nothing on snapshots that are not restored', () => {
    const stored = { dataset: dataset({}), snapshots: [snapshot(7, { 'lab:a': local('1') })] };
    assert.deepEqual(decide(stored).commands, []);
    assert.deepEqual(decide(stored, { have: [guid(7)] }).commands, [['zfs', 'set', 'lab:a=1', 'new/b@s7']]);
  });

  it('says that bytes which are no text are lost where no stream comes', () => {
    const stored = { dataset: dataset({ 'lab:bytes': local('\udcff') }), snapshots: [] };
    assert.deepEqual(decide(stored).wraps.size, 1);
    const { commands, skipped } = decide(stored, { plan: planOf([]), have: [guid(2)] });
    assert.deepEqual([commands, skipped[0]?.matters], [[], true]);
  });

  it('knows nothing where nothing was stored', () => {
    const { commands, wraps, skipped } = decide({ dataset: null, snapshots: [] });
    assert.deepEqual([commands, wraps.size, skipped], [[], 0, []]);
  });
});

describe('the dataset of a new pool itself', () => {
  it("gets what the restored ones inherited from the old pool's", () => {
    const from = (value: string, name: string): Property => ({ value, source: 'inherited', from: name });
    const stored = [
      dataset(
        { compression: from('gzip', 'tank'), atime: from('off', 'tank/a'), mountpoint: from('/x', 'tank') },
        'tank/a/b',
      ),
      dataset({ recordsize: from('4096', 'tank'), 'lab:a': from('1', 'tank') }),
    ];
    assert.deepEqual(
      decideRootSettings('new', stored, HERE, '2.3.9').map(
        ({ object, property, value }) => `${object} ${property}=${value}`,
      ),
      ['new lab:a=1', 'new compression=gzip', 'new recordsize=4096'],
    );
  });

  it('gets nothing where the old one is restored into it', () => {
    const stored = [
      dataset({}, 'tank'),
      dataset({ atime: { value: 'off', source: 'inherited', from: 'tank' } }),
    ];
    assert.deepEqual(decideRootSettings('new', stored, HERE, null), []);
  });
});
