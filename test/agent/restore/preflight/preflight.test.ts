import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, it, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { FINDING_CODES } from '../../../../agent/restore/preflight/finding.ts';
import { preflight, refuseFindings } from '../../../../agent/restore/preflight/preflight.ts';
import { isOlder, neededFeatures } from '../../../../agent/restore/preflight/streams.ts';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { FEATURES, type FeatureName, poolFeaturesOf } from '../../../../catalog/stream/features.ts';
import {
  ABILITIES,
  begin,
  codes,
  dataset,
  facts,
  guid,
  newPool,
  only,
  place,
  pool,
  standing,
  stream,
} from './made-facts.ts';

describe('a preflight', () => {
  it('finds nothing where nothing stands in the way', () => {
    assert.deepEqual(codes({}), []);
    assert.deepEqual(codes({ pool: newPool(), datasets: [dataset({ place: place({ above: null }) })] }), []);
    assert.deepEqual(
      codes({ datasets: [dataset({ place: standing(1), base: guid(1), streams: [stream(2)] })] }),
      [],
    );
  });

  it('says of everything what to do about it', () => {
    const worst = facts({
      hostid: null,
      pool: newPool({ plan: { multihost: true }, folderInUse: true, pool: { properties: {} } }),
      datasets: [dataset({ streams: [stream(1, { begin: begin('RAW', 'DEDUP', 'LONGNAME') })] })],
    });
    const found = preflight(worst);
    assert.ok(found.length >= 6);
    for (const { code, advice, message } of found) {
      assert.match(code, /^preflight\.[a-z-]+$/);
      assert.ok(advice.length > 10 && !advice.endsWith('.') && !message.endsWith('.'), code);
    }
  });

  it('lists all that refuses in one error, and leaves warnings out of it', () => {
    const found = preflight(
      facts({ hostid: null, pool: newPool({ plan: { multihost: true }, folderInUse: true }) }),
    );
    assert.throws(
      () => refuseFindings(found),
      (thrown: unknown) =>
        thrown instanceof ZkeepError &&
        thrown.kind === 'refused' &&
        thrown.code === 'preflight.refused' &&
        /2 things/.test(thrown.message) &&
        /\/new.*multihost/.test(thrown.message) &&
        Array.isArray(thrown.facts['findings']),
    );
    refuseFindings(found.map((finding) => ({ ...finding, level: 'warn' })));
    refuseFindings([]);
  });

  it('throws a single refusal as it is', () => {
    const found = preflight(facts({ pool: newPool({ folderInUse: true }) }));
    assert.throws(
      () => refuseFindings(found),
      (thrown: unknown) =>
        thrown instanceof ZkeepError &&
        thrown.code === 'preflight.folder-in-use' &&
        thrown.advice === found[0]?.advice,
    );
  });
});

