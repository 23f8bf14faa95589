/** Names and properties that hold what they may hold: spaces, colons, dots; tabs, newlines, quotes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseAttributes } from '../../../catalog/attributes/attributes.ts';
import { must } from './parts/command.ts';
import { ListDocument, ShowDocument } from './parts/documents.ts';
import { assertClean, Lab } from './parts/lab.ts';
import { guidOf, makeFilesystem, property } from './parts/pool.ts';
import { fill, treeOf } from './parts/tree.ts';

const lab = await Lab.open();
after(() => lab.close());
before(async () => {
  await lab.pool('tank');
  await lab.pool('fresh.pool-1:b');
});

const DATASET = 'tank/two words: a.b-c_d';
const VALUE = 'tab\there\nnew line "double" \'single\' $(reboot) `x` \\ % ünd';

test('a dataset with spaces, colons and dots, snapshot and target too', async () => {
  await fill(await makeFilesystem(DATASET));
  const name = 'snap: of. all-kinds_1';
  await must('zfs', 'snapshot', `${DATASET}@${name}`);
  const { snapshot } = await lab.backup(DATASET, '--snapshot', name);
  assert.equal(snapshot, name);
  assert.deepEqual(await lab.service.snapshots(DATASET), [name]);
  const target = 'fresh.pool-1:b/back again: x.y';
  await lab.restore(DATASET, '--to', target, '--snapshot', name);
  assert.equal(await guidOf(`${target}@${name}`), await guidOf(`${DATASET}@${name}`));
  assert.deepEqual(await treeOf(`${target}@${name}`), await treeOf(`${DATASET}@${name}`));
});

test('user properties with tabs, newlines and quotes are kept to the letter', async () => {
  await makeFilesystem('tank/odd', '-o', `lab:odd=${VALUE}`, '-o', 'lab:plain=value');
  assert.equal(await property('tank/odd', 'lab:odd'), VALUE);
  const { backup } = await lab.backup('tank/odd');
  const { attributes } = await lab.json(ShowDocument, 'show', String(backup), '--attributes');
  // Not read from `zfs get -j`: OpenZFS 2.3.9 writes control characters into its JSON as they are.
  const asText = parseAttributes(attributes).outputs.find(({ command }) =>
    command.join(' ').startsWith('zfs get -Hp'),
  );
  const lines = asText?.output ?? '';
  assert.ok(lines.includes(`\tlab:odd\t${VALUE}\t`), lines.slice(0, 2000));
  assert.match(lines, /\tlab:plain\tvalue\t.*\tlocal$/m);
});

test('a name as long as ZFS allows', async () => {
  const dataset = `tank/${'long-name.'.repeat(25).slice(0, 200)}`;
  await makeFilesystem(dataset, '-o', 'mountpoint=/run/long');
  await lab.backup(dataset);
  const { datasets } = await lab.json(ListDocument, 'list');
  assert.ok(datasets.some((one) => one.dataset === dataset));
  await lab.restore(dataset, '--to', 'fresh.pool-1:b/long');
});

test('all that was stored verifies', async () => {
  await assertClean(lab);
});
