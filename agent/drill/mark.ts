/** The mark by which the place of a drill is known, by whoever finds it: when it was made, by which process, and whether it is to stay. */
import { bootNow, isAlive } from '../backup/writer.ts';
import { run } from '../zfs/run.ts';

/** The user property that marks it. */
export const DRILL_MARK = 'zkeep:drill';
const NAME = /\/zkeep-drill-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}(?=\/|$)/;
const MARK =
  /^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,12}Z) process ([1-9][0-9]{0,9}) of boot ([0-9a-f-]{0,40})( kept)?$/;

/** What it says. */
export interface DrillMark {
  /** When the drill began, ISO 8601. */
  readonly began: string;
  readonly process: number;
  /** Of the host: another one, and no process of then lives. Empty where nothing tells. */
  readonly boot: string;
  /** What was restored is to stay. */
  readonly kept: boolean;
}

/** A place that bears a drill's name and mark. */
export interface MarkedPlace {
  readonly container: string;
  /** The mark as it stands there. */
  readonly mark: string;
  /** `null`: nobody can read it. */
  readonly says: DrillMark | null;
}

/** The mark of a drill of this process. @param now milliseconds since 1970. */
export function markNow(now: number, kept: boolean): DrillMark {
  return { began: new Date(now).toISOString(), process: process.pid, boot: bootNow(), kept };
}

/** @example markText(mark) // '2026-11-20T21:50:00.000Z process 4711 of boot 6b0d...' */
export function markText({ began, process: id, boot, kept }: DrillMark): string {
  return `${began} process ${id} of boot ${boot}${kept ? ' kept' : ''}`;
}

/** Reads names and marks as `zfs get` prints them; only what is called as a drill calls it counts. */
export function parseMarks(printed: string): MarkedPlace[] {
  return printed.split('\n').flatMap((line) => {
    const [container = '', mark = ''] = line.split('\t');
    const name = NAME.exec(container);
    if (!name || name.index + name[0].length !== container.length) return [];
    const [, began, id, boot = '', kept] = MARK.exec(mark) ?? [];
    const says = began && id ? { began, process: Number(id), boot, kept: kept !== undefined } : null;
    return [{ container, mark, says }];
  });
}

/** Whether a dataset is the place of a drill or within one: no backup is to be made of it. */
export function isOfDrill(dataset: string): boolean {
  return NAME.test(dataset);
}

/**
 * The places of drills below `scratch`, or on the whole host: those that were killed, kept, or run at this moment.
 */
export async function drillPlacesIn(
  scratch: string | undefined,
  signal?: AbortSignal,
): Promise<MarkedPlace[]> {
  const where = scratch === undefined ? [] : ['-r', scratch];
  return parseMarks(
    await run(
      ['zfs', 'get', '-Hp', '-t', 'filesystem', '-s', 'local', '-o', 'name,value', DRILL_MARK, ...where],
      { signal },
    ),
  );
}

/** Whether the process that made a place is at it; one whose mark nobody can read is taken for at work. */
export function isAtDrill(
  { says }: Pick<MarkedPlace, 'says'>,
  boot: string = bootNow(),
  lives: (process: number) => boolean = isAlive,
): boolean {
  return says === null || (says.boot === boot && lives(says.process));
}

/** Nobody is at it, and nobody asked for it to stay. */
export function isForsaken(place: MarkedPlace, ...looking: [boot?: string, lives?: (id: number) => boolean]) {
  return place.says !== null && !place.says.kept && !isAtDrill(place, ...looking);
}