test('the page names every code and its levels, and no others', () => {
  const folder = new URL('../../../../agent/restore/preflight/', import.meta.url);
  const page = readFileSync(new URL('PREFLIGHT.md', folder), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z-]+)` +\| ([a-z, ]+?) +\|/gm)];
  assert.deepEqual(
    rows.map(([, code]) => code),
    [...FINDING_CODES],
  );
  const sources = globSync('*.ts', { cwd: fileURLToPath(folder) }).map((name) =>
    readFileSync(new URL(name, folder), 'utf8'),
  );
  for (const [, code, levels] of rows) {
    const used = ['refuse', 'warn'].filter((level) =>
      sources.some((source) => new RegExp(`${level}\\(\\s*'${code}'`).test(source)),
    );
    assert.equal(used.join(', '), levels, code);
  }
});

test('the lab provokes every code on real ZFS, but for those that the page tells why not', () => {
  const page = new URL('../../../../agent/restore/preflight/PREFLIGHT.md', import.meta.url);
  const [, exceptions = ''] =
    /\nThe lab provokes.*?\n\n(\| code \| because \|.*?)\n\n/s.exec(readFileSync(page, 'utf8')) ?? [];
  const excepted = [...exceptions.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, code]) => code);
  const guest = fileURLToPath(new URL('../../../lab/guest/', import.meta.url));
  const lab = globSync('preflight*.test.ts', { cwd: guest }).map((name) =>
    readFileSync(guest + name, 'utf8'),
  );
  const unseen = FINDING_CODES.filter(
    (code) => !lab.some((text) => new RegExp(`'((refuse|warn) )?${code}'`).test(text)),
  );
  assert.deepEqual(unseen, excepted);
});

describe('the pool that a restore goes to', () => {
  it('must be there, or made; one that could be imported is named', () => {
    const none = { name: 'new', properties: null, importable: [], creating: null };
    assert.match(only({ pool: none }).advice, /--create-pool/);
    const importable = [
      { name: 'other', id: '1' },
      { name: 'new', id: '42' },
    ];
    const found = only({ pool: { ...none, importable } });
    assert.equal(found.code, 'preflight.no-pool');
    assert.match(found.advice, /zpool import -N -o cachefile=none new/);
  });

  it('must be writable and have its disks', () => {
    assert.deepEqual(codes({ pool: pool({ readonly: 'on' }) }), ['refuse pool-readonly']);
    assert.deepEqual(codes({ pool: pool({ health: 'SUSPENDED' }) }), ['refuse pool-broken']);
    assert.deepEqual(codes({ pool: pool({ health: 'DEGRADED' }) }), ['warn pool-degraded']);
  });

  it('cannot be made where its name is taken, here or by a pool that could be imported', () => {
    assert.deepEqual(codes({ pool: newPool({ pool: { properties: {} } }) }), ['refuse pool-exists']);
    const importable = [
      { name: 'new', id: '42' },
      { name: 'else', id: '43' },
    ];
    const found = only({ pool: newPool({ pool: { importable } }) });
    assert.equal(found.code, 'preflight.pool-importable');
    assert.match(found.advice, /zpool import 42 NEWNAME/);
    assert.deepEqual(codes({ pool: newPool({ folderInUse: true }) }), ['refuse folder-in-use']);
  });

  it('is warned of what will matter and be different, only', () => {
    const differences = [
      { what: 'vdevs', why: 'fewer disks may fail', matters: true },
      { what: 'cachefile', why: 'it is none', matters: false },
    ];
    assert.match(only({ pool: newPool({ plan: { differences } }) }).message, /vdevs: fewer disks may fail/);
  });

  it('needs a hostid for multihost, unless nobody can tell', () => {
    const multihost = newPool({ plan: { multihost: true } });
    const found = only({ pool: multihost, hostid: null });
    assert.equal(found.code, 'preflight.no-hostid');
    assert.match(found.advice, /zgenhostid/);
    assert.deepEqual(codes({ pool: multihost }), []);
    assert.deepEqual(codes({ pool: multihost, hostid: undefined }), []);
    assert.deepEqual(codes({ pool: newPool(), hostid: null }), []);
  });
});

describe('the features of streams', () => {
  const withFlags = (...flags: FeatureName[]) => [
    dataset({ streams: [stream(7, { begin: begin(...flags) })] }),
  ];

  it('must be enabled in a pool that is there, and the command that does it is given', () => {
    const found = only({
      pool: pool({ 'feature@large_blocks': 'disabled' }),
      datasets: withFlags('LARGE_BLOCKS', 'COMPRESSED'),
    });
    assert.equal(found.code, 'preflight.feature-disabled');
    assert.match(found.message, /the stream of @s7 needs the pool feature large_blocks/);
    assert.match(found.advice, /^zpool set feature@large_blocks=enabled new/);
  });

  it('are refused where this ZFS does not know them', () => {
    const found = only({ datasets: withFlags('LONGNAME') });
    assert.equal(found.code, 'preflight.feature-unknown');
    assert.match(found.message, /longname, which this ZFS \(2\.3\.9/);
  });

  it('must be among those of a pool to be made', () => {
    const features = ['extensible_dataset', 'lz4_compress'];
    const found = only({ pool: newPool({ plan: { features } }), datasets: withFlags('ZSTD') });
    assert.equal(found.code, 'preflight.feature-disabled');
    assert.match(found.message, /would not be enabled on new/);
  });

  it('include what a receive that can be resumed needs, whatever the stream', () => {
    const found = only({ pool: pool({ 'feature@extensible_dataset': 'disabled' }) });
    assert.match(found.message, /zfs receive -s needs the pool feature extensible_dataset/);
  });

  it('are not asked for where nothing is received', () => {
    const idle = dataset({ place: standing(1), base: guid(1), streams: [] });
    assert.deepEqual(
      codes({ pool: pool({ 'feature@extensible_dataset': 'disabled' }), datasets: [idle] }),
      [],
    );
  });

  it('that nothing receives are refused by their names', () => {
    assert.match(only({ datasets: withFlags('DEDUP', 'COMPRESSED') }).advice, /zstream redup/);
    const later = { features: (1n << 40n).toString(16) };
    const found = only({ datasets: [dataset({ streams: [stream(1, { begin: later })] })] });
    assert.equal(found.code, 'preflight.stream-unreceivable');
    assert.match(found.message, /bit 40/);
  });

  it('all come out as needed, for any flags', () => {
    const names = Object.keys(FEATURES).filter((name): name is FeatureName => name in FEATURES);
    fc.assert(
      fc.property(fc.array(fc.subarray(names)), (streams) => {
        const begins = streams.map((flags) => ({ begin: begin(...flags) }));
        const needed = neededFeatures(begins);
        assert.ok(
          begins.every((one) => poolFeaturesOf(one.begin).every((feature) => needed.includes(feature))),
        );
        assert.equal(new Set(needed).size, needed.length);
      }),
    );
  });
});

describe('the version of ZFS', () => {
  it('is warned of where it is older than what sent', () => {
    const streams = [stream(1), stream(2, { zfs: 'zfs-2.4.0-1' }), stream(3, { zfs: null })];
    const found = only({ datasets: [dataset({ streams })] });
    assert.equal(found.level, 'warn');
    assert.match(found.message, /ZFS is 2\.3\.9-0\+deb13u1 here, older than what sent \(zfs-2\.4\.0-1\)/);
  });

  it("is the module's, which receives", () => {
    const streams = [stream(1, { zfs: 'zfs-2.3.9' })];
    assert.deepEqual(
      codes({ abilities: { ...ABILITIES, module: '2.2.2' }, datasets: [dataset({ streams })] }),
      ['warn zfs-older'],
    );
    const nobody = { ...ABILITIES, module: null, version: null };
    assert.deepEqual(codes({ abilities: nobody, datasets: [dataset({ streams })] }), []);
  });

  it('is compared by its numbers', () => {
    assert.ok(
      isOlder('2.3.9', '2.3.10') && isOlder('zfs-2.1.11-1', 'zfs-2.3.0') && isOlder('2.2.99', '3.0.0'),
    );
    assert.ok(!isOlder('2.3.9-2', '2.3.9-1') && !isOlder('2.4', '2.3.9') && !isOlder('unknown', '2.3.9'));
    assert.ok(isOlder('2.3', '2.3.1'));
  });
});

describe('the key', () => {
  const raw = [stream(1, { begin: begin('RAW') })];

  it('of a raw stream is warned of, with the way to load it', () => {
    const key = { format: 'passphrase', location: 'prompt', root: null, present: null };
    const found = only({ datasets: [dataset({ streams: raw, key })] });
    assert.equal(found.code, 'preflight.key-needed');
    assert.match(found.message, /It takes the passphrase that it had, typed in$/);
    assert.equal(found.advice, 'afterwards: zfs load-key new/a');
  });

  it('in a file is named, and whether the file is here', () => {
    const key = { format: 'raw', location: 'file:///etc/zfs/two words', root: 'tank/enc', present: false };
    const found = only({ datasets: [dataset({ streams: raw, key })] });
    assert.match(
      found.message,
      /the key \(raw\) of tank\/enc, from file:\/\/\/etc\/zfs\/two words, which is not on this host/,
    );
    assert.match(found.advice, /^bring .*zfs load-key -L 'file:\/\/\/etc\/zfs\/two words' new\/a/);
    const here = only({ datasets: [dataset({ streams: raw, key: { ...key, present: true } })] });
    assert.ok(!here.advice.includes('bring'));
  });

  it('is warned of also where nothing is stored about it', () => {
    assert.match(only({ datasets: [dataset({ streams: raw })] }).message, /It takes the key that it had$/);
  });

  it('is not asked for where a dataset goes on', () => {
    assert.deepEqual(codes({ datasets: [dataset({ place: standing(1), base: guid(1), streams: raw })] }), []);
  });

  it('of an encrypted parent must be loaded for a plain stream', () => {
    const above = { name: 'new', parent: true, available: null, encrypted: true, keystatus: 'unavailable' };
    const found = only({ datasets: [dataset({ place: place({ above }) })] });
    assert.equal(found.code, 'preflight.key-not-loaded');
    assert.equal(found.advice, 'zfs load-key new');
    const loaded = place({ above: { ...above, keystatus: 'available' } });
    assert.deepEqual(codes({ datasets: [dataset({ place: loaded })] }), []);
    assert.deepEqual(codes({ datasets: [dataset({ place: place({ above }), streams: raw })] }), [
      'warn key-needed',
    ]);
  });
});
