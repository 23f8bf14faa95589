/** What this host says of itself now: versions, NIDs, hostid. */
import type { HostAttributes } from '../../catalog/attributes/attributes.ts';
import { parseOutputs } from '../../catalog/attributes/parsing/outputs.ts';
import { hostOutputs } from '../capture/host.ts';

/** Asks the host; `null` when it says nothing. */
export async function hostHere(signal: AbortSignal): Promise<HostAttributes | null> {
  const outputs = await hostOutputs({ root: '/', platform: process.platform, signal });
  return parseOutputs('', outputs).host;
}
