/**
 * A host with one pool and made streams of any size: stand-ins for `zfs` and `zpool` that keep
 * snapshots, bookmarks and holds in files, go on from resume tokens, and fail when told to.
 */
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guidOf } from '../../../../catalog/words.ts';
import { makeStream } from '../../../made-stream.ts';
import { MadeHost } from '../../made-host.ts';

const SEND = fileURLToPath(new URL('zfs-send.ts', import.meta.url));

const ZFS = `#!/bin/sh
here=$(dirname "$0"); printf 'zfs %s\\n' "$*" >>"$here/calls"
for last; do :; done
stops() { [ -s "$here/stops-at" ] && printf '%s\\n' "$1" | grep -qf "$here/stops-at"; }
if stops "$*"; then
  : >"$here/waiting"; n=0; while stops "$*" && [ $n -lt 3000 ]; do n=$((n+1)); sleep 0.02; done
fi
case "$1" in snapshot|hold|release|bookmark|destroy) exec 9>"$here/lock"; flock 9;; esac
case "$1" in
version) cat "$here/version";;
get) printf '%s\\ttype\\tfilesystem\\t-\\t-\\n' "$last";;
list) case "$*" in
  *name,used*) shift 6; for w; do printf '%s\\t4096\\n' "$w"; done;;
  *filesystem,volume*)
    case "$*" in */*) ;; *) cat "$here/datasets";; esac
    for w; do case "$w" in */*)
      case "$*" in *' -r '*) p="^$w[/	]";; *) p="^$w	";; esac
      grep "$p" "$here/datasets" || { echo "cannot open '$w': dataset does not exist" >&2; exit 1; };;
    esac; done;;
  *)
    case "$*" in */*) ;; *) cat "$here/points";; esac
    for w; do case "$w" in
      *[@#]*) grep "^$w	" "$here/points";;
      */*) case "$*" in *' -r '*) p="^$w[/@#]";; *) p="^$w[@#]";; esac; grep "$p" "$here/points";;
    esac; done; true;;
  esac;;
holds)
  shift 2; for w; do
    if grep -q "^$w	.*	1$" "$here/points"; then printf '%s\\tzkeep\\tnow\\n' "$w"; fi
    if grep -qx "$w" "$here/foreign"; then printf '%s\\ttheirs\\tnow\\n' "$w"; fi
  done;;
snapshot)
  for w; do if grep -q "^$w	" "$here/points"; then
    echo "cannot create snapshot '$w': dataset already exists" >&2; exit 1
  fi; done
  shift; txg=$(($(cat "$here/txg") + 1)); echo $txg >"$here/txg"
  if [ "$1" = -r ]; then
    shift; all=
    for w; do all="$all $(grep "^\${w%@*}[/	]" "$here/datasets" | cut -f1 | sed "s|\\$|@\${w#*@}|")"; done
    set -- $all
  fi
  for w; do
    id=$(grep "^\${w%@*}	" "$here/ids" | cut -f2); n=$(($(cat "$here/count-$id" 2>/dev/null || echo 0) + 1))
    echo $n >"$here/count-$id"
    printf '%s\\t%s\\t%s\\t%s\\t0\\n' "$w" $((id*100+n)) $txg $(date +%s) >>"$here/points"
  done;;
hold) shift 2; for w; do
    if grep -q "^$w	.*	1$" "$here/points"; then echo "cannot hold '$w': tag already exists on this dataset" >&2; exit 1; fi
    sed -i "s|^\\($w	.*	\\)0$|\\11|" "$here/points"
  done;;
release) grep -q "^$3	.*	1$" "$here/points" || { echo "cannot release '$3': no such tag on this dataset" >&2; exit 1; }
  sed -i "s|^\\($3	.*	\\)1$|\\10|" "$here/points";;
bookmark) grep "^$2	" "$here/points" | cut -f2-4 | sed "s|.*|$3	&	-|" >>"$here/points";;
destroy)
  if grep -qx "$2" "$here/cloned"; then echo "cannot destroy '$2': snapshot has dependent clones" >&2; exit 1; fi
  if grep -qx "$2" "$here/foreign"; then echo "cannot destroy '$2': it's being held" >&2; exit 1; fi
  if ! grep -q "^$2	" "$here/points"; then
    case "$2" in
    *#*) echo "bookmark '$2' does not exist." >&2;;
    *) echo "could not find any snapshots to destroy; check snapshot names." >&2;;
    esac; exit 1
  fi
  if grep -q "^$2	.*	1$" "$here/points"; then echo "cannot destroy '$2': it's being held" >&2; exit 1; fi
  grep -v "^$2	" "$here/points" >"$here/points.new"; mv "$here/points.new" "$here/points";;
send) exec NODE SEND "$here" "$@";;
*) echo "what is $*" >&2; exit 2;;
esac
`;
const ZPOOL = `#!/bin/sh
case "$*" in
'list -Hp -o name,guid') printf 'tank\\t77\\n';;
'list -Hp -o name,guid'*) shift 4; for p; do printf '%s\\t77\\n' "$p"; done;;
'list -H -o health'*) echo ONLINE;;
'get -Hp -o all all'*) for last; do :; done; printf '%s\\tsize\\t1\\t-\\t-\\n' "$last";;
*) echo "what is $*" >&2; exit 2;;
esac
`;

