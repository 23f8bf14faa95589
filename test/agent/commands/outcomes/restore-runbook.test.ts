import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLustre, previewOutcome, restoredOutcome } from '../../../../agent/commands/outcomes/restore.ts';
import type { RestoredItem } from '../../../../agent/restore/perform.ts';
import type { Prepared } from '../../../../agent/restore/prepare.ts';
import type {
  HostAttributes,
  ObjectAttributes,
  Property,
} from '../../../../catalog/attributes/attributes.ts';

const local = (value: string): Property => ({ value, source: 'local' });
const MGT = { 'lustre:version': local('1'), 'lustre:flags': local('36'), 'lustre:svname': local('MGS') };
const HERE: HostAttributes = {
  ...{ name: 'new-mds', os: null, kernel: null, hostid: null, parameters: {} },
  zfs: { userland: '2.2.2', module: '2.2.2' },
  lustre: { version: '2.17.57', nids: ['10.0.2.99@tcp'], mounts: [] },
};

/** What a restore of one dataset ends with, of which the runbook sees only a part. */
function restoredFrom(properties: Record<string, Property>): RestoredItem {
  const dataset: ObjectAttributes = { name: 'mgspool/mgt', kind: 'filesystem', properties };
  const host = { ...HERE, zfs: { userland: '2.3.9', module: '2.3.9' } };
  const wanted = { dataset: 'mgspool/mgt', host: 'mds', name: 's1', guid: '766876762356b3a7' };
  const looked = { plan: { wanted }, stored: { dataset, parsed: { objects: [dataset], pool: null, host } } };
  const item = { looked, actions: { target: 'newpool/mgt' }, settings: {} };
  return { item, received: [], differences: [] } as unknown as RestoredItem;
}
const PREPARED = { whole: { pool: null }, findings: [] } as unknown as Prepared;

test('the restore of a Lustre target ends with its runbook, filled in for this host', () => {
  const restored = restoredFrom(MGT);
  assert.ok(isLustre(restored.item));
  const { text = '', document = {} } = restoredOutcome([restored], PREPARED, undefined, HERE);
  assert.match(text, /\n\nWhat is to be done about newpool\/mgt now:\n 1\. /);
  assert.match(text, /ZFS here is 2\.2\.2, older than the 2\.3\.9 that wrote this/);
  assert.match(text, /This host has no hostid/);
  assert.match(text, /NIDs are the same as before/);
  assert.ok(Array.isArray(document['runbook']) && document['runbook'].length >= 6);
});

test('of a set, each target has its own', () => {
  const both = [restoredFrom(MGT), restoredFrom({ mountpoint: local('/x') })];
  const { document = {}, text = '' } = restoredOutcome(both, PREPARED, 'a set', null);
  const { restores } = document as { restores: { runbook: unknown[] }[] };
  assert.deepEqual(
    restores.map(({ runbook }) => runbook.length > 0),
    [true, false],
  );
  assert.equal(text.match(/What is to be done/g)?.length, 1);
});

test('a dry run tells it too, as comments', () => {
  const { item } = restoredFrom(MGT);
  const actions = { ...item.actions, before: [], steps: [], lost: [], again: null };
  const settings = {
    skipped: [],
    wraps: new Map(),
    commands: [['zfs', 'set', 'lustre:version=1', 'newpool/mgt']],
  };
  const whole = { pool: null, before: [], root: [], items: [{ ...item, actions, settings }] };
  const prepared = { ...PREPARED, whole } as unknown as Prepared;
  const { text = '', document = {} } = previewOutcome(prepared, undefined, HERE);
  assert.match(
    text,
    /^zfs set \S+ newpool\/mgt\n\n# What is to be done about newpool\/mgt then:\n# {2}1\. /m,
  );
  assert.ok(
    text
      .split('\n')
      .slice(1)
      .every((line) => line === '' || line.startsWith('#')),
  );
  assert.ok(Array.isArray(document['runbook']) && document['runbook'].length >= 6);
});

test('any other dataset ends without one', () => {
  const restored = restoredFrom({ mountpoint: local('/x') });
  assert.ok(!isLustre(restored.item));
  const { text = '', document = {} } = restoredOutcome([restored], PREPARED, undefined, null);
  assert.deepEqual([document['runbook'], /What is to be done/.test(text)], [[], false]);
});
