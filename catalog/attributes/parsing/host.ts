/** What a host says of itself: names, versions, host id, module parameters, Lustre. */
import type { CommandOutput, HostAttributes, LustreHost } from '../attributes.ts';
import { type Command, commandOf } from './command.ts';
import { bytesOfText, textOf } from './text.ts';
import { isRecord, parseZfsJson } from './zfs-json.ts';

/** What all the outputs together say of their host; `null` when they say nothing. */
export function hostOf(outputs: readonly CommandOutput[]): HostAttributes | null {
  const told: Told = { parameters: new Map(), nids: new Set(), mounts: new Map() };
  let heard = false;
  for (const output of outputs) {
    const command = commandOf(output.command);
    const hear = Object.hasOwn(HEARERS, command.name) ? HEARERS[command.name] : undefined;
    const text = hear ? textOf(output) : '';
    if (hear && text.trim() !== '') heard = hear(told, text, command) || heard;
  }
  if (!heard) return null;
  return {
    name: told.name ?? '',
    os: told.os ?? told.system ?? null,
    kernel: told.kernel ?? null,
    zfs: { userland: told.userland ?? null, module: told.module ?? null },
    // A module parameter that is not zero is what ZFS uses, whatever the file says (spl, `zone_get_hostid`).
    hostid: told.hostidOfModule ?? told.hostidOfFile ?? told.hostid ?? null,
    parameters: Object.fromEntries(told.parameters),
    lustre: lustreOf(told),
  };
}

/** What was heard so far. */
interface Told {
  name?: string;
  os?: string;
  system?: string;
  kernel?: string;
  userland?: string;
  module?: string;
  hostid?: string | null;
  hostidOfFile?: string | null;
  hostidOfModule?: string;
  lustreVersion?: string;
  readonly parameters: Map<string, string>;
  readonly nids: Set<string>;
  readonly mounts: Map<string, LustreHost['mounts'][number]>;
}

/** Takes what an output says; whether it said anything. */
type Hearer = (told: Told, text: string, command: Command) => boolean;

const HEARERS: Readonly<Record<string, Hearer>> = {
  'zfs version': hearVersion,
  uname: hearUname,
  hostname: (told, text) => take(told, 'name', firstLine(text)),
  hostid: (told, text) => {
    const digits = /^[0-9a-f]{1,8}/i.exec(firstLine(text))?.[0];
    if (digits === undefined) return false;
    told.hostid = hostidOf(Number.parseInt(digits, 16));
    return true;
  },
  cat: hearFiles,
  sysctl: hearLines,
  grep: hearLines,
  'lctl get_param': (told, text) => {
    // `version=2.15.5`; `2.15.5` with -n; of old `version=lustre: 2.9.0` and more lines.
    const version = /^(?:version=)?(?:lustre: +)?([0-9]\S*)$/m.exec(text)?.[1];
    return version !== undefined && take(told, 'lustreVersion', version);
  },
  'lctl list_nids': (told, text) => {
    for (const nid of text.split(/\s+/)) if (/^\S+@\S+$/.test(nid)) told.nids.add(nid);
    return told.nids.size > 0;
  },
};

function take(told: Told, field: 'name' | 'os' | 'kernel' | 'lustreVersion', text: string): boolean {
  told[field] = text.slice(0, 500);
  return true;
}

function hearVersion(told: Told, text: string): boolean {
  const json = parseZfsJson(text);
  const version = isRecord(json) ? json['zfs_version'] : undefined;
  const lines = isRecord(version)
    ? [version['userland'], version['kernel']].filter((line) => typeof line === 'string')
    : text.split('\n');
  for (const line of lines) {
    const [, module, rest] = /^zfs-(kmod-)?(\S+)\s*$/.exec(line) ?? [];
    if (rest !== undefined) told[module === undefined ? 'userland' : 'module'] = rest;
  }
  return told.userland !== undefined || told.module !== undefined;
}

/** `uname -a` and any choice of its letters: system, node, release, each one word, in this order. */
function hearUname(told: Told, text: string, { flags }: Command): boolean {
  const words = firstLine(text).split(/\s+/);
  const wanted = flags.size === 0 ? ['s'] : flags.has('a') ? ['s', 'n', 'r'] : [...flags];
  const [system, node, release] = ['s', 'n', 'r'].map((letter) =>
    wanted.includes(letter) ? words.shift() : undefined,
  );
  if (node !== undefined) take(told, 'name', node);
  if (release !== undefined) take(told, 'kernel', release);
  if (system !== undefined) told.system = release === undefined ? system : `${system} ${release}`;
  return true;
}

