import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandOf } from '../../../../catalog/attributes/parsing/command.ts';

const taken = (line: string) => {
  const { name, flags, values, rest } = commandOf(line.split(' '));
  return [name, [...flags].join(''), [...values], rest];
};

test('options are taken apart as getopt does', () => {
  assert.deepEqual(taken('zfs get -Hp -o all all tank'), ['zfs get', 'Hp', [['o', 'all']], ['all', 'tank']]);
  assert.deepEqual(taken('zfs get -rHpoall all'), ['zfs get', 'rHp', [['o', 'all']], ['all']]);
  assert.deepEqual(taken('/usr/sbin/zpool list -vPp -- -x'), ['zpool list', 'vPp', [], ['-x']]);
  assert.deepEqual(taken('zpool status -jv --json-int tank'), ['zpool status', 'jv', [], ['tank']]);
  assert.deepEqual(taken('zdb -e -p /dev/disk -C tank'), ['zdb', 'eC', [['p', '/dev/disk']], ['tank']]);
  assert.deepEqual(taken('cat /etc/hostid'), ['cat', '', [], ['/etc/hostid']]);
});

test('a command that ends too early has no value for its option', () => {
  assert.deepEqual(taken('zfs get -o'), ['zfs get', '', [['o', '']], []]);
  assert.deepEqual(taken('zfs'), ['zfs', '', [], []]);
});
