/** Leftovers as a document and as people read them. */
import { momentInWords, printable, sizeInWords } from '../output/words.ts';
import { showCommand } from '../zfs/failure.ts';
import type { Leftovers } from './decide.ts';
import type { Leftover } from './leftover.ts';

/** Somebody who could not be asked, and why. */
export interface Unasked {
  readonly who: string;
  readonly code: string;
  readonly message: string;
}

/** What `--json` says. */
export function leftoversDocument(
  host: string,
  { leftovers, unjudged }: Leftovers,
  unasked: readonly Unasked[],
): Readonly<Record<string, unknown>> {
  const documents = leftovers.map(({ since, ...rest }) => ({ ...rest, since: momentOf(since) }));
  return { host, leftovers: documents, unjudged, unasked };
}

/** A clock may have been set to where no calendar reaches. */
function momentOf(seconds: number | null): string | null {
  const date = new Date((seconds ?? Number.NaN) * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** A paragraph for each, and below them what could not be told. */
export function leftoversInWords({ leftovers, unjudged }: Leftovers, unasked: readonly Unasked[]): string {
  const nothing = unasked.length === 0 ? 'nothing is left' : 'nothing else can be told';
  return [
    ...(leftovers.length === 0 ? [nothing] : leftovers.map(inWords)),
    ...unasked.map(({ who, message }) => `! ${who} could not be asked: ${printable(message)}`),
    ...(unjudged > 0
      ? [`! only the service tells which of ${unjudged} snapshots and bookmarks of zkeep are needed`]
      : []),
  ].join('\n');
}

function inWords(leftover: Leftover): string {
  const { kind, name, dataset, what, bytes, since, continues, clear } = leftover;
  const title = kind === 'open-backup' ? `${dataset}  ${name}` : name;
  const facts = [
    ...(bytes === null ? [] : [`${sizeInWords(bytes)} ${MEANING[kind]}`]),
    ...(since === null ? [] : [`since ${momentInWords(since)}`]),
  ];
  return [
    printable(title),
    `    ${printable(what)}${facts.length > 0 ? `; ${facts.join(', ')}` : ''}`,
    ...(continues ? [`    goes on: ${showCommand(continues)}`] : []),
    ...clear.map((command, at) => `    ${at === 0 ? 'clears:  ' : '         '}${showCommand(command)}`),
  ].join('\n');
}

/** What the bytes are. */
const MEANING: Readonly<Record<Leftover['kind'], string>> = {
  'open-backup': 'sent',
  'partial-receive': 'received',
  drill: 'in all',
  snapshot: 'kept by it alone',
  hold: 'kept by it alone',
  bookmark: '',
};
