import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  isInJson,
  objectsOfZfsJson,
  parseZfsJson,
  poolsOfZpoolJson,
} from '../../../../catalog/attributes/parsing/zfs-json.ts';
import { recorded } from '../printed.ts';

test('the recorded objects are read, with what they inherit', () => {
  const objects = objectsOfZfsJson(recorded('zfs-get-j.json').toString());
  assert.deepEqual(
    [...objects.keys()],
    ['mgspool', 'mgspool/mgt', 'mgspool/mgt@daily-1', 'mgspool/mgt@daily-2', 'mgspool/mgt#daily-1'],
  );
  assert.deepEqual(objects.get('mgspool/mgt@daily-1')?.get('lustre:svname'), {
    value: 'MGS',
    source: 'inherited',
    from: 'mgspool/mgt',
  });
});

test('the recorded pool is read', () => {
  const pools = poolsOfZpoolJson(recorded('zpool-get-j.json').toString());
  assert.deepEqual(pools.get('mgspool')?.get('multihost'), { value: 'on', source: 'local' });
});

test('control characters may stand raw in a string', () => {
  assert.deepEqual(parseZfsJson('{"a\u0001":"x\ty\nz\\"\u001f"}\n'), { 'a\u0001': 'x\ty\nz"\u001f' });
});

test('numbers keep all their digits, as text', () => {
  const text = '{"guid": 7638985747920707416, "n":[-1,2.5e3], "s":"12 \\u0031"}';
  assert.deepEqual(parseZfsJson(text), { guid: '7638985747920707416', n: ['-1', '2.5e3'], s: '12 1' });
});

test('any value that JSON can hold is read as it was, but for numbers', () => {
  const json = fc.jsonValue({ noUnicodeString: false, maxDepth: 4 });
  const asText = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value), (_, one) => (typeof one === 'number' ? JSON.stringify(one) : one));
  fc.assert(
    fc.property(json, (value) => assert.deepEqual(parseZfsJson(JSON.stringify(value)), asText(value))),
  );
});

test('what is no JSON, or breaks off, says nothing', () => {
  for (const text of ['', '{', '{"datasets":{"t":{"properties":{"a', 'null', '[]', '{"datasets":[1]}', '"']) {
    assert.equal(objectsOfZfsJson(text).size, 0, text);
  }
});

test('a source that nobody knows leaves its property out', () => {
  const text =
    '{"datasets":{"t":{"properties":{"a":{"value":"1","source":{"type":"toString","data":"-"}}}}}}';
  assert.equal(objectsOfZfsJson(text).get('t')?.size, 0);
});

test('a value is recognised in what the locale made of it', () => {
  assert.ok(isInJson('a😀b', 'ab'));
  assert.ok(isInJson('é', '\u00c3\u00a9'));
  assert.ok(isInJson('é', '\udfc3\udfa9'));
  assert.ok(!isInJson('é', 'e'));
  assert.ok(!isInJson('a', 'b'));
});
