/**
 * A host with Lustre targets: stand-ins for `zfs`, `zpool` and `lctl` that note
 * how they were called, keep their snapshots in files, and fail when told to.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeStream } from '../../made-stream.ts';
import { MadeHost, until } from '../made-host.ts';

/** Sends large streams, and the rest of one by its token. */
const ZFS_SEND = fileURLToPath(new URL('../backup/resume/zfs-send.ts', import.meta.url));

const ZFS = `#!/bin/sh
here=$(dirname "$0"); printf 'zfs %s\\n' "$*" >>"$here/calls"
stops() { [ -s "$here/stops-at" ] && printf '%s\\n' "$1" | grep -qf "$here/stops-at"; }
if stops "$*"; then
  touch "$here/waiting"; n=0; while stops "$*" && [ $n -lt 3000 ]; do sleep 0.02; n=$((n+1)); done
fi
names() { for w; do case "$w" in */*) echo "$w";; esac; done; }
for last; do :; done
case "$1" in
version) echo zfs-2.3.9; echo zfs-kmod-2.3.9;;
get) case "$*" in
  *lustre:svname*) cat "$here/properties";;
  *) printf '%s\\ttype\\tfilesystem\\t-\\t-\\n' "$last";;
  esac;;
list) case "$*" in
  *filesystem,volume*) names "$@" | while read -r d; do printf '%s\\tfilesystem\\toff\\t-\\t7\\n' "$d"; done;;
  *) names "$@" | while read -r d; do
       case "$d" in *@*) pattern="^$d	";; *) pattern="^$d[@#]";; esac
       grep "$pattern" "$here/points"
     done; true;;
  esac;;
snapshot)
  shift
  if [ "$(cat "$here/snapshot-fails" 2>/dev/null)" = "\${1%%/*}" ]; then
    echo "cannot create snapshot '$1': out of space" >&2; exit 1
  fi
  if [ -e "$here/snapshot-waits" ]; then
    touch "$here/waiting"; n=0
    while [ -e "$here/snapshot-waits" ] && [ $n -lt 400 ]; do sleep 0.05; n=$((n+1)); done
  fi
  for w; do
    n=$(cat "$here/count-$(echo "$w" | tr '/@' '__' | sed 's/_zkeep-.*//')" 2>/dev/null || echo 0); n=$((n+1))
    echo $n >"$here/count-$(echo "$w" | tr '/@' '__' | sed 's/_zkeep-.*//')"
    id=$(grep "^\${w%@*}	" "$here/ids" | cut -f2)
    printf '%s\\t%s\\t%s\\t1795161023\\t0\\n' "$w" $((id*100+n)) $((id*1000+n)) >>"$here/points"
  done
  if [ -e "$here/expires" ]; then echo expired >"$here/barrier"; fi;;
hold|release) true;;
bookmark) g=$(grep "^$2	" "$here/points" | cut -f2-); printf '%s\\t%s\\n' "$3" "$g" >>"$here/points";;
destroy) grep -v "^$2	" "$here/points" >"$here/points.new"; mv "$here/points.new" "$here/points";;
send)
  if [ "$2" = -t ] || [ -e "$here/waits-at" ]; then exec NODE SEND "$here" "$@"; fi
  case "$*" in
  *-nvP*|*' -n '*) echo "size	2048";;
  *) g=$(grep "^$last	" "$here/points" | cut -f2)
     case "$*" in *' -i '*) cat "$here/stream-$g-i";; *) cat "$here/stream-$g";; esac;;
  esac;;
*) echo "what is $*" >&2; exit 2;;
esac
`;
const ZPOOL = `#!/bin/sh
here=$(dirname "$0")
case "$*" in
*multihost) cut -f1 "$here/ids" | cut -d/ -f1 | sort -u | while read -r p; do printf '%s\\ton\\n' "$p"; done;;
'list -Hp -o name,guid'*) shift 4; for p; do printf '%s\\t77\\n' "$p"; done;;
'list -H -o health'*) echo ONLINE;;
'get -Hp -o all all'*) for last; do :; done; printf '%s\\tsize\\t1\\t-\\t-\\n' "$last";;
*) echo "what is $*" >&2; exit 2;;
esac
`;
const LCTL = `#!/bin/sh
here=$(dirname "$0"); printf 'lctl %s\\n' "$*" >>"$here/calls"
case "$1" in
barrier_freeze)
  if [ -e "$here/freeze-fails" ]; then
    echo failed >"$here/barrier"; cat "$here/freeze-fails" >&2; exit 22
  fi
  echo frozen >"$here/barrier";;
barrier_stat) cat "$here/barrier";;
barrier_thaw)
  if [ -e "$here/thaw-fails" ]; then echo "Fail to thaw barrier" >&2; exit 5; fi
  echo thawed >"$here/barrier";;
get_param) case "$*" in *mgs.MGS.live.*) cat "$here/live";; *) exit 2;; esac;;
*) exit 2;;
esac
`;

/** How the next command fails. */
export type Fault =
  | 'freeze-fails'
  | 'thaw-fails'
  | 'snapshot-fails'
  | 'snapshot-waits'
  | 'expires'
  /** Any command whose words after `zfs` fit this basic regular expression waits, until that is mended. */
  | 'stops-at'
  /** `zfs send` stops after so many bytes, until that is mended. */
  | 'waits-at';

