/** Restores that break off and are gone on with, on a host whose ZFS is a script that takes as much as it is told to. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasFeature } from '../../../catalog/stream/features.ts';
import { readBegin } from '../../../catalog/stream/reading/begin.ts';
import { encodeToken } from '../../../catalog/stream/resuming/token.ts';
import { guidOf } from '../../../catalog/words.ts';
import { isPoint, pointOf, Receiver, recordsOf, type Taken } from '../../catalog/stream/resuming/receiver.ts';
import { makeStream } from '../../made-stream.ts';
import { StandIns } from '../stand-ins.ts';
import { AgentHouse } from './agent-house.ts';

const FEATURES = ['extensible_dataset', 'large_blocks', 'longname'];
const MIB = 1024 * 1024;
const GUID = 0x5aca40e92366d704n;

function* blocks(): Generator<Uint8Array> {
  for (let n = 0; n < 320; n++) yield n % 3 === 0 ? randomBytes(131_072) : Buffer.alloc(131_072, n);
}

/** 40 MiB: three segments. */
const stream = Buffer.concat([...makeStream({ toGuid: GUID, toName: 'tank/fs@a', blocks: blocks() })]);
const begin = readBegin(stream)?.begin ?? assert.fail();
const records = recordsOf(stream, 'little');
const whole = new Receiver();
whole.apply(records);

/** `zfs` with one pool, `new`. A receive takes `cut` bytes and fails, or takes all; `wait`: it hangs after them; `busy`: another one brings the snapshot, with `still` it only ends. */
const ZFS = `
for name; do :; done
here=$(dirname "$0")
absent() { echo "cannot open '$name': dataset does not exist" >&2; exit 1; }
there() { case $name in new) return 0 ;; new/fs) [ -e "$here/token" ] || [ -e "$here/whole" ] ;; *) return 1 ;; esac; }
token() { if [ "$name" = new/fs ] && [ -e "$here/token" ]; then cat "$here/token"; else printf -- -; fi; }
case "$*" in
  version) printf 'zfs-2.3.9-1\\nzfs-kmod-2.3.9-1\\n' ;;
  get) printf '\\tcompression YES YES <value>\\n' >&2; exit 2 ;;
  'list -Hp -t filesystem,volume -o name,available'*) there || absent; printf '%s\\t999999999\\toff\\t-\\n' "$name" ;;
  'list -Hp -t filesystem,volume'*) there || absent; printf '%s\\tfilesystem\\toff\\t%s\\t7\\n' "$name" "$(token)" ;;
  'list -Hp -t snapshot,bookmark'*) there || absent; [ "$name" = new ] || [ ! -e "$here/whole" ] || cat "$here/snapshots" ;;
  'receive -A '*) rm "$here/token" ;;
  'receive '*)
    if [ -e "$here/token" ] && [ -e "$here/refuses" ]; then
      echo 'cannot receive resume stream: kernel modules must be upgraded to receive this stream.' >&2; exit 1
    fi
    if [ -e "$here/busy" ]; then
      if [ -e "$here/once" ]; then rm "$here/once"; else rm "$here/busy"; fi
      [ -e "$here/still" ] || { rm "$here/token"; touch "$here/whole"; }
      echo 'cannot receive: destination new/fs contains partially-complete state from "zfs receive -s".' >&2; exit 1
    fi
    if [ -e "$here/cut" ]; then
      head -c "$(cat "$here/cut")" >"$here/received"; rm "$here/cut"; touch "$here/partly"
      while [ -e "$here/wait" ]; do sleep 0.05; done
      mv "$here/left" "$here/token"; echo 'cannot receive: incomplete stream' >&2; exit 1
    fi
    cat >"$here/received"; rm -f "$here/token"; touch "$here/whole" ;;
  'get -Hp -o value written '*) echo 0 ;;
  *) echo "nothing is known of $*" >&2; exit 64 ;;
esac
`;

