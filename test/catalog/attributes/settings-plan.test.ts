import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ObjectAttributes, Property } from '../../../catalog/attributes/attributes.ts';
import { planSettings, type SettingsQuestion } from '../../../catalog/attributes/settings-plan.ts';
import { zfsAtLeast } from '../../../catalog/attributes/zfs-here.ts';

const local = (value: string): Property => ({ value, source: 'local' });
const KNOWN = ['atime', 'canmount', 'compression', 'dnodesize', 'mountpoint', 'quota', 'recordsize', 'xattr'];
const HERE = {
  version: '2.3.9-1',
  properties: new Set([...KNOWN, 'keylocation', 'refreservation', 'casesensitivity']),
};

function dataset(
  properties: Record<string, Property>,
  kind: ObjectAttributes['kind'] = 'filesystem',
): ObjectAttributes {
  return { name: kind === 'snapshot' ? 'tank/a@one' : 'tank/a', kind, properties };
}

function plan(properties: Record<string, Property>, more: Partial<SettingsQuestion> = {}) {
  const stored = dataset(properties, more.stored?.kind);
  const options = { mountpoint: false };
  return planSettings({
    snapshots: [],
    target: 'new/b',
    here: HERE,
    there: '2.3.9',
    options,
    ...more,
    stored,
  });
}

