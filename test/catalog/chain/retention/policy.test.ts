import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Compile } from 'typebox/schema';
import {
  checkPolicy,
  DurationSchema,
  type Policy,
  PolicySchema,
} from '../../../../catalog/chain/retention/policy.ts';
import { durationMeant } from '../../../../catalog/durations.ts';

const schema = Compile(PolicySchema);
const POLICY: Policy = {
  name: 'nightly',
  datasets: ['tank/**', '!tank/scratch/**'],
  hosts: [],
  lineages: [],
  keep: { last: 3, within: '36h', hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 10 },
  zone: 'Europe/Berlin',
  objective: '26h',
  chain: { steps: 100, ratio: 2, restore: '4h' },
};

describe('a policy', () => {
  test('that says all that can be said is right', () => {
    assert.ok(schema.Check(POLICY));
    assert.equal(checkPolicy(POLICY), POLICY);
  });

  test('that says next to nothing is right', () => {
    const least: Policy = { name: 'a', datasets: [], hosts: [], lineages: [], keep: {}, zone: 'UTC' };
    assert.ok(schema.Check(least));
    checkPolicy(least);
  });

  const wrong: [words: string, change: Partial<Policy>, field: string][] = [
    ['a zone that is none', { zone: 'Europe/Atlantis' }, 'zone'],
    ['an objective of nothing', { objective: '0' }, 'objective'],
    ['an objective whose units are out of order', { objective: '3m2h' }, 'objective'],
    ['a "within" that is none', { keep: { within: '1m1m' } }, 'within'],
    ['a time of restore that is none', { chain: { restore: '0h' } }, 'restore'],
    ['datasets that are only excepted', { datasets: ['!tank/old', '!tank/scratch'] }, 'datasets'],
    ['hosts that are only excepted', { hosts: ['!mds1'] }, 'hosts'],
    ['rules that keep nothing', { keep: { last: 0 } }, 'keep'],
    ['rules that together keep nothing', { keep: { hourly: 0, yearly: 0 } }, 'keep'],
  ];
  for (const [words, change, field] of wrong) {
    test(`with ${words} is refused by its field`, () => {
      assert.throws(() => checkPolicy({ ...POLICY, ...change }), {
        kind: 'usage',
        code: 'policy.wrong',
        facts: { policy: 'nightly', field },
      });
    });
  }

  test('may have rules of nothing beside one that keeps something', () => {
    checkPolicy({ ...POLICY, keep: { last: 0, daily: 1 } });
    checkPolicy({ ...POLICY, keep: { hourly: 0, within: '1h' } });
  });

  const malformed: [words: string, change: object][] = [
    ['a name with a slash', { name: 'a/b' }],
    ['a name in capitals', { name: 'Nightly' }],
    ['no name', { name: '' }],
    ['a rule that there is not', { keep: { often: 3 } }],
    ['a count below nothing', { keep: { last: -1 } }],
    ['a count that is no number', { keep: { daily: '7' } }],
    ['an empty pattern', { datasets: [''] }],
    ['a lineage that is none', { lineages: ['tank'] }],
    ['a chain of no steps', { chain: { steps: 0 } }],
    ['a key that there is not', { priority: 3 }],
  ];
  for (const [words, change] of malformed) {
    test(`with ${words} has not the shape of one`, () => {
      assert.ok(!schema.Check({ ...POLICY, ...change }));
    });
  }

  test('has every duration that can be read', () => {
    const duration = Compile(DurationSchema);
    for (const text of ['0', '90s', '1h30m', '1w2d3h4m5s']) {
      assert.ok(duration.Check(text) && durationMeant(text) !== undefined, text);
    }
  });
});
