/** `zkeep lustre`: what this host has of Lustre file systems. */
import type { Command } from 'commander';
import type { CommonOptions } from '../../settings.ts';
import { common, type Outcome, perform, type Surroundings } from '../command.ts';
import { addLustreInspect } from './inspect.ts';

const EXAMPLE = `zkeep lustre targets
zkeep lustre targets --json`;

export function addLustre(program: Command, exit: (code: number) => void): void {
  const lustre = program
    .command('lustre')
    .description('Lustre targets: of this host, and as they are stored')
    .addHelpText('after', '\nExample:\n  zkeep lustre targets\n  zkeep lustre inspect mdtpool/mdt0');
  const targets = lustre
    .command('targets')
    .description('list MGT, MDT and OST datasets: their state, and what is wrong with them');
  common(targets, EXAMPLE).action(async (options: CommonOptions) => {
    exit(await perform('lustre targets', options, listTargets));
  });
  addLustreInspect(lustre, exit);
}

async function listTargets({ signal }: Surroundings): Promise<Outcome> {
  const { lookAtTargets } = await import('../../lustre/targets.ts');
  const { targetsDocument, targetsInWords } = await import('../../lustre/words.ts');
  const found = await lookAtTargets(signal);
  return { document: targetsDocument(found), text: targetsInWords(found) };
}