function hearFiles(told: Told, text: string, { rest }: Command): boolean {
  const [path] = rest;
  if (path === undefined) return false;
  if (rest.length > 1) {
    const lines = text.split('\n');
    // Each of them is one line, else nobody can tell which is whose.
    if (lines.length !== rest.length + 1) return false;
    return rest.map((one, index) => hearFile(told, one, lines[index] ?? '')).includes(true);
  }
  return hearFile(told, path, text);
}

function hearFile(told: Told, path: string, text: string): boolean {
  if (path.endsWith('/os-release')) {
    const name = /^PRETTY_NAME=(.*)$/m.exec(text)?.[1];
    return name !== undefined && take(told, 'os', unquoted(name.trim()));
  }
  if (path === '/etc/release') return take(told, 'os', firstLine(text));
  if (path === '/etc/hostid') return hearHostidFile(told, text);
  if (path === '/etc/hostname' || path === '/proc/sys/kernel/hostname') {
    return take(told, 'name', firstLine(text));
  }
  if (path === '/proc/mounts' || path === '/etc/mtab') return hearMounts(told, text);
  const [, module, name] = /^\/sys\/module\/([^/]+)\/(parameters\/[^/]+|version)$/.exec(path) ?? [];
  if (module === undefined || name === undefined) return false;
  if (name !== 'version') return hearParameter(told, name.replace('parameters/', ''), text.trim());
  if (module === 'zfs') told.module ??= firstLine(text);
  return module === 'zfs';
}

/** Lines of a path or name, a colon or equals sign, and a value. */
function hearLines(told: Told, text: string): boolean {
  let heard = false;
  for (const line of text.split('\n')) {
    const [, name, value] = /^([A-Za-z0-9_./-]+)(?::|=)\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    heard = hearParameter(told, name.slice(name.lastIndexOf('/') + 1), value) || heard;
  }
  return heard;
}

function hearParameter(told: Told, name: string, value: string): boolean {
  told.parameters.set(name, value);
  if ((name === 'spl_hostid' || name === 'kern.hostid') && /^[0-9]{1,10}$/.test(value)) {
    const hostid = hostidOf(Number(value));
    if (hostid !== null) told.hostidOfModule = hostid;
  }
  return true;
}

/** Four bytes in the order of the machine, which is little-endian wherever OpenZFS runs today (`zgenhostid`). */
function hearHostidFile(told: Told, text: string): boolean {
  const bytes = bytesOfText(text);
  if (bytes.length !== 4) return false;
  told.hostidOfFile = hostidOf(bytes.readUInt32LE());
  return true;
}

function hearMounts(told: Told, text: string): boolean {
  for (const line of text.split('\n')) {
    const [device = '', mountpoint = '', type = ''] = line.split(' ');
    // `lustre_tgt` since 2.17. A client's mount has the same type, and is told by its device.
    if (type !== 'lustre' && type !== 'lustre_tgt') continue;
    const mount = { device: unescaped(device), mountpoint: unescaped(mountpoint) };
    told.mounts.set(`${device} ${mountpoint}`, mount);
  }
  return told.mounts.size > 0;
}

function lustreOf({ lustreVersion, nids, mounts }: Told): LustreHost | null {
  if (lustreVersion === undefined && nids.size === 0 && mounts.size === 0) return null;
  return { version: lustreVersion ?? null, nids: [...nids], mounts: [...mounts.values()] };
}

/** 8 hex digits; `null` for zero and for what has more than 32 bits. */
function hostidOf(value: number): string | null {
  return value > 0 && value <= 0xffffffff ? value.toString(16).padStart(8, '0') : null;
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? '').trim();
}

/** os-release quotes as a shell does. */
function unquoted(text: string): string {
  const [, quote, inside] = /^(["'])(.*)\1$/.exec(text) ?? [];
  if (inside === undefined) return text;
  return quote === '"' ? inside.replace(/\\(["$`\\])/g, '$1') : inside;
}

/** The kernel writes spaces, tabs and newlines in `/proc/mounts` as three octal digits. */
function unescaped(text: string): string {
  return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
