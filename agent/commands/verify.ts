/** `zkeep verify`: whether what is kept is whole. */
import type { Command } from 'commander';
import { EXIT_CODES } from '../../catalog/errors.ts';
import type { VerifyReport } from '../../catalog/repository/verify.ts';
import { type CommonOptions, readIdentities } from '../settings.ts';
import { common, fromRepository, type Outcome, patient, perform, type Surroundings } from './command.ts';
import { withView } from './connect.ts';

interface VerifyOptions extends CommonOptions {
  readonly deep?: boolean;
}

const EXAMPLE = `zkeep verify
zkeep verify tank/home --deep
zkeep verify --repository s3://backups/zkeep --deep`;

export function addVerify(program: Command, exit: (code: number) => void): void {
  const command = program
    .command('verify')
    .description('check that every backup is whole')
    .argument('[dataset]', 'only backups of this dataset')
    .option('--deep', 'read, decode and check every byte, not only that every object is there');
  common(patient(fromRepository(command)), EXAMPLE).action(
    async (dataset: string | undefined, options: VerifyOptions) => {
      exit(await perform('verify', options, async (surroundings) => await verify(dataset, surroundings)));
    },
  );
}

async function verify(
  dataset: string | undefined,
  surroundings: Surroundings<VerifyOptions>,
): Promise<Outcome> {
  const { options, progress, signal } = surroundings;
  const identities = options.identity === undefined ? [] : readIdentities(options.identity);
  const report = await withView(surroundings, async (view) => {
    progress.begin('verify');
    return await view.verify({
      deep: options.deep === true,
      ...(dataset === undefined ? {} : { dataset }),
      identities,
      onProgress: ({ bytes }) => progress.tell({ bytes }),
      signal,
    });
  });
  return {
    document: { ...report },
    text: await inWords(report),
    exit: report.problems.length === 0 ? 0 : EXIT_CODES.damaged,
  };
}

async function inWords({ backups, segments, bytes, problems }: VerifyReport): Promise<string> {
  const { counted, sizeInWords } = await import('../output/words.ts');
  const lines = problems.map(({ backup, message }) => `${backup ?? 'repository'}: ${message}`);
  const looked = `${counted(backups, 'backup')}, ${counted(segments, 'segment')}, ${sizeInWords(bytes)}`;
  const end = problems.length === 0 ? 'all is well' : counted(problems.length, 'problem');
  return [...lines, `${looked}: ${end}`].join('\n');
}
