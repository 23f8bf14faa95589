/** Backups as the catalog tells of them, made up. */
import type { BackupSummary } from '../../../catalog/protocol/protocol.ts';
import { type BackupId, type Guid, guidOf, type LineageId, newUuid7 } from '../../../catalog/words.ts';

export const LINEAGE = newUuid7(0) as LineageId;

export function guid(number: number): Guid {
  return guidOf(BigInt(number));
}

/** The backup from one snapshot to another, named `s` and the number. */
export function step(from: number | null, to: number, more: Partial<BackupSummary> = {}): BackupSummary {
  return {
    backup: newUuid7(to) as BackupId,
    from: from === null ? null : guid(from),
    to: guid(to),
    flags: { raw: false, large_blocks: false },
    bytes: 1000,
    stored: 500,
    committed: '2026-11-20T09:00:00.000Z',
    lineage: LINEAGE,
    set: null,
    host: 'host',
    dataset: 'tank/a',
    name: `s${to}`,
    created: to,
    attributes: null,
    segments: 1,
    encrypted: false,
    drift: null,
    ...more,
  };
}
