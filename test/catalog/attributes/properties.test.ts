import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseZfsGet } from '../../../catalog/attributes/parsing/zfs-get.ts';
import { poolsOfZpoolGet } from '../../../catalog/attributes/parsing/zpool-get.ts';
import { poolPropertyRole, propertyRole } from '../../../catalog/attributes/properties.ts';
import { recorded } from './printed.ts';

const { rows } = parseZfsGet(recorded('lustre/zfs-get-all.s1.txt').toString(), 'all');
const ofDatasets = rows.filter(({ name }) => !/[@#]/.test(name));
const pools = poolsOfZpoolGet(recorded('zpool-get-Hp-all.out').toString());
const mgspool = pools.get('mgspool') ?? new Map();

test('every property that OpenZFS 2.3 prints is known', () => {
  assert.ok(ofDatasets.length > 200 && mgspool.size > 70);
  assert.deepEqual(
    ofDatasets.filter(({ property }) => propertyRole(property, 'filesystem') === 'unknown'),
    [],
  );
  assert.deepEqual(
    [...mgspool.keys()].filter((property) => poolPropertyRole(property) === 'unknown'),
    [],
  );
});

test('what has a source other than none can be set, or could once; what has none cannot', () => {
  for (const { property, reading } of ofDatasets) {
    const role = propertyRole(property, 'filesystem');
    const wrong = reading?.source === 'none' ? ['settable', 'user'] : ['fact'];
    assert.ok(!wrong.includes(role), `${property} is ${role}, its source ${reading?.source}`);
  }
});

test('what is set on a dataset is only told by its snapshots, but for user properties', () => {
  assert.equal(propertyRole('xattr', 'filesystem'), 'settable');
  assert.equal(propertyRole('xattr', 'snapshot'), 'fact');
  assert.equal(propertyRole('volsize', 'volume'), 'settable');
  assert.equal(propertyRole('casesensitivity', 'bookmark'), 'fact');
  assert.equal(propertyRole('used', 'snapshot'), 'statistic');
  assert.equal(propertyRole('lustre:svname', 'snapshot'), 'user');
});

test('a native property that nobody knows is not taken for one that can be set', () => {
  assert.equal(propertyRole('invented', 'filesystem'), 'unknown');
  assert.equal(poolPropertyRole('invented'), 'unknown');
  assert.equal(propertyRole('constructor', 'filesystem'), 'unknown');
  assert.equal(poolPropertyRole('__proto__'), 'unknown');
});

test('properties for each user or snapshot are counted or limits', () => {
  assert.equal(propertyRole('userused@ann', 'filesystem'), 'statistic');
  assert.equal(propertyRole('projectobjquota@7', 'filesystem'), 'settable');
  assert.equal(propertyRole('groupquota@a:b', 'filesystem'), 'settable');
  assert.equal(propertyRole('written@daily', 'filesystem'), 'statistic');
});

test('pools have features, user properties, and what only their making or import takes', () => {
  assert.equal(poolPropertyRole('feature@longname'), 'feature');
  assert.equal(poolPropertyRole('unsupported@com.example:x'), 'fact');
  assert.equal(poolPropertyRole('org.example:owner'), 'user');
  assert.equal(poolPropertyRole('ashift'), 'create-only');
  assert.equal(poolPropertyRole('multihost'), 'settable');
  assert.equal(poolPropertyRole('special_used'), 'statistic');
  assert.equal(poolPropertyRole('load_guid'), 'fact');
});
