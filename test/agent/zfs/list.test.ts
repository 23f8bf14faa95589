import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseDatasets, parsePoints } from '../../../agent/zfs/list.ts';
import { parseToken } from '../../../agent/zfs/receive.ts';
import { parseEstimate } from '../../../agent/zfs/send.ts';
import { ZkeepError } from '../../../catalog/errors.ts';

const recorded = (name: string) =>
  readFileSync(new URL(`../../fixtures/outputs/${name}`, import.meta.url), 'utf8');

/** The recorded listing has other columns besides: name, type, guid, createtxg, creation, used, referenced, userrefs. */
function columns(...wanted: number[]): string {
  return recorded('zfs-list-all.out')
    .trimEnd()
    .split('\n')
    .map((line) => wanted.map((column) => line.split('\t')[column]).join('\t'))
    .join('\n');
}

const strange = (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === 'zfs.strange-output';

describe('the listing of snapshots and bookmarks', () => {
  it('is read from a real one', () => {
    const points = parsePoints(columns(0, 2, 3, 4, 7).split('\n').slice(2).join('\n'));
    assert.deepEqual(
      points.map(({ kind, name, createtxg, references }) => ({ kind, name, createtxg, references })),
      [
        { kind: 'snapshot', name: 'daily-1', createtxg: 8n, references: 0 },
        { kind: 'snapshot', name: 'daily-2', createtxg: 9n, references: 1 },
        { kind: 'bookmark', name: 'daily-1', createtxg: 8n, references: 0 },
      ],
    );
    assert.equal(points[0]?.dataset, 'mgspool/mgt');
    assert.equal(points[0]?.guid, points[2]?.guid);
    assert.equal(points[0]?.guid, BigInt('6256500079891610724').toString(16).padStart(16, '0'));
  });

  it('keeps a GUID above 2^53 exact', () => {
    assert.equal(parsePoints('t@a\t18446744073709551615\t1\t1\t0\n')[0]?.guid, 'ffffffffffffffff');
  });

  it('keeps spaces in names', () => {
    assert.equal(parsePoints('tank/a b@c d\t1\t2\t3\t0')[0]?.name, 'c d');
  });

  it('refuses lines of another shape', () => {
    assert.throws(() => parsePoints('t@a\t1\t2\t3'), strange);
    assert.throws(() => parsePoints('t@a\t1\t2\t3\t0\t5'), strange);
    assert.throws(() => parsePoints('t@a\t1\tx\t3\t0'), strange);
  });
});

describe('the listing of datasets', () => {
  it('tells type, GUID, encryption and what an interrupted receive left', () => {
    const printed =
      'tank\tfilesystem\toff\t-\t18446744073709551615\ntank/enc\tfilesystem\taes-256-gcm\t-\t10\ntank/v\tvolume\toff\t1-b6-b8-78\t-\n';
    assert.deepEqual(parseDatasets(printed), [
      {
        dataset: 'tank',
        type: 'filesystem',
        guid: 'ffffffffffffffff',
        encrypted: false,
        resumeToken: undefined,
      },
      {
        dataset: 'tank/enc',
        type: 'filesystem',
        guid: '000000000000000a',
        encrypted: true,
        resumeToken: undefined,
      },
      { dataset: 'tank/v', type: 'volume', guid: null, encrypted: false, resumeToken: '1-b6-b8-78' },
    ]);
  });

  it('refuses a type that it does not know', () => {
    assert.throws(() => parseDatasets('tank\tsomething\toff\t-\t7\n'), strange);
  });
});

describe('other outputs of zfs', () => {
  it('give the estimate of a send', () => {
    assert.equal(parseEstimate(recorded('dry-nvP.out')), 449176);
    assert.equal(parseEstimate(recorded('dry-nvP-R.out')), 447448);
    assert.equal(parseEstimate('full\ttank/a@b\n'), undefined);
  });

  it('give the snapshot that a resume token is about', () => {
    assert.equal(parseToken(recorded('resume-token-decoded.out')), 0xfc0b9f160ffb8cbfn);
    assert.equal(parseToken('cannot resume send: resume token is corrupt\n'), undefined);
  });
});
