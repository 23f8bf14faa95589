/** Small backups for tests, kept in a repository as an agent and the service would. */
import { hash } from 'node:crypto';
import { buildManifest, type Manifest } from '../../../catalog/repository/manifest.ts';
import { segmentKey } from '../../../catalog/repository/names.ts';
import type { Repository } from '../../../catalog/repository/repository.ts';
import { FRAME_SIZE } from '../../../catalog/repository/segment/frames.ts';
import { type PackedSegment, packStream } from '../../../catalog/repository/segment/pack.ts';
import { StreamReader } from '../../../catalog/stream/reader.ts';
import { type BackupId, newUuid7, parseBackupId, parseDigest } from '../../../catalog/words.ts';
import { type MadeStream, makeStream } from '../../made-stream.ts';

const NOW = '2026-11-20T08:00:00.000Z';

function newBackupId(): BackupId {
  return parseBackupId(newUuid7(Date.parse(NOW)));
}

/** Packs a made stream, stores its segments and commits the manifest. */
export async function keepStream(
  repository: Repository,
  made: MadeStream,
): Promise<{ manifest: Manifest; stream: Buffer }> {
  const backup = newBackupId();
  const stream = Buffer.concat([...makeStream(made)]);
  const { recipients } = repository.marker;
  const parts: PackedSegment[] = [];
  const summary = await packStream(
    (async function* () {
      yield stream;
    })(),
    {
      recipients,
      send: async (part) => {
        const key = segmentKey(backup, part.number, recipients.length > 0);
        await repository.store.put(key, part.body, { sha256: part.segment.sha256, ifAbsent: true });
        parts.push(part);
      },
    },
  );
  parts.sort((a, b) => a.number - b.number);
  const manifest = buildManifest({
    backup,
    created: NOW,
    committed: NOW,
    set: null,
    source: { host: 'h', dataset: 'made/stream', pool_guid: null, zfs: null },
    from: summary.begin.fromGuid === null ? null : { guid: summary.begin.fromGuid, name: null },
    to: { guid: summary.begin.toGuid, name: 'one' },
    stream: summary,
    send_flags: null,
    compression: { method: 'zstd', level: 3, frame: FRAME_SIZE },
    encryption: recipients.length > 0 ? { method: 'age-v1', recipients } : null,
    attributes: null,
    segments: parts.map(({ segment }) => segment),
  });
  await repository.commit(manifest);
  return { manifest, stream };
}

/** A manifest that fits together, of a backup whose segments lie nowhere. */
export function madeManifest(): Manifest {
  const reader = new StreamReader();
  const state = reader.save();
  for (const piece of makeStream({ toGuid: 3n, blocks: [] })) reader.write(piece);
  const stream = reader.end();
  return buildManifest({
    backup: newBackupId(),
    created: NOW,
    committed: NOW,
    set: null,
    source: { host: 'h', dataset: 'made/stream', pool_guid: null, zfs: null },
    from: null,
    to: { guid: stream.begin.toGuid, name: 'one' },
    stream,
    send_flags: null,
    compression: { method: 'zstd', level: 3, frame: FRAME_SIZE },
    encryption: null,
    attributes: null,
    segments: [
      {
        offset: 0,
        size: stream.bytes,
        stored: 10,
        sha256: parseDigest(hash('sha256', 'x')),
        state,
        entry: null,
      },
    ],
  });
}