describe('a plan of properties', () => {
  it('makes local what was local, and leaves defaults and what is inherited alone', () => {
    const { commands, skipped } = plan({
      compression: local('off'),
      atime: { value: 'off', source: 'inherited', from: 'tank' },
      recordsize: { value: '131072', source: 'default' },
      used: { value: '1', source: 'none' },
    });
    assert.deepEqual(commands, [['zfs', 'set', 'compression=off', 'new/b']]);
    assert.deepEqual(skipped, []);
  });

  it('sets limits last, in a command of their own', () => {
    const { commands } = plan({ quota: local('1000000'), 'lab:a': local('1'), xattr: local('sa') });
    assert.deepEqual(commands, [
      ['zfs', 'set', 'lab:a=1', 'new/b'],
      ['zfs', 'set', 'xattr=sa', 'new/b'],
      ['zfs', 'set', 'quota=1000000', 'new/b'],
    ]);
  });

  it("leaves a snapshot's own properties on that snapshot", () => {
    const own = dataset({ 'lustre:svname': local('134f4e06-MDT0000'), used: local('1') }, 'snapshot');
    const { commands } = plan({ 'lustre:svname': local('fs-MDT0000') }, { snapshots: [own] });
    assert.deepEqual(commands, [
      ['zfs', 'set', 'lustre:svname=fs-MDT0000', 'new/b'],
      ['zfs', 'set', 'lustre:svname=134f4e06-MDT0000', 'new/b@one'],
    ]);
  });

  it('gives no snapshot what it only shows of its dataset', () => {
    const shown: Property = { value: 'fs-MDT0000', source: 'inherited', from: 'tank/a' };
    assert.deepEqual(plan({}, { snapshots: [dataset({ 'lustre:svname': shown }, 'snapshot')] }).commands, []);
  });

  it('takes mountpoint and canmount only when asked, but for what never mounts', () => {
    const mounted = { canmount: local('on'), mountpoint: local('/home') };
    const left = plan(mounted);
    assert.deepEqual(left.commands, []);
    assert.deepEqual(
      left.skipped.map(({ property, matters }) => [property, matters]),
      [
        ['canmount', false],
        ['mountpoint', false],
      ],
    );
    const options = { mountpoint: true };
    assert.deepEqual(plan(mounted, { options }).commands, [
      ['zfs', 'set', 'canmount=on', 'mountpoint=/home', 'new/b'],
    ]);
    const never = { canmount: local('off'), mountpoint: local('none') };
    assert.deepEqual(plan(never).commands, [['zfs', 'set', 'canmount=off', 'mountpoint=none', 'new/b']]);
  });

  it('writes xattr so that it means what it meant: on is sa since 2.3, and was dir before', () => {
    const on = { xattr: local('on') };
    assert.deepEqual(plan(on).commands, [['zfs', 'set', 'xattr=sa', 'new/b']]);
    assert.deepEqual(plan(on, { there: '2.2.7-1' }).commands, [['zfs', 'set', 'xattr=dir', 'new/b']]);
  });

  it('says which properties this ZFS does not know', () => {
    const { commands, skipped } = plan({ longname: local('on'), novel: local('1') });
    assert.deepEqual(commands, []);
    assert.deepEqual(
      skipped.map(({ name, property }) => `${name} ${property}`),
      ['new/b longname', 'new/b novel'],
    );
    assert.match(skipped[0]?.reason ?? '', /2\.3\.9-1/);
  });

  it('keeps received values apart, also those that a local one hides', () => {
    const { received, commands } = plan({
      compression: { value: 'gzip', source: 'received', received: 'gzip' },
      atime: { value: 'on', source: 'local', received: 'off' },
    });
    assert.deepEqual(
      received.get('new/b'),
      new Map([
        ['atime', 'off'],
        ['compression', 'gzip'],
      ]),
    );
    assert.deepEqual(commands, [['zfs', 'set', 'atime=on', 'new/b']]);
  });

  it('does not set what only creation sets, nor the size of a volume, which the stream brings', () => {
    const volume = dataset({}, 'volume');
    const properties = {
      volsize: local('8388608'),
      casesensitivity: local('mixed'),
      refreservation: local('9'),
    };
    assert.deepEqual(plan(properties, { stored: volume }).commands, [
      ['zfs', 'set', 'refreservation=9', 'new/b'],
    ]);
  });

  it('sets where a key lies only on the dataset whose key it is', () => {
    const key = {
      keylocation: local('file:///key'),
      encryptionroot: { value: 'tank', source: 'none' } as const,
    };
    assert.deepEqual(plan(key).commands, []);
    const own = { ...key, encryptionroot: { value: 'tank/a', source: 'none' } as const };
    assert.deepEqual(plan(own).commands, [['zfs', 'set', 'keylocation=file:///key', 'new/b']]);
  });

  it('lets bytes that are no text come with the stream: no command line holds them', () => {
    const { commands, received, skipped } = plan({ 'lab:bytes': local('a\udcff') });
    assert.deepEqual(commands, []);
    assert.deepEqual(received.get('new/b'), new Map([['lab:bytes', 'a\udcff']]));
    assert.deepEqual(
      skipped.map(({ property, matters }) => [property, matters]),
      [['lab:bytes', false]],
    );
  });

  it('puts any name and value into one argument, no command too long, each property once', () => {
    const name = fc.stringMatching(/^[a-z0-9:+._-]{1,20}:[a-z0-9:+._-]{0,20}$/);
    const value = fc.string({ unit: 'grapheme', maxLength: 3000 }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(fc.dictionary(name, value, { maxKeys: 60 }), (values) => {
        const properties = Object.fromEntries(
          Object.entries(values).map(([key, text]) => [key, local(text)]),
        );
        const { commands } = plan(properties);
        const words = commands.flatMap((command) => {
          assert.deepEqual([command.slice(0, 2), command.at(-1)], [['zfs', 'set'], 'new/b']);
          const rest = command.slice(2, -1);
          assert.ok(Buffer.byteLength(rest.join(' ')) <= 80 * 1024);
          if (rest[0] === '--') return rest.slice(1);
          assert.ok(
            !rest.some((word) => word.startsWith('-')),
            'a name that looks like an option is guarded',
          );
          return rest;
        });
        assert.deepEqual(
          words.toSorted(),
          Object.entries(values)
            .map(([key, text]) => `${key}=${text}`)
            .toSorted(),
        );
      }),
    );
  });
});

describe('a version', () => {
  it('is compared by its first two numbers', () => {
    assert.ok(
      zfsAtLeast('2.3.9-0+deb13u1', 2, 3) && zfsAtLeast('zfs-3.0.0', 2, 3) && zfsAtLeast('2.10.1', 2, 3),
    );
    assert.ok(!zfsAtLeast('2.2.7', 2, 3) && !zfsAtLeast('0.8.6', 2, 3) && !zfsAtLeast('strange', 2, 3));
  });
});
