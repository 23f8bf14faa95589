/** A service, a host with made streams, and backups that are stopped halfway: what the tests of resuming share. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'node:test';
import { FIRST_SEGMENT } from '../../../../catalog/repository/segment/sizes.ts';
import { until } from '../../made-host.ts';
import { AgentHouse, type Running } from '../../road/agent-house.ts';
import type { BackupDocument } from '../../road/backup-documents.ts';
import { guidText, ZfsHost } from './zfs-host.ts';

export const MIB = 1024 * 1024;
/** `sent_again` at most: what was on its way when it broke. */
export const TWO_SEGMENTS = 2 * FIRST_SEGMENT;

export let house: AgentHouse;
export let host: ZfsHost;
/** Each test has a house and a host of its own. */
export function eachAnew(): void {
  beforeEach(async () => {
    house = await AgentHouse.open();
    host = new ZfsHost({ 'tank/a': 1, 'tank/b': 2 });
  });
  afterEach(async () => {
    await house.end();
    host.end();
  });
}

/** Another house for this test, with these further lines of `server.toml`. */
export async function houseAs(settings: string): Promise<void> {
  await house.end();
  house = await AgentHouse.open(settings);
}

export async function backUp(words: readonly string[], code = 0): Promise<BackupDocument> {
  const document: unknown = await house.document(['backup', ...words], code, { env: host.env });
  return document as BackupDocument;
}

/** Segments in the store, of all backups. */
export function segments(): number {
  const folder = join(house.repository, 'segments');
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, backup) => sum + readdirSync(join(folder, backup)).length, 0);
}

/** The segments of the one backup that is there, each with the time at which it was written. */
export function written(): string[] {
  const folder = join(house.repository, 'segments');
  const [backup = '', ...others] = readdirSync(folder);
  assert.deepEqual(others, []);
  const names = readdirSync(join(folder, backup)).toSorted();
  return names.map((name) => `${backup} ${name} ${statSync(join(folder, backup, name)).mtimeMs}`);
}

/** Starts a backup and lets it wait when all whole segments of the first so many bytes are stored. */
export async function halfway(words: readonly string[], bytes: number): Promise<Running> {
  const before = segments();
  host.fault('waits-at', bytes);
  const running = house.begin(['backup', ...words, '--json'], host.env);
  await host.untilWaiting();
  const whole = Math.floor(bytes / FIRST_SEGMENT);
  await until(`${whole} segments`, () => segments() === before + whole);
  return running;
}

/** Kills it, as a power cut would, and lets ZFS go on. */
export async function kill({ child, ended }: Running, signal: NodeJS.Signals = 'SIGKILL') {
  child.kill(signal);
  host.mend('waits-at');
  return await ended;
}

export async function isStored(dataset: string, guid: number, stream: Buffer): Promise<void> {
  const words = ['export', dataset, '--guid', guidText(guid), '--quiet'];
  const { code, stdout, stderr } = await house.zkeep(words);
  assert.equal(code, 0, stderr);
  assert.ok(stdout.equals(stream), 'the stored stream is the one that was never cut');
}
