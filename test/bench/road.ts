/**
 * The bare road of a backup, for the bench: a stream from standard input through
 * checks, compression and hashing into a folder, and back to standard output.
 * `node road.ts keep FOLDER < stream`, `node road.ts back FOLDER > stream`.
 */
import { hostname } from 'node:os';
import { readPieces } from '../../agent/backup/upload/pieces.ts';
import { buildManifest, type Segment } from '../../catalog/repository/manifest.ts';
import { segmentKey } from '../../catalog/repository/names.ts';
import { createRepository, openRepository } from '../../catalog/repository/repository.ts';
import { DEFAULT_LEVEL, FRAME_SIZE } from '../../catalog/repository/segment/frames.ts';
import { packStream } from '../../catalog/repository/segment/pack.ts';
import { sharedPool } from '../../catalog/repository/segment/threads/pool.ts';
import { type FetchSegment, unpackStream } from '../../catalog/repository/segment/unpack.ts';
import { DirectoryStore } from '../../catalog/repository/store/directory-store.ts';
import { newUuid7, parseBackupId } from '../../catalog/words.ts';

const [what, folder = ''] = process.argv.slice(2);
const store = new DirectoryStore(folder);
sharedPool().start(); // as the commands do
await (what === 'keep' ? keep() : back());

async function keep(): Promise<void> {
  const repository = await createRepository(store, { recipients: [] });
  const backup = parseBackupId(newUuid7(Date.now()));
  const segments: Segment[] = [];
  const stream = await packStream(readPieces(0, new AbortController().signal), {
    recipients: [],
    send: async ({ number, segment, body }, signal) => {
      const { sha256 } = segment;
      await store.put(segmentKey(backup, number, false), body, { sha256, ifAbsent: true, signal });
      segments[number] = segment;
    },
  });
  const now = new Date().toISOString();
  await repository.commit(
    buildManifest({
      backup,
      created: now,
      committed: now,
      set: null,
      source: { host: hostname(), dataset: 'bench/stream', pool_guid: null, zfs: null },
      from: null,
      to: { guid: stream.begin.toGuid, name: 'now' },
      stream,
      send_flags: null,
      compression: { method: 'zstd', level: DEFAULT_LEVEL, frame: FRAME_SIZE },
      encryption: null,
      attributes: null,
      segments,
    }),
  );
}

async function back(): Promise<void> {
  const repository = await openRepository(store);
  for await (const { to, backup } of repository.manifests()) {
    const manifest = await repository.manifest(to, backup);
    const fetch: FetchSegment = (number, signal, into) => repository.segment(manifest, number, signal, into);
    for await (const bytes of unpackStream(manifest, fetch)) {
      if (!process.stdout.write(bytes)) await new Promise((drained) => process.stdout.once('drain', drained));
    }
  }
}