describe('a restore that broke off', () => {
  const standIns = new StandIns();
  let house: AgentHouse;
  const at = (name: string) => join(standIns.folder, name);
  const env = () => ({ PATH: standIns.path });
  const RESTORE = ['restore', 'tank/fs', '--to', 'new/fs'];
  const restore = async (code: number, ...more: string[]) =>
    await house.document([...RESTORE, ...more], code, { env: env() });
  const ledgers = () => {
    const folder = join(house.folder, 'state', 'restores');
    return existsSync(folder) ? readdirSync(folder) : [];
  };

  before(async () => {
    house = await AgentHouse.open();
    await house.document(['import', '--dataset', 'tank/fs'], 0, { stdin: stream });
    standIns.answer('zfs', undefined, { script: ZFS });
    standIns.answer('zpool', undefined, { script: `echo 'cannot open: no such pool' >&2; exit 1` });
    const known = FEATURES.map((name) => `${name}\n     described\n`).join('');
    const features = `The following features are supported:\n\nFEAT DESCRIPTION\n---------\n${known}`;
    const enabled = FEATURES.map((name) => `new\tfeature@${name}\tenabled\tlocal\n`).join('');
    standIns.answer('zpool', ['upgrade', '-v'], {
      out: `This system supports ZFS pool feature flags.\n\n${features}`,
    });
    standIns.answer('zpool', ['get', '-Hp', 'all', 'new'], { out: `new\thealth\tONLINE\t-\n${enabled}` });
    standIns.answer('zpool', ['list', '-vHPL'], { out: '' });
    standIns.answer('zdb', undefined, { exit: 2 });
    standIns.answer('lsblk', undefined, { exit: 1 });
    standIns.answer('blkid', undefined, { exit: 2 });
    writeFileSync(at('snapshots'), `new/fs@a\t${GUID}\t10\t1795159362\t0\n`);
  });
  beforeEach(() => {
    for (const name of [
      'token',
      'whole',
      'cut',
      'busy',
      'once',
      'still',
      'partly',
      'wait',
      'left',
      'refuses',
      'received',
    ])
      rmSync(at(name), { force: true });
    rmSync(join(house.folder, 'state'), { recursive: true, force: true });
    standIns.forgetCalls();
  });
  after(async () => {
    standIns.end();
    await house.end();
  });

  /** Bytes of these segments in the store. */
  const storedOf = (...numbers: number[]) => {
    const [folder = ''] = readdirSync(join(house.repository, 'segments'));
    const names = readdirSync(join(house.repository, 'segments', folder)).toSorted();
    return numbers.map((n) => statSync(join(house.repository, 'segments', folder, names[n] ?? '')).size);
  };

  const there = async (name: string) => {
    for (let left = 1500; left > 0 && !existsSync(at(name)); left--) await sleep(20);
    assert.ok(existsSync(at(name)), `waited in vain for ${name}`);
  };

  /** Lets the next receive break off after so many bytes, and leave the token of what it took of these records. */
  function breakAfter(bytes: number, sent: readonly Taken[] = records): { came: Taken[]; token: string } {
    const came = sent.filter(({ position, payload }) => position + 312 + payload.length <= bytes);
    const point = pointOf(came.findLast(isPoint) ?? assert.fail());
    const flags = { largeBlocks: false, embedded: false, compressed: false, raw: false, redactSnaps: null };
    const names = { toguid: guidOf(GUID), fromguid: null, toname: 'tank/fs@a' };
    const token = encodeToken({ ...point, bytes: BigInt(bytes - 312), ...names, ...flags });
    writeFileSync(at('cut'), `${bytes}`);
    writeFileSync(at('left'), token);
    return { came, token };
  }

  /** Checks the rest that came, as the kernel would, and that with it all is there. */
  function assertWhole(came: readonly Taken[]): void {
    const receiver = new Receiver();
    receiver.apply(came);
    receiver.resume(readFileSync(at('received')), begin, pointOf(came.findLast(isPoint) ?? assert.fail()));
    assert.deepEqual(receiver.content, whole.content);
  }

  it('goes on from the segment in which it broke off', async () => {
    const { came } = breakAfter(30 * MIB + 1234);
    assert.equal((await restore(5)).error.code, 'zfs.stream-refused');
    assert.equal(ledgers().length, 1);
    const { resumes, commands } = await restore(0, '--dry-run');
    const { object, offset } = pointOf(came.findLast(isPoint) ?? assert.fail());
    assert.deepEqual([resumes?.object, resumes?.offset], [`${object}`, `${offset}`]);
    assert.deepEqual(
      commands.map(([, verb, flag]) => [verb, flag]),
      [['receive', '-s']],
    );
    const [received] = (await restore(0)).received;
    assertWhole(came);
    const { kept = 0, sent_again: again = 0 } = received?.resumed ?? {};
    assert.ok(kept >= 16 * MIB && kept <= 30 * MIB, `${kept} bytes were kept`);
    assert.ok(again > 0 && again < 17 * MIB, `${again} bytes were sent again`);
    assert.equal(readFileSync(at('received')).length < stream.length - kept + 2000, true);
    // The first one for the OBJECT of its only file, which spans all; the third as far as it had been read ahead.
    const [first = 0, second = 0, third = 0] = storedOf(0, 1, 2);
    const fetched = received?.fetched_again ?? 0;
    assert.ok([first + second, first + second + third].includes(fetched), `${fetched} were fetched again`);
    assert.deepEqual(ledgers(), [], 'what is proven needs no ledger');
  });

  it('goes on when it was killed itself, and however often', async () => {
    writeFileSync(at('wait'), '');
    const { came } = breakAfter(12 * MIB);
    const { child, ended } = house.begin(RESTORE, env());
    await there('partly');
    await sleep(1200); // the ledger is written once a second
    child.kill('SIGKILL');
    await ended;
    rmSync(at('wait'));
    await there('token');
    const first = came.findLast(isPoint) ?? assert.fail();

    const { came: more } = breakAfter(20 * MIB);
    assert.equal((await restore(5)).error.code, 'zfs.stream-refused');
    const second = readFileSync(at('received'));
    assert.ok(hasFeature(readBegin(second)?.begin ?? assert.fail(), 'RESUMING'));

    const note = JSON.parse(readFileSync(join(house.folder, 'state/restores', ledgers()[0] ?? ''), 'utf8'));
    assert.equal(Buffer.from(note.begin, 'base64').compare(stream.subarray(0, 312)), 0);
    assert.ok(note.fetched[0][1] >= 16 * MIB);

    // What the second try took, in the place where it belongs.
    const last = more.findLast(isPoint) ?? assert.fail();
    assert.ok(last.position > first.position);
    await restore(0);
    assertWhole(more);
  });

  it('begins with the first byte again where nobody knows what was sent, and keeps what was received', async () => {
    const { came } = breakAfter(30 * MIB);
    await restore(5);
    rmSync(join(house.folder, 'state'), { recursive: true });
    const [received] = (await restore(0)).received;
    assert.equal(received?.resumed?.kept, 0);
    assert.equal(received.fetched_again, 0, 'nothing tells what was fetched');
    assert.ok((received?.resumed?.sent_again ?? 0) > 29 * MIB);
    assertWhole(came);
    assert.ok(!standIns.calls.some((call) => call.startsWith('zfs receive -A')));
  });

  it('begins anew, and says so, where ZFS does not take the rest', async () => {
    breakAfter(30 * MIB);
    await restore(5);
    writeFileSync(at('refuses'), '');
    const [received] = (await restore(0)).received;
    assert.equal(received?.resumed, null);
    assert.ok(readFileSync(at('received')).equals(stream));
    assert.deepEqual(
      standIns.calls.filter((call) => call.startsWith('zfs receive')).map((call) => call.split(' ')[2]),
      ['-s', '-s', '-A', '-s'],
    );
  });

  /** Kills a restore whose receive took so many bytes, all that there are but for the end of END, and has not ended. */
  async function killAtTheEnd(): Promise<void> {
    writeFileSync(at('wait'), '');
    breakAfter(stream.length - 100);
    const { child, ended } = house.begin(RESTORE, env());
    await there('partly');
    child.kill('SIGKILL');
    await ended;
    rmSync(at('wait'));
    await there('token');
  }

  it('waits for the receive of one that was killed, and then sends what it had ready', async () => {
    const { came } = breakAfter(30 * MIB);
    await restore(5);
    for (const name of ['busy', 'once', 'still']) writeFileSync(at(name), '');
    const [received] = (await restore(0)).received;
    assertWhole(came);
    assert.ok((received?.resumed?.kept ?? 0) >= 16 * MIB);
    assert.deepEqual(
      standIns.calls.filter((call) => call.startsWith('zfs receive')).map((call) => call.split(' ')[2]),
      ['-s', '-s', '-s', '-s'],
    );
  });

  it('is done where the receive of one that was killed comes to its end while it is waited for', async () => {
    await killAtTheEnd();
    writeFileSync(at('busy'), '');
    const [received] = (await restore(0)).received;
    assert.deepEqual(received?.resumed, { kept: stream.length, sent_again: 0 });
    assert.deepEqual(ledgers(), []);
  });

  it('is done, without a word, where that came to its end before', async () => {
    await killAtTheEnd();
    rmSync(at('token'));
    writeFileSync(at('whole'), '');
    const ran = await house.zkeep(RESTORE, { env: env() });
    assert.equal(ran.code, 0, ran.stderr);
    assert.doesNotMatch(ran.stderr, /not counted/);
    assert.deepEqual(ledgers(), []);
  });

  it('is not called good where another receive brought the snapshot, of which nobody knows what it was given', async () => {
    breakAfter(30 * MIB);
    await restore(5);
    writeFileSync(at('busy'), '');
    assert.equal((await restore(1)).error.code, 'restore.unaccounted');
    const ran = await house.zkeep(RESTORE, { env: env() });
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stderr, /new\/fs@a was not received to its end by zkeep restore/);
    assert.deepEqual(ledgers(), []);
  });

  it('is restored all the same where nothing can be noted of it', async () => {
    writeFileSync(join(house.folder, 'state'), 'no folder');
    const ran = await house.zkeep(RESTORE, { env: env() });
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stderr, /what is sent to new\/fs cannot be noted/);
    rmSync(join(house.folder, 'state'));
  });

  it('can be gone on with by hand, with the token that was left', async () => {
    const { came, token } = breakAfter(35 * MIB);
    await restore(5);
    const ran = await house.zkeep(['export', '--resume-token', token]);
    assert.equal(ran.code, 0, ran.stderr);
    writeFileSync(at('received'), ran.stdout);
    assertWhole(came);
    assert.ok(ran.stdout.length < 25 * MIB, 'only what is lacking, from the entry before');
    const output = join(house.folder, 'rest');
    const document = await house.document(['export', '--resume-token', token, '--output', output], 0);
    assert.equal(document.bytes, ran.stdout.length);
    assert.equal(document.resumes?.object, '2');
  });

  it('wants a token that can be read, of a stream that is stored, and nothing besides', async () => {
    const { token } = breakAfter(35 * MIB);
    const flags = { largeBlocks: false, embedded: false, compressed: false, raw: false, redactSnaps: null };
    const names = { toguid: guidOf(GUID), fromguid: null, toname: 'tank/fs@a', bytes: 1n };
    const other = (more: object) => encodeToken({ object: 2n, offset: 0n, ...names, ...flags, ...more });
    const output = ['--output', join(house.folder, 'none')];
    const code = async (exit: number, ...words: string[]) =>
      (await house.document(['export', ...words, ...output], exit)).error.code;
    assert.equal(await code(2), 'export.wanted');
    assert.equal(await code(2, '--resume-token', token, '--from', 'a'), 'export.wanted');
    assert.equal(await code(2, '--resume-token', token.replace(/^1-./, '1-0')), 'token.checksum');
    assert.equal(await code(3, '--resume-token', other({ toguid: guidOf(7n) })), 'export.no-stream');
    assert.equal(await code(3, '--resume-token', other({ fromguid: guidOf(7n) })), 'export.no-stream');
    assert.equal(await code(3, '--resume-token', other({ raw: true })), 'export.no-stream');
    assert.equal(await code(3, 'tank/other', '--resume-token', token), 'export.no-stream');
  });

  it('goes on with what is there also where a shorter way has been stored since', async () => {
    breakAfter(30 * MIB);
    await restore(5);
    const env = { ZKEEP_TOKEN: house.service.tokens.add('op', 'operator') };
    const made = { toName: 'tank/fs@b', created: 1_800_000_000, blocks: [Buffer.alloc(4096)] };
    for (const fromGuid of [0n, GUID]) {
      const newer = Buffer.concat([...makeStream({ ...made, toGuid: GUID + 1n, fromGuid })]);
      await house.document(['import', '--dataset', 'tank/fs'], 0, { stdin: newer, env });
    }
    const { plan, resumes, commands } = await restore(0, '--dry-run');
    assert.deepEqual(
      plan.steps.map(({ from, to }) => [from, to]),
      [
        [null, guidOf(GUID)],
        [guidOf(GUID), guidOf(GUID + 1n)],
      ],
    );
    assert.ok(resumes);
    assert.ok(!commands.some((command) => command.includes('-A')));
  });
});
