/** The `zfs send` of {@link ZfsHost}, a process of its own: whole streams from files, and their rests by token. */
import { existsSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { StreamReader } from '../../../../catalog/stream/reader.ts';
import { decodeToken } from '../../../../catalog/stream/resuming/token.ts';
import { takeApart } from '../../../catalog/stream/parts.ts';
import { changed, joined, sentAgain } from '../../../catalog/stream/resuming/sent-again.ts';

const [, , here = '', , ...words] = process.argv;
const last = words.at(-1) ?? '';
const PIECE = 65_536;

if (existsSync(join(here, 'base-goes')) && words.includes('-i') && !words.includes('-n')) loseBase();

if (words.includes('-n')) process.stdout.write(`size\t${streamOf(last).length}\n`);
else if (words[0] === '-t') sendRest(last);
else write(streamOf(last));

/** The stream of the snapshot; BEGIN tells what its dataset is called now. */
function streamOf(snapshot: string): Buffer {
  const guid = pointLine(({ name }) => name === snapshot)?.guid;
  if (guid === undefined) fail(`cannot open '${snapshot}': dataset does not exist`);
  const base = words.indexOf('-i');
  if (base >= 0 && !pointLine(({ name }) => name === words[base + 1])) {
    fail(`incremental source (${words[base + 1]}) does not exist`);
  }
  const stream = readFileSync(join(here, `stream-${guid}${base < 0 ? '' : '-i'}`));
  const reader = new StreamReader();
  reader.write(stream.subarray(0, 312));
  const dataset = snapshot.split('@')[0] ?? '';
  return reader.begin?.toName.startsWith(`${dataset}@`) ? stream : renamed(stream, `${dataset}@made`);
}

/** As if another run had destroyed it since this one was planned. */
function loseBase(): void {
  const base = words[words.indexOf('-i') + 1] ?? '';
  const lines = readFileSync(join(here, 'points'), 'utf8').split('\n');
  writeFileSync(join(here, 'points'), lines.filter((line) => !line.startsWith(`${base}\t`)).join('\n'));
  rmSync(join(here, 'base-goes'));
}

function renamed(stream: Buffer, name: string): Buffer {
  const [begin, ...rest] = takeApart(stream);
  if (!begin) throw new Error('a stream without BEGIN');
  const toname = Buffer.alloc(256);
  toname.write(name);
  return joined([changed<'BEGIN'>(begin, { toname }), ...rest]);
}

function sendRest(text: string): void {
  if (existsSync(join(here, 'refuses-tokens'))) fail(readFileSync(join(here, 'refuses-tokens'), 'utf8'));
  const token = decodeToken(text);
  const to = pointLine(({ guid }) => guid === BigInt(`0x${token.toguid}`));
  if (!to) fail(`'${token.toname}' is no longer the same snapshot used in the initial send`);
  if (token.fromguid && !pointLine(({ guid }) => guid === BigInt(`0x${token.fromguid}`))) {
    fail(`incremental source 0x${token.fromguid} no longer exists`);
  }
  const whole = readFileSync(join(here, `stream-${to.guid}${token.fromguid ? '-i' : ''}`));
  const parts = takeApart(whole);
  const at = { object: String(token.object), offset: String(token.offset) };
  const has = (name: string) =>
    parts.some(
      ({ record: { name: found, fields } }) =>
        found === name && 'offset' in fields && String(fields.offset) === at.offset,
    );
  const type = has('WRITE') ? 'WRITE' : 'OBJECT';
  const rest = sentAgain(parts, { type, ...at });
  if (existsSync(join(here, 'differs'))) {
    const first = rest.findIndex(({ record }) => record.name === 'WRITE');
    const part = rest[first];
    if (part) rest[first] = { ...part, payload: Buffer.from(part.payload).fill(1, 0, 4) };
  }
  write(joined(rest));
}

/** As `zfs send` writes into a pipe: it waits for whoever reads. */
function write(stream: Buffer): void {
  const waits = numberIn('waits-at');
  const dies = numberIn('dies-at');
  for (let at = 0; at < stream.length; ) {
    const end = Math.min(at + PIECE, stream.length, at < waits ? waits : stream.length);
    writeAll(stream.subarray(at, end));
    at = end;
    if (at >= dies) process.kill(process.pid, 'SIGKILL');
    if (at === waits) waitUntilMended();
  }
}

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

function waitUntilMended(): void {
  writeFileSync(join(here, 'waiting'), '');
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (let left = 3000; left > 0 && existsSync(join(here, 'waits-at')); left--) Atomics.wait(clock, 0, 0, 20);
}

function numberIn(file: string): number {
  const path = join(here, file);
  return existsSync(path) ? Number(readFileSync(path, 'utf8')) : Number.POSITIVE_INFINITY;
}

function pointLine(isIt: (point: { name: string; guid: bigint }) => boolean) {
  const lines = readFileSync(join(here, 'points'), 'utf8').split('\n').filter(Boolean);
  return lines
    .map((line) => {
      const [name = '', guid = '0'] = line.split('\t');
      return { name, guid: BigInt(guid) };
    })
    .find(isIt);
}

function fail(said: string): never {
  process.stderr.write(`${said}\n`);
  process.exit(255);
}