/** What the next `zfs send` meets: a file of that name, and what is in it. */
export type SendFault =
  /** It stops after so many bytes, until that is mended. */
  | 'waits-at'
  /** Any command whose words after `zfs` fit this basic regular expression waits, until that is mended. */
  | 'stops-at'
  /** It is killed after so many bytes. */
  | 'dies-at'
  /** With `-t` it only says these words. */
  | 'refuses-tokens'
  /** With `-t` a byte of the block at the point is another. */
  | 'differs'
  /** The snapshot that is the base is destroyed right before, this one time. */
  | 'base-goes';

const BLOCK = 131_072;

/** Each dataset has an id, 1 to 9; its snapshots have the GUIDs `id * 100 + 1`, `+ 2`, and so on. */
export class ZfsHost extends MadeHost<SendFault> {
  /** @param datasets with their ids. */
  constructor(datasets: Readonly<Record<string, number>>) {
    super('zkeep-zfs');
    const zfs = ZFS.replace('NODE', `'${process.execPath}'`).replace('SEND', `'${SEND}'`);
    this.program('zfs', zfs);
    this.program('zpool', ZPOOL);
    this.version = 'zfs-2.3.9-1';
    for (const file of ['points', 'foreign', 'cloned']) this.write(file, '');
    this.write('txg', '1000\n');
    const names = Object.keys(datasets);
    this.write('datasets', names.map((name) => `${name}\tfilesystem\toff\t-\t${datasets[name]}\n`).join(''));
    this.write('ids', names.map((name) => `${name}\t${datasets[name]}\n`).join(''));
  }

  get env(): Record<string, string> {
    return { PATH: `${this.folder}${delimiter}/usr/bin${delimiter}/bin` };
  }

  set version(text: string) {
    this.write('version', `${text}\n${text.replace('zfs-', 'zfs-kmod-')}\n`);
  }

  /**
   * Makes the stream that a snapshot is sent as: full, or from a base, by default the one before it.
   *
   * @param megabytes incompressible data in it; the same for the same seed.
   */
  makeStream(
    dataset: string,
    guid: number,
    kind: 'full' | 'incremental',
    megabytes: number,
    seed = guid,
    base = guid - 1,
  ): Buffer {
    const stream = Buffer.concat([
      ...makeStream({
        toGuid: BigInt(guid),
        fromGuid: kind === 'full' ? 0n : BigInt(base),
        toName: `${dataset}@made`,
        features: 0x480004n, // SA_SPILL, LARGE_BLOCKS, COMPRESSED
        blocks: noise(seed, Math.ceil((megabytes * 1024 * 1024) / BLOCK)),
      }),
    ]);
    writeFileSync(join(this.folder, `stream-${guid}${kind === 'full' ? '' : '-i'}`), stream);
    return stream;
  }

  rename(from: string, to: string): void {
    for (const file of ['datasets', 'ids', 'points']) {
      this.write(file, this.read(file).replaceAll(new RegExp(`^${from}(?=[\\t@#])`, 'gm'), to));
    }
  }

  /** Takes snapshots and bookmarks away, whoever holds them, by a part of their names. */
  lose(part: string): void {
    const lines = this.read('points').split('\n');
    this.write('points', lines.filter((line) => !line.includes(part)).join('\n'));
  }

  /** The snapshots and bookmarks that are there, those that are held with a `+`, those of zkeep as `X`, temporary ones as `R`. */
  get points(): string[] {
    const lines = this.read('points').split('\n').slice(0, -1);
    return lines.map((line) => {
      const [name = '', , , , references] = line.split('\t');
      return `${name.replace(/zkeep-(refresh-)?\w+(-\d+)?/, (_, temporary) => (temporary ? 'R' : 'X'))}${references === '1' ? '+' : ''}`;
    });
  }

  /** The full names of the snapshots that are there. */
  get snapshots(): string[] {
    const names = this.read('points')
      .split('\n')
      .map((line) => line.split('\t')[0] ?? '');
    return names.filter((name) => name.includes('@'));
  }

  /** The commands that send, in their order, without the tokens. */
  get sends(): string[] {
    const calls = this.read('calls').split('\n');
    return calls
      .filter((call) => call.startsWith('zfs send') && !call.includes(' -n '))
      .map((call) =>
        call.replace(/zkeep-(refresh-)?\w+(-\d+)?/g, (_, r) => (r ? 'R' : 'X')).replace(/-t \S+/, '-t'),
      );
  }

  /** Somebody holds the snapshots whose names have this part, or a clone hangs on them. */
  keepBy(what: 'foreign' | 'cloned', part: string): void {
    const names = this.read('points')
      .split('\n')
      .map((line) => line.split('\t')[0] ?? '');
    this.write(what, `${names.filter((name) => name.includes(part)).join('\n')}\n`);
  }

  forgetCalls(): void {
    rmSync(join(this.folder, 'calls'), { force: true });
  }

  /** A bookmark or snapshot that was there before the test. */
  add(name: string, guid: number): void {
    appendFileSync(join(this.folder, 'points'), `${name}\t${guid}\t${guid}\t1795161023\t0\n`);
  }
}

/** The same blocks for the same seed, which nothing compresses. */
function* noise(seed: number, count: number): Generator<Uint8Array> {
  const words = new Uint32Array(BLOCK / 4);
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  for (let block = 0; block < count; block++) {
    for (let at = 0; at < words.length; at++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[at] = state;
    }
    yield Buffer.from(words.buffer.slice(0));
  }
}

/** @example guidText(101) // '0000000000000065' */
export const guidText = (guid: number): string => guidOf(BigInt(guid));
