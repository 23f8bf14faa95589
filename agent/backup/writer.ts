/** Who writes: this process, and whether another one on this host still lives. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { systemClock } from '../../catalog/clock.ts';
import { ZkeepError } from '../../catalog/errors.ts';
import { LEASE_MILLISECONDS, type OpenBackupRow, type Writer } from '../../catalog/protocol/protocol.ts';
import { type BackupId, parseBackupId } from '../../catalog/words.ts';

/** This process. */
export function thisWriter(): Writer {
  return { host: hostname(), process: process.pid };
}

/** Backups that runs of this process write at this moment: an agent runs several jobs. */
export const writtenHere = new Set<BackupId>();

/**
 * The open backup that stands in the way, when its writer was on this host and
 * is dead, or is this very process (whose answer got lost, or whose run is over); else `undefined`.
 *
 * @param thrown what opening a backup threw.
 * @param lives whether a process of this host lives.
 */
export function deadRival(
  thrown: unknown,
  self: Writer = thisWriter(),
  lives: (process: number) => boolean = isAlive,
): BackupId | undefined {
  if (!(thrown instanceof ZkeepError) || thrown.code !== 'backup.busy') return undefined;
  const { backup, host, process: id } = thrown.facts;
  if (typeof backup !== 'string' || typeof host !== 'string' || typeof id !== 'number') return undefined;
  const open = parseBackupId(backup);
  return deadWriter(open, { host, process: id }, self, lives) ? open : undefined;
}

/**
 * The writer of an open backup, when it was on this host and is dead, or is this very
 * process, where none of its runs is at it; else `null`: its lease has to be waited for.
 */
export function deadWriter(
  backup: BackupId,
  writer: Writer,
  self: Writer = thisWriter(),
  lives: (process: number) => boolean = isAlive,
): Writer | null {
  if (writer.host !== self.host) return null;
  const isOver = writer.process === self.process ? !writtenHere.has(backup) : !lives(writer.process);
  return isOver ? writer : null;
}

/** From where a writer is looked at. */
export interface Onlooker {
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Whether a process of this host lives. */
  readonly lives: (process: number) => boolean;
}

/**
 * Whether the writer of an open backup is at it: a process of the onlooker's host by its
 * life, any other by when the service last heard of it.
 *
 * @example rows.filter((row) => !isWriting(row)) // those that nobody goes on with
 */
export function isWriting(
  { writer, heard }: Pick<OpenBackupRow, 'writer' | 'heard'>,
  { host, now, lives }: Onlooker = { host: hostname(), now: systemClock.now(), lives: isAlive },
): boolean {
  if (writer.host === host) return lives(writer.process);
  return now - Date.parse(heard) < LEASE_MILLISECONDS;
}

/** Whether a process of this host lives. */
export function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (thrown) {
    // EPERM: it lives, and belongs to somebody else.
    return !(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH');
  }
}

/** A process, so that none after it is taken for it. */
export interface ProcessMark {
  readonly process: number;
  /** Of the host: another one, and no process of then lives. Empty where nothing tells. */
  readonly boot: string;
  /** When it began, in the system's own count; empty where nothing tells. */
  readonly began: string;
}

/** This process. */
export function thisProcess(): ProcessMark {
  return { process: process.pid, boot: bootNow(), began: lookAt(process.pid).began };
}

/**
 * Whether a process of this host lives still, and is the one that was marked. One that ended and whose
 * parent has not noticed does not.
 *
 * @example livesOn(thisProcess()) // true
 */
export function livesOn({ process: id, boot, began }: ProcessMark): boolean {
  if (boot !== bootNow() || !isAlive(id)) return false;
  const now = lookAt(id);
  return now.began === began && now.state !== 'Z';
}

/** Which boot of the host this is; empty where nothing tells. */
export function bootNow(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** State and beginning of a process, from proc(5); the name before them may hold anything. */
function lookAt(id: number): { state: string; began: string } {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', began: fields[19] ?? '' };
  } catch {
    return { state: '', began: '' };
  }
}
