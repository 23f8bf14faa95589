/** What interrupted receives left at datasets of this host. */
import type { BackupSummary } from '../../catalog/protocol/protocol.ts';
import { abortReceiveCommand } from '../zfs/receive.ts';
import type { LeftoverFacts, PartialReceive } from './facts.ts';
import type { Leftover } from './leftover.ts';
import { migratingFrom } from './migrations.ts';

/** All of them: one that is being received right now cannot be told from one that was cut off. */
export function leftPartial(facts: LeftoverFacts): Leftover[] {
  return (facts.here?.partials ?? []).map((partial) => {
    const { dataset, token } = partial;
    return {
      kind: 'partial-receive',
      dataset,
      name: dataset,
      what: wordsFor(partial),
      bytes: token?.bytes ?? null,
      since: null,
      running: false,
      continues: continuing(partial, facts),
      clear: [abortReceiveCommand(dataset)],
    };
  });
}

function wordsFor({ token }: PartialReceive): string {
  if (!token) return 'an interrupted receive of something that its token does not tell';
  const { name, to, from } = token;
  return `an interrupted receive of ${name} (${to}), ${from === null ? 'a full stream' : `from ${from}`}`;
}

/** A migration where its snapshot is here, else a restore where its stream is stored. */
function continuing({ dataset, token }: PartialReceive, { here, kept }: LeftoverFacts): string[] | null {
  if (!token || !here) return null;
  const migrated = migratingFrom(here, token.to, dataset);
  if (migrated?.own) return ['zkeep', 'migrate', migrated.dataset, '--to', dataset];
  const stored = kept?.backups.get(token.to)?.find(({ from }) => from === token.from);
  if (stored) return restoring(stored, dataset);
  return migrated ? ['zkeep', 'migrate', migrated.dataset, '--to', dataset] : null;
}

function restoring({ host, dataset, to }: BackupSummary, target: string): string[] {
  return ['zkeep', 'restore', dataset, '--host', host, '--guid', to, '--to', target];
}
