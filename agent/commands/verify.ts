/** `zkeep verify`: whether what is kept is whole. */
import type { Command } from 'commander';
import { EXIT_CODES } from '../../catalog/errors.ts';
import { type CommonOptions, readIdentities } from '../settings.ts';
import { common, fromRepository, type Outcome, perform, retryNote, type Surroundings } from './command.ts';

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
  common(fromRepository(command), EXAMPLE).action(
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
  const { openView } = await import('../view/view.ts');
  const view = await openView(options, { signal, onRetry: retryNote(progress) });
  try {
    progress.begin('verify');
    const report = await view.verify({
      deep: options.deep === true,
      ...(dataset === undefined ? {} : { dataset }),
      identities,
      onProgress: ({ bytes }) => progress.tell({ bytes }),
      signal,
    });
    const { counted, sizeInWords } = await import('../output/words.ts');
    const { backups, segments, bytes, problems } = report;
    const looked = `${counted(backups, 'backup')}, ${counted(segments, 'segment')}, ${sizeInWords(bytes)}`;
    const lines = problems.map(({ backup, message }) => `${backup ?? 'repository'}: ${message}`);
    const end = problems.length === 0 ? 'all is well' : counted(problems.length, 'problem');
    return {
      document: { ...report },
      text: [...lines, `${looked}: ${end}`].join('\n'),
      exit: problems.length === 0 ? 0 : EXIT_CODES.damaged,
    };
  } finally {
    await view.close();
  }
}