/** A target: its dataset, and its own `lustre:*` properties beside the version. */
export interface MadeTarget {
  readonly dataset: string;
  readonly flags: number;
  readonly service: string;
  /** 1 to 9: tells the snapshots of a host's targets apart. */
  readonly id: number;
}

export const MGT: MadeTarget = { dataset: 'mgspool/mgt', flags: 36, service: 'MGS', id: 1 };
export const MDT0: MadeTarget = {
  dataset: 'mdtpool/mdt0',
  flags: 33,
  service: 'lustrefs-MDT0000',
  id: 2,
};
export const MDT1: MadeTarget = {
  dataset: 'mds2pool/mdt1',
  flags: 33,
  service: 'lustrefs-MDT0001',
  id: 3,
};
export const OST0: MadeTarget = {
  dataset: 'ostpool/ost0',
  flags: 34,
  service: 'lustrefs-OST0000',
  id: 4,
};

export class LustreHost extends MadeHost<Fault> {
  /** No two hosts have snapshots with one GUID. */
  static #hosts = 0;
  readonly #number = ++LustreHost.#hosts;

  /** @param registered the MDTs that the MGS of this host knows; `undefined`: it has no MGS, and no `lctl`. */
  constructor(targets: readonly MadeTarget[], registered?: readonly string[]) {
    super('zkeep-lustre');
    this.program('zfs', ZFS.replace('NODE', `'${process.execPath}'`).replace('SEND', `'${ZFS_SEND}'`));
    this.program('zpool', ZPOOL);
    if (registered) this.program('lctl', LCTL);
    this.write('live', ['fsname: lustrefs', 'flags: 0x20', ...(registered ?? []), ''].join('\n'));
    this.write('barrier', 'init\n');
    this.write('points', '');
    this.write('properties', targets.map(propertiesOf).join(''));
    this.write('ids', targets.map((target) => `${target.dataset}\t${this.#idOf(target)}\n`).join(''));
    for (const target of targets) this.#makeStreams(target);
  }

  /** The environment in which a command meets this host. */
  get env(): Record<string, string> {
    return {
      PATH: `${this.folder}${delimiter}/usr/bin${delimiter}/bin`,
      ZKEEP_LDEV_CONF: join(this.folder, 'ldev.conf'),
    };
  }

  ldev(text: string): void {
    this.write('ldev.conf', text);
  }

  set barrier(state: string) {
    this.write('barrier', `${state}\n`);
  }

  get barrier(): string {
    return this.read('barrier').trim();
  }

  /** The snapshots that are there. */
  get snapshots(): string[] {
    return [...this.read('points').matchAll(/^([^\t#]+)\t/gm)].map(([, name = '']) => name);
  }

  /** The commands that change something, without the names of snapshots, in their order. */
  get acts(): string[] {
    const acts = this.read('calls').matchAll(/^(lctl barrier_.*|zfs (?:snapshot|destroy|send -L).*)$/gm);
    return [...acts].map(([line]) => line.replace(/@zkeep-\d{8}T\d{6}Z/g, '@X'));
  }

  /** Waits until a dataset has a snapshot. */
  async untilSnapshot(dataset: string): Promise<void> {
    const isThere = () => this.snapshots.some((name) => name.startsWith(`${dataset}@`));
    await until(`a snapshot of ${dataset}`, isThere);
  }

  /** Makes the first full stream of a target large: so many blocks of 128 KiB. */
  makeLarge(target: MadeTarget, count: number): void {
    const guid = BigInt(this.#idOf(target) * 100 + 1);
    const blocks = Array.from({ length: count }, () => randomBytes(131_072));
    const made = { toGuid: guid, toName: `${target.dataset}@made`, blocks };
    writeFileSync(join(this.folder, `stream-${guid}`), Buffer.concat([...makeStream(made)]));
  }

  #idOf({ id }: MadeTarget): number {
    return this.#number * 10 + id;
  }

  #makeStreams(target: MadeTarget): void {
    const { dataset } = target;
    const id = this.#idOf(target);
    for (let number = 1; number <= 3; number++) {
      const guid = BigInt(id * 100 + number);
      const made = { toGuid: guid, toName: `${dataset}@made`, blocks: [Buffer.alloc(4096, id)] };
      writeFileSync(join(this.folder, `stream-${guid}`), Buffer.concat([...makeStream(made)]));
      const more = { ...made, fromGuid: guid - 1n };
      writeFileSync(join(this.folder, `stream-${guid}-i`), Buffer.concat([...makeStream(more)]));
    }
  }
}

function propertiesOf({ dataset, flags, service }: MadeTarget): string {
  const local: Record<string, string> = {
    'lustre:version': '1',
    'lustre:flags': String(flags),
    'lustre:svname': service,
    canmount: 'off',
  };
  const lines = Object.entries(local).map(([name, value]) => `${dataset}\t${name}\t${value}\tlocal\n`);
  return [...lines, `${dataset}\tmounted\tno\t-\n`].join('');
}
