import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseZfsGet, readingsOf } from '../../../../catalog/attributes/parsing/zfs-get.ts';
import { recorded } from '../printed.ts';

const get = (text: string, option?: string) => parseZfsGet(text, option);
const line = (...cells: string[]) => `${cells.join('\t')}\n`;

test('the recorded lines are read without a doubt', () => {
  const { rows, doubtful } = get(recorded('zfs-get-rHp-all.out').toString());
  assert.deepEqual(doubtful, []);
  assert.equal(rows.length, recorded('zfs-get-rHp-all.out').toString().trim().split('\n').length);
  const xattr = rows.find(({ name, property }) => name === 'mgspool/mgt@daily-1' && property === 'xattr');
  assert.deepEqual(xattr?.reading, { value: 'on', source: 'inherited', from: 'mgspool/mgt' });
});

test('five columns tell the received value, and a snapshot of Lustre its own values', () => {
  const text = recorded('lustre/zfs-get-lsnap.txt').toString();
  const { rows, doubtful } = get(text.slice(0, text.indexOf('mgspool')), 'all');
  assert.deepEqual(doubtful, []);
  assert.deepEqual(rows.find(({ property }) => property === 'lustre:comment')?.reading, {
    value: 'a comment',
    source: 'local',
  });
  const hidden = get(line('t/a', 'lab:x', 'here', 'there', 'local'), 'all');
  assert.deepEqual(hidden.rows[0]?.reading, { value: 'here', source: 'local', received: 'there' });
});

test('tabs in a value of four columns leave nothing in doubt', () => {
  const { rows, doubtful } = get(line('t/a', 'lab:x', 'one\ttwo', 'local'));
  assert.deepEqual(rows[0]?.reading, { value: 'one\ttwo', source: 'local' });
  assert.deepEqual(doubtful, []);
});

test('tabs in a value of five columns do, unless it was received', () => {
  const local = get(line('t/a', 'lab:x', 'one\ttwo', '-', 'local'), 'all');
  assert.deepEqual(local.doubtful, [{ name: 't/a', property: 'lab:x' }]);
  assert.deepEqual(local.rows[0]?.reading, { value: 'one\ttwo', source: 'local' });
  const received = get(line('t/a', 'lab:x', 'one\ttwo', 'one\ttwo', 'received'), 'all');
  assert.deepEqual(received.doubtful, []);
  assert.equal(received.rows[0]?.reading?.value, 'one\ttwo');
});

test('a value that goes on in the next line is doubtful, and the line is not taken for another property', () => {
  const text =
    line('t/a', 'type', 'filesystem', '-') + line('t/a', 'lab:x', 'one\ntwo\tthree\tfour', 'local');
  const { rows, doubtful } = get(text + line('t/a', 'lab:y', '', 'local'));
  assert.deepEqual(doubtful, [{ name: 't/a', property: 'lab:x' }]);
  assert.deepEqual(
    rows.map(({ property, reading }) => [property, reading?.value]),
    [
      ['type', 'filesystem'],
      ['lab:x', 'one\ntwo\tthree\tfour'],
      ['lab:y', ''],
    ],
  );
});

test('lines of another pool begin with its type, else they are part of a value', () => {
  const text = line('t/a', 'type', 'filesystem', '-') + line('t/a', 'lab:x', 'one\nu\tlab:y\ttwo', 'local');
  assert.equal(get(text).rows.length, 2);
  assert.equal(get(text + line('u', 'type', 'filesystem', '-')).rows.length, 3);
});

test('a property that seems to come twice is doubtful, and so is the value before it that may hold one of them', () => {
  const text =
    line('t/a', 'lab:x', 'one\tlocal\nt/a\tlab:y\ttwo', 'local') + line('t/a', 'lab:y', '', 'local');
  assert.deepEqual(get(text).doubtful, [
    { name: 't/a', property: 'lab:x' },
    { name: 't/a', property: 'lab:y' },
  ]);
});

test('a text that breaks off leaves its last line in doubt', () => {
  const { doubtful } = get(`${line('t/a', 'type', 'filesystem', '-')}t/a\tlab:x\tloc\tlocal`);
  assert.deepEqual(doubtful, [{ name: 't/a', property: 'lab:x' }]);
  assert.equal(get('t/a\tlab:x\tloc').rows[0]?.reading, null);
});

test('columns that cannot be told apart are not read', () => {
  assert.deepEqual(get('lab:x\tone\n', 'property,value').rows, []);
});

test('every reading of a row is listed, the longest value first', () => {
  assert.deepEqual(readingsOf('a\tb\tc\tlocal', true), [
    { value: 'a\tb', source: 'local', received: 'c' },
    { value: 'a', source: 'local', received: 'b\tc' },
  ]);
  assert.deepEqual(readingsOf('a\tnowhere', false), []);
});
