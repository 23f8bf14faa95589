/** Verification through the service: manifests from it, objects from the store by grants. */
import type { Manifest } from '../../catalog/repository/manifest.ts';
import { manifestKey } from '../../catalog/repository/names.ts';
import { sizeByGrant } from '../../catalog/repository/store/transfer.ts';
import type { Verifiable } from '../../catalog/repository/verify.ts';
import type { ServiceClient } from '../service/client.ts';
import { byGrant, ReadGrants } from './read-grants.ts';
import type { CatalogView } from './view.ts';

/** Objects that are looked at at the same time. */
const AT_ONCE = 8;

/** The repository behind the service, as far as verification reads it. */
export function verifiable(
  client: ServiceClient,
  view: CatalogView,
  dataset: string | undefined,
): Verifiable {
  return {
    async *manifests() {
      for await (const { backup, to } of view.backups(dataset === undefined ? {} : { dataset })) {
        yield { key: manifestKey(to, backup), to, backup };
      }
    },
    manifest: async (to, backup) => await view.manifest({ to, backup }),
    segment: async (manifest, number, signal, into) => await view.segment(manifest, number, signal, into),
    attributes: async (digest) => await view.attributes(digest),
    isKept: async (guid) => {
      for await (const _ of view.backups({ to: guid })) return true;
      return false;
    },
    storedSizes: async (manifest, signal) => await storedSizes(client, manifest, signal),
  };
}

async function storedSizes(
  client: ServiceClient,
  { backup, segments }: Manifest,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, number>> {
  const sizes = new Map<number, number>();
  const grants = new ReadGrants(
    segments.length,
    async (some) => await client.readGrants(backup, some, signal),
  );
  const looking = { patience: client.patience, signal };
  const look = async (number: number) => {
    const size = await byGrant(grants, number, async (grant) => await sizeByGrant(grant, signal), looking);
    if (size !== undefined) sizes.set(number, size);
  };
  for (let at = 0; at < segments.length; at += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, segments.length - at) }, (_, index) => at + index);
    await Promise.all(some.map(look));
  }
  return sizes;
}
