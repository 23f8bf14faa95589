/** Backups that were opened and neither committed nor abandoned. */
import type { OpenBackupRow } from '../../catalog/protocol/protocol.ts';
import type { Guid } from '../../catalog/words.ts';
import { matchOpen } from '../backup/resume/find.ts';
import { isWriting } from '../backup/writer.ts';
import type { HereFacts, LeftoverFacts } from './facts.ts';
import type { Leftover } from './leftover.ts';

/** All that are open, those that are being written too. */
export function leftOpen({ host, now, here, kept }: LeftoverFacts): Leftover[] {
  return (kept?.open ?? []).map((open) => {
    const { backup, opened, bytes, source } = open;
    const running = isWriting(open, { host, now, lives: (id) => kept?.living.has(id) === true });
    const dataset = here ? datasetOf(open, here, host) : source.dataset;
    const isImport = source.zfs === null;
    const ours = dataset !== undefined && !isImport && (here !== null || source.host === host);
    return {
      kind: 'open-backup',
      dataset: dataset ?? source.dataset,
      name: backup,
      what: `${wordsFor(open, here)}; ${writerInWords(open, running, host)}`,
      bytes,
      since: Math.floor(Date.parse(opened) / 1000),
      running,
      continues: ours && !running ? ['zkeep', 'backup', dataset] : null,
      clear: running ? [] : [['zkeep', 'backup', '--abandon', ours ? dataset : backup]],
    };
  });
}

/**
 * The dataset of this host that has its snapshot, by the rule by which `zkeep backup` finds
 * it: whatever it is called by now; `undefined`: none has.
 */
export function datasetOf(
  row: OpenBackupRow,
  { sources, pools }: HereFacts,
  host: string,
): string | undefined {
  const [match] = matchOpen({ rows: [row], sources, trees: [], host, pools });
  const there = match?.source?.points.some((point) => isSnapshot(point, row.to)) === true;
  return there ? match?.source?.dataset : undefined;
}

function isSnapshot({ kind, guid }: { kind: string; guid: Guid }, to: Guid): boolean {
  return kind === 'snapshot' && guid === to;
}

function wordsFor({ source, to, from }: OpenBackupRow, here: HereFacts | null): string {
  const points = (here?.sources ?? []).flatMap(({ points: all }) => all);
  const point = points.find((each) => isSnapshot(each, to));
  const kind = from === null ? 'full' : 'incremental';
  if (point) return `an open ${kind} backup of ${source.dataset}@${point.name}`;
  if (source.zfs === null) {
    return `an open ${kind} backup of ${source.dataset}, snapshot ${to}, which the same zkeep import goes on with`;
  }
  const gone = here === null ? '' : ', which is not on this host: its snapshot is gone';
  return `an open ${kind} backup of ${source.dataset}, snapshot ${to}${gone}`;
}

function writerInWords({ writer, heard }: OpenBackupRow, running: boolean, host: string): string {
  const who = `process ${writer.process} on ${writer.host}`;
  if (running) return `${who} is at it`;
  return writer.host === host ? `${who}, its writer, is dead` : `${who}, its writer, was last heard ${heard}`;
}
