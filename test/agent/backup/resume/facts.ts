/** Made-up datasets and open backups, for the tests of what is decided of them. */
import type { PointFacts, SourceFacts } from '../../../../agent/zfs/list.ts';
import type { OpenBackupRow, ResumeOffer } from '../../../../catalog/protocol/protocol.ts';
import { StreamReader } from '../../../../catalog/stream/reader.ts';
import type { ReaderState, ResumePoint } from '../../../../catalog/stream/state.ts';
import { guidOf, newUuid7, parseBackupId, type SetId } from '../../../../catalog/words.ts';
import { makeStream } from '../../../made-stream.ts';

export const OWN = 'zkeep-20261120T090000Z';
export const ZFS = 'zfs-2.3.9-0+deb13u1';
export const BACKUP = parseBackupId(newUuid7(1));
export const SET = newUuid7(2) as SetId;

/** A snapshot, or with `kind` a bookmark; its GUID orders it in its pool, too. */
export function point(
  dataset: string,
  name: string,
  guid: number,
  more: Partial<PointFacts> = {},
): PointFacts {
  const at = { guid: guidOf(BigInt(guid)), createtxg: BigInt(guid), created: guid };
  return { dataset, kind: 'snapshot', name, ...at, references: 0, ...more };
}

/** A file system that is not encrypted, unless said otherwise. */
export function source(
  dataset: string,
  points: readonly PointFacts[] = [],
  more: Partial<SourceFacts> = {},
): SourceFacts {
  return {
    dataset,
    type: 'filesystem',
    guid: null,
    encrypted: false,
    resumeToken: undefined,
    points,
    ...more,
  };
}

/** An open backup of tank/a, snapshot 7, full, by process 1 of host `here`, unless said otherwise. */
export function row(more: Partial<OpenBackupRow> = {}): OpenBackupRow {
  return {
    backup: BACKUP,
    opened: '2026-11-20T09:00:00.000Z',
    heard: '2026-11-20T09:10:00.000Z',
    source: { host: 'here', dataset: 'tank/a', pool_guid: guidOf(99n), zfs: ZFS },
    writer: { host: 'here', process: 1 },
    from: null,
    to: guidOf(7n),
    set: null,
    segments: 3,
    bytes: 3 * 16 * 1024 * 1024,
    ...more,
  };
}

/** What the service offers of it, with the BEGIN and a point of a made stream. */
export function offer(
  open: OpenBackupRow,
  more: Partial<ResumeOffer> & { features?: bigint; frame?: number; imported?: boolean } = {},
): ResumeOffer {
  const { features = 0x480004n, frame = 1024 * 1024, imported = false, ...rest } = more;
  const [header = new Uint8Array()] = makeStream({
    toGuid: BigInt(`0x${open.to}`),
    fromGuid: BigInt(`0x${open.from ?? '0'}`),
    toName: `${open.source.dataset}@${OWN}`,
    features,
    blocks: [],
  });
  const reader = new StreamReader();
  reader.write(header);
  const state: ReaderState = reader.save();
  const point_: ResumePoint = { type: 'WRITE', object: '2', offset: '131072', state };
  return {
    backup: open.backup,
    session: '00000000-0000-4000-8000-000000000000',
    opened: open.opened,
    request: {
      source: open.source,
      writer: open.writer,
      set: open.set,
      from: open.from === null ? null : { guid: open.from, name: 'base' },
      to: { guid: open.to, name: OWN },
      begin: reader.begin ?? failBegin(),
      send_flags: imported ? null : ['-L', '-c'],
      compression: { method: 'zstd', level: 3, frame },
      takeover: null,
    },
    segments: open.segments,
    bytes: open.bytes,
    stored: 1000,
    after: { ...state, at: open.bytes },
    point: point_,
    attributes: null,
    ...rest,
  };
}

function failBegin(): never {
  throw new Error('a made stream has no BEGIN');
}
