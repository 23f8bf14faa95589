import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { wishesOfSet } from '../../../agent/restore/places/set.ts';
import { readStored } from '../../../agent/restore/stored.ts';
import type { CatalogView } from '../../../agent/view/view.ts';
import type { Attributes, ObjectAttributes } from '../../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import type { BackupSummary } from '../../../catalog/protocol/protocol.ts';
import { type Digest, parseDigest, parseSetId, type SetId } from '../../../catalog/words.ts';
import { guid, step } from './made-steps.ts';

const digest = (number: number): Digest => parseDigest(String(number).padStart(64, '0'));
const SET = parseSetId('0199c3a5-6f00-7000-8000-000000000000');

function backup(to: number, more: Partial<BackupSummary> = {}): BackupSummary {
  return step(null, to, { attributes: digest(to), ...more });
}

function snapshot(name: string, number: number, note: string): ObjectAttributes {
  return {
    name,
    kind: 'snapshot',
    properties: {
      guid: { value: String(number), source: 'none' },
      'lab:note': { value: note, source: 'local' },
    },
  };
}

function attributes(objects: ObjectAttributes[]): Attributes {
  const dataset: ObjectAttributes = { name: 'tank/a', kind: 'filesystem', properties: {} };
  return {
    format: 1,
    dataset: 'tank/a',
    outputs: [],
    parsed: { objects: [dataset, ...objects], pool: null, host: null },
  };
}

/** A view that knows some backups and attributes, and counts what is read. */
function viewOf(backups: readonly BackupSummary[], kept: ReadonlyMap<Digest, Attributes> = new Map()) {
  const read: Digest[] = [];
  const view: Pick<CatalogView, 'backups' | 'attributes'> = {
    async *backups({ host, set }) {
      const isMeant = (one: BackupSummary) =>
        (host === undefined || one.host === host) && (set === undefined || one.set === set);
      yield* backups.filter(isMeant);
    },
    async attributes(wanted) {
      read.push(wanted);
      return kept.get(wanted) ?? assert.fail('not kept');
    },
  };
  // Only these two are asked.
  return { view: view as CatalogView, read };
}

describe('what was stored with a chain', () => {
  it('is of each snapshot its own, found by GUID also where it was called otherwise', async () => {
    const kept = new Map([
      [digest(1), attributes([snapshot('tank/a@s2', 9, 'another'), snapshot('tank/a@renamed', 1, 'one')])],
      [digest(2), attributes([snapshot('tank/a@s2', 2, 'two')])],
    ]);
    const { view } = viewOf([], kept);
    const { snapshots, dataset } = await readStored(view, [backup(1), backup(2)]);
    assert.equal(dataset?.name, 'tank/a');
    assert.deepEqual(
      snapshots.map(({ name, object }) => [name, object.properties['lab:note']?.value]),
      [
        ['s1', 'one'],
        ['s2', 'two'],
      ],
    );
  });

  it('is read once for equal attributes, and of backups without any nothing is known', async () => {
    const kept = new Map([[digest(7), attributes([])]]);
    const same = { attributes: digest(7) };
    const { view, read } = viewOf([], kept);
    await readStored(view, [backup(1, same), backup(2, same)]);
    assert.equal(read.length, 1);
    assert.equal((await readStored(view, [backup(1, same), backup(2, { attributes: null })])).dataset, null);
    assert.equal((await readStored(view, [])).dataset, null);
  });

  it('is made of the outputs where an older zkeep stored only these', async () => {
    const output = 'tank/a\ttype\tfilesystem\t-\t-\ntank/a\tcompression\toff\t-\tlocal\n';
    const command = ['zfs', 'get', '-Hp', '-o', 'all', 'all', 'tank/a'];
    const old: Attributes = {
      format: 1,
      dataset: 'tank/a',
      outputs: [{ command, exit: 0, output, encoding: 'utf8' }],
      parsed: null,
    };
    const { view } = viewOf([], new Map([[digest(1), old]]));
    const { dataset } = await readStored(view, [backup(1)]);
    assert.equal(dataset?.properties['compression']?.value, 'off');
  });
});

describe('a set', () => {
  const of = (dataset: string, more: Partial<BackupSummary> = {}) =>
    backup(3, { dataset, set: SET as SetId, ...more });

  it('is each of its datasets once, at its own snapshot', async () => {
    const { view } = viewOf([of('tank/a'), of('tank/a'), of('tank/a/b', { to: guid(4) }), backup(5)]);
    assert.deepEqual(await wishesOfSet(view, SET, 'new', undefined), [
      { wanted: { dataset: 'tank/a', host: 'host', guids: [guid(3)] }, target: 'new/a' },
      { wanted: { dataset: 'tank/a/b', host: 'host', guids: [guid(4)] }, target: 'new/a/b' },
    ]);
  });

  it('spans hosts, but not with one name twice: then a host must be named', async () => {
    const { view } = viewOf([of('mgs/mgt'), of('mdt/mdt0', { host: 'mds1' })]);
    assert.equal((await wishesOfSet(view, SET, 'new', undefined)).length, 2);
    const twice = viewOf([of('mdt/mdt0'), of('mdt/mdt0', { host: 'mds1' })]).view;
    const hasCode = (code: string) => (thrown: unknown) =>
      thrown instanceof ZkeepError && thrown.code === code;
    await assert.rejects(wishesOfSet(twice, SET, 'new', undefined), hasCode('restore.hosts'));
    assert.equal((await wishesOfSet(twice, SET, 'new', 'mds1')).length, 1);
    await assert.rejects(wishesOfSet(twice, SET, 'new', 'nobody'), hasCode('restore.no-set'));
  });
});
