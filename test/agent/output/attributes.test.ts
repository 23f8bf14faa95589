import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  attributesInWords,
  propertyRows,
  sourceInWords,
  valueInWords,
} from '../../../agent/output/attributes.ts';
import { withoutDefaults } from '../../../agent/output/history.ts';
import type { ObjectAttributes, ParsedAttributes } from '../../../catalog/attributes/attributes.ts';

describe('attributes in words', () => {
  it('begin with what somebody set or sent, and end with what only is so', () => {
    const rows = propertyRows({
      used: { value: '1', source: 'none' },
      atime: { value: 'on', source: 'default' },
      quota: { value: '5', source: 'local' },
      exec: { value: 'off', source: 'inherited', from: 'tank' },
      'a:b': { value: 'x', source: 'local' },
      setuid: { value: 'off', source: 'received', received: 'off' },
    });
    assert.deepEqual(
      rows.map(([name]) => name),
      ['a:b', 'quota', 'setuid', 'exec', 'atime', 'used'],
    );
  });

  it('say where a value comes from, and which one it hides', () => {
    assert.equal(sourceInWords({ value: 'on', source: 'none' }), '-');
    assert.equal(
      sourceInWords({ value: 'on', source: 'inherited', from: 'tank/a' }),
      'inherited from tank/a',
    );
    assert.equal(sourceInWords({ value: 'on', source: 'received', received: 'on' }), 'received');
    assert.equal(sourceInWords({ value: 'on', source: 'local', received: 'off' }), 'local, received off');
  });

  it('show bytes that are no text as such, leave text alone, and stay short', () => {
    assert.equal(valueInWords('a\udcffb'), 'a\\xffb');
    assert.equal(valueInWords('\udc80'), '\\x80');
    // U+1F480 and U+100FF: their second halves look like such bytes.
    assert.equal(valueInWords('\u{1f480} \u{100ff}'), '\u{1f480} \u{100ff}');
    assert.equal(valueInWords('x'.repeat(9000)).length, 203);
  });

  it('count the snapshots that are not meant', () => {
    const point = (name: string): ObjectAttributes => ({ name, kind: 'snapshot', properties: {} });
    const parsed: ParsedAttributes = {
      objects: [{ ...point('t/a'), kind: 'volume' }, point('t/a@one'), point('t/a@two'), point('t/a@three')],
      pool: null,
      host: null,
    };
    const text = attributesInWords(parsed, 't/a@two');
    assert.match(text, /^t\/a, a volume$/m);
    assert.match(text, /^t\/a@two, a snapshot$/m);
    assert.match(text, /^and 2 other snapshots \(--json\)$/m);
    assert.match(
      attributesInWords({ ...parsed, objects: parsed.objects.slice(0, 2) }, undefined),
      /^and 1 other snapshot /m,
    );
  });

  it('show each bookmark in a row, the newest of very many', () => {
    const bookmark = (name: string, more: Record<string, string> = {}): ObjectAttributes => ({
      name: `t/a#${name}`,
      kind: 'bookmark',
      properties: Object.fromEntries(
        Object.entries({ guid: '7', creation: '1795161000', ...more }).map(([property, value]) => [
          property,
          { value, source: 'none' },
        ]),
      ),
    });
    const tell = (...objects: ObjectAttributes[]) =>
      attributesInWords(withoutDefaults({ objects, pool: null, host: null }), undefined);
    const text = tell(bookmark('old'), bookmark('new', { type: 'bookmark', referenced: '24576' }));
    assert.match(text, /^bookmarks of t\/a\nBOOKMARK +CREATED +GUID +REFERENCED\n/);
    assert.match(text, /^#old +2026-11-\d\d \d\d:\d\d:\d\d +7 +-$/m);
    assert.match(text, /^#new +2026-11-\d\d \d\d:\d\d:\d\d +7 +24576$/m);
    const many = tell(...Array.from({ length: 25 }, (_, index) => bookmark(`b${index}`)));
    assert.match(many, /^#b24 /m);
    assert.doesNotMatch(many, /^#b4 /m);
    assert.match(many, /^and 5 older bookmarks \(--json\)$/m);
  });

  it('tell all features of a pool in a row for each state', () => {
    const told = (value: string) => ({ value, source: 'local' as const });
    const properties = {
      comment: told('shelf'),
      'feature@longname': told('disabled'),
      'feature@lz4_compress': told('active'),
      'feature@bookmarks': told('active'),
    };
    const pool = { name: 'tank', guid: null, health: null, properties, vdevs: [] };
    const text = attributesInWords({ objects: [], pool, host: null }, undefined);
    assert.match(
      text,
      /^features of tank\nSTATE +FEATURES\nactive +bookmarks, lz4_compress\ndisabled +longname$/m,
    );
    assert.doesNotMatch(text, /feature@/);
  });

  it('tell of vdevs as the tree that they are, and of the host', () => {
    const text = attributesInWords(
      {
        objects: [],
        pool: {
          name: 'tank',
          guid: '7',
          health: 'ONLINE',
          properties: {},
          vdevs: [
            {
              level: 0,
              type: 'mirror',
              name: 'mirror-0',
              role: 'data',
              state: 'ONLINE',
              size: '1073741824',
              ashift: 12,
            },
            { level: 1, type: 'disk', name: '/dev/sda', role: 'data', state: null, size: null, ashift: null },
          ],
        },
        host: {
          name: 'mds1',
          os: null,
          kernel: '6.12',
          zfs: { userland: '2.3.9', module: '2.3.9' },
          hostid: null,
          parameters: { zfs_recover: '0' },
          lustre: { version: '2.17', nids: ['1@tcp'], mounts: [{ device: 'm/mgt', mountpoint: '/mnt' }] },
        },
      },
      undefined,
    );
    assert.match(text, /^pool tank, GUID 7, ONLINE$/m);
    assert.match(text, /^mirror-0 +mirror +data +ONLINE +1\.0 GiB +12$/m);
    assert.match(text, /^ {2}\/dev\/sda +disk +data +- +- +-$/m);
    assert.match(text, /^host mds1$/m);
    assert.match(text, /^hostid +none$/m);
    assert.match(text, /^lustre mount +m\/mgt on \/mnt$/m);
  });
});
