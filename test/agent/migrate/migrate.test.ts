/** `zkeep migrate` on a host of stand-ins: `zfs send` gives a recorded stream, `zfs receive` writes down what it gets. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { DATASET, PROPERTIES, SNAPSHOT_GUID, standInForLustreHost } from '../capture/lustre-host.ts';
import { AgentHouse } from '../road/agent-house.ts';
import { StandIns } from '../stand-ins.ts';
import { restOf } from './rest-of.ts';

const STREAM = recordedStream('lustre-mgt-full-s1');
/** What the recorded increment leads to. */
const NEXT_GUID = BigInt('0x0a271791d0af8580').toString();
const NONE = "cannot open 'new/mgt': dataset does not exist";
/** What depends on what was done before: the new snapshot, and the target once it was received. */
const ZFS = `
point="\\t${SNAPSHOT_GUID}\\t48\\t1795161055\\t0\\n"
next="\\t${NEXT_GUID}\\t49\\t1795161056\\t0\\n"
case "$1" in
snapshot) echo "$2" >"$here/taken" ;;
destroy) rm "$here/taken" ;;
hold | holds | release | set) ;;
send) cat "$here/stream" ;;
receive) cat >"$here/received" ;;
list)
  for name; do :; done
  case "$name $*" in
  ${DATASET}@*) printf "$name$point" ;;
  'new '*receive_resume_token*) printf 'new\\tfilesystem\\toff\\t-\\t7\\n' ;;
  *available*) printf 'new\\t%s\\toff\\t-\\n' "$(cat "$here/room")" ;;
  'new '*) ;;
  'new/mgt '*)
    [ -e "$here/received" ] || { echo "${NONE}" >&2; exit 1; }
    case "$*" in
    *filesystem,volume*) printf 'new/mgt\\tfilesystem\\toff\\t-\\t8\\n' ;;
    *) printf "new/mgt@s1$point" ;;
    esac ;;
  esac ;;
*) echo "no answer to $*" >&2; exit 64 ;;
esac
`;

/** Of a target that has received once or twice. */
const SECOND = `printf "new/mgt@s1$point"
  [ "$(wc -l <"$here/count")" = 1 ] || printf "new/mgt@$(sed 's/.*@//' "$here/taken")$next"`;

const POOL = ['health\tONLINE', 'feature@extensible_dataset\tactive', 'readonly\toff']
  .map((told) => `new\t${told}\tlocal\n`)
  .join('');

describe('zkeep migrate', () => {
  const standIns = new StandIns();
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
  });
  beforeEach(() => {
    standInForLustreHost(standIns);
    standIns.answer('zfs', undefined, { script: ZFS });
    standIns.answer('zfs', ['get'], { err: 'usage\n', exit: 2 });
    standIns.answer('zpool', ['get'], { err: 'usage\n', exit: 2 });
    const features = 'FEAT DESCRIPTION\n-----\nlz4_compress\n     LZ4.\n\nThe following legacy versions\n';
    standIns.answer('zpool', ['upgrade', '-v'], { out: features });
    const arrived = PROPERTIES.dataset.replaceAll(DATASET, 'new/mgt');
    standIns.answer('zfs', ['get', '-Hp', '-o', 'all', 'all', 'new/mgt'], { out: arrived });
    writeFileSync(file('stream'), STREAM);
    standIns.answer('zpool', ['get', '-Hp', 'all', 'new'], { out: POOL });
    writeFileSync(file('room'), '1000000000');
    for (const name of ['taken', 'received']) rmSync(file(name), { force: true });
    standIns.forgetCalls();
  });
  after(async () => {
    standIns.end();
    await house.end();
  });

  const file = (name: string) => join(standIns.folder, name);
  const env = { PATH: standIns.path };
  const words = (...more: string[]) => ['migrate', DATASET, '--to', 'new/mgt', ...more];
  const changed = () =>
    standIns.calls.filter((call) => /^zfs (snapshot|hold|receive|set|release|destroy)/.test(call));

  it('prints what it would do, and does nothing', async () => {
    const { commands } = await house.document(words('--dry-run'), 0, { env });
    assert.ok(commands.some((command) => command.includes('lustre:svname=MGS')));
    assert.deepEqual(changed(), []);
    const { stdout } = await house.zkeep(words('--dry-run'), { env });
    assert.match(stdout.toString(), /^zfs send -L -c \S+ \| zfs receive -s -u .* new\/mgt$/m);
  });

  it('says what stands in the way before anything is done, all of it', async () => {
    writeFileSync(file('room'), '1000');
    standIns.answer('zpool', ['get', '-Hp', 'all', 'new'], { out: POOL.replace('ONLINE', 'SUSPENDED') });
    const { error } = await house.document(words(), 4, { env });
    assert.match(error.message, /new is SUSPENDED.*new has room for 1000 B/s);
    assert.deepEqual(changed(), []);
    const { stdout } = await house.zkeep(words('--dry-run'), { env });
    assert.match(stdout.toString(), /^# new is SUSPENDED; zpool status new/m);
  });

  it('moves the stream byte for byte, sets what was set, and proves it', async () => {
    const { proof, guid } = await house.document(words(), 0, { env });
    assert.equal(guid, BigInt(SNAPSHOT_GUID).toString(16).padStart(16, '0'));
    // Where a file system mounts by default follows from its name.
    assert.ok(proof.differences.every(({ matters }) => !matters));
    assert.ok(readFileSync(file('received')).equals(STREAM));
    assert.match(changed().join('\n'), /^zfs set .*lustre:svname=MGS.* new\/mgt$/m);
    assert.ok(existsSync(file('taken')));
  });

  it('fails when what matters is not as it was', async () => {
    const arrived = PROPERTIES.dataset
      .replaceAll(DATASET, 'new/mgt')
      .replace('MGS\t-\tlocal', 'fs:MDT0000\t-\tlocal');
    standIns.answer('zfs', ['get', '-Hp', '-o', 'all', 'all', 'new/mgt'], { out: arrived });
    const ran = await house.zkeep(words(), { env });
    assert.equal(ran.code, 1);
    assert.match(ran.stderr, /new\/mgt: .*lustre:svname/);
  });

  it('refuses a stream that was spoilt on its way, and takes its snapshot back', async () => {
    const spoilt = Buffer.from(STREAM);
    spoilt.writeUInt8(spoilt.readUInt8(1_000_000) ^ 1, 1_000_000);
    writeFileSync(file('stream'), spoilt);
    standIns.answer('zfs', undefined, {
      script: ZFS.replace('cat >"$here/received"', 'cat >/dev/null; exit 1'),
    });
    const { error } = await house.document(words(), 5, { env });
    assert.equal(error.kind, 'damaged');
    assert.match(changed().at(-1) ?? '', /^zfs destroy mgspool\/mgt@migrate-/);
  });

  it('keeps its snapshot when something of it has arrived, to go on from there', async () => {
    const cut = ZFS.replace('cat >"$here/received"', 'head -c 1000 >"$here/received"; exit 1').replace(
      "'new/mgt\\tfilesystem\\toff\\t-",
      "'new/mgt\\tfilesystem\\toff\\t1-token",
    );
    standIns.answer('zfs', undefined, { script: cut });
    const ran = await house.zkeep(words(), { env });
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, /@migrate-\S+ stays, so that the same command goes on/);
    assert.ok(!changed().some((call) => call.startsWith('zfs destroy')));
  });

  it('goes on with what was interrupted, then with what is new', async () => {
    const old = `${DATASET}@migrate-20261120T120000Z`;
    const points = `${old}\t${SNAPSHOT_GUID}\t48\t1795161055\t1\n`;
    const columns = 'name,guid,createtxg,creation,userrefs';
    standIns.answer('zfs', `list -Hp -t snapshot,bookmark -o ${columns} -d 1 ${DATASET}`.split(' '), {
      out: points,
    });
    const { rest, token } = restOf('lustre-mgt-full-s1');
    const told = `toguid = 0x${BigInt(SNAPSHOT_GUID).toString(16)}\n`;
    standIns.answer('zfs', ['send', '-n', '-v', '-t', token], { out: told });
    writeFileSync(file('rest'), rest);
    standIns.answer('zfs', ['send', '-t', token], { script: `exec cat '${file('rest')}'` });
    // Interrupted before anything had arrived whole: there is a token, and no snapshot.
    const partial = ZFS.replace(
      '[ -e "$here/received" ] || { echo',
      `[ -e "$here/received" ] || case "$*" in
      *filesystem,volume*) printf 'new/mgt\\tfilesystem\\toff\\t${token}\\t8\\n'; exit 0 ;;
      *) exit 0 ;;
      esac || { echo`,
    );
    standIns.answer('zfs', undefined, { script: partial });
    const ran = await house.zkeep(words(), { env });
    assert.equal(ran.code, 0, ran.stderr);
    const sent = standIns.calls.filter((call) => /^zfs (send -[Lt]|receive|release)/.test(call));
    assert.ok([`zfs send -t ${token}`, 'zfs receive -s -u new/mgt'].includes(sent[0] ?? ''));
    assert.ok(sent.some((call) => call.startsWith(`zfs send -L -c -i ${old} ${DATASET}@migrate-`)));
    assert.equal(sent.at(-1), `zfs release zkeep ${old}`);
  });

  it('moves the history, each snapshot once, and holds it meanwhile', async () => {
    // The snapshot that is there already is the recorded one; the new one is what the recorded increment leads to.
    const script = ZFS.replace(`${DATASET}@*) printf "$name$point"`, `${DATASET}@*) printf "$name$next"`)
      .replace('send) cat "$here/stream" ;;', 'send) cat "$here/increment" ;;')
      .replace('cat >"$here/received"', 'cat >>"$here/received"; echo >>"$here/count"')
      .replace('printf "new/mgt@s1$point"', SECOND);
    rmSync(file('count'), { force: true });
    const increment = recordedStream('lustre-mgt-incr-s1-s2');
    writeFileSync(file('increment'), increment);
    standIns.answer('zfs', undefined, { script });
    const own = PROPERTIES.snapshot.replaceAll(DATASET, 'new/mgt');
    standIns.answer('zfs', ['get', '-Hp', '-o', 'all', 'all', 'new/mgt@s1'], { out: own });
    const { migrated, behind, proof } = await house.document(words('--snapshots'), 0, { env });
    assert.deepEqual(
      migrated.map(({ kind }) => kind),
      ['full', 'incremental'],
    );
    assert.equal(behind, 0);
    assert.ok(proof.differences.every(({ matters }) => !matters));
    assert.ok(readFileSync(file('received')).equals(Buffer.concat([STREAM, increment])));
    const holds = changed().filter((call) => /^zfs (hold|release)/.test(call));
    assert.match(
      holds.join('\n'),
      /^zfs hold zkeep \S+@migrate-\S+\nzfs hold zkeep-migrate \S+@s1\nzfs release zkeep-migrate \S+@s1$/,
    );
  });

  it('lets go of a snapshot of the history that did not arrive, and never destroys it', async () => {
    const script = ZFS.replace('cat >"$here/received"', 'echo "out of space" >&2; exit 1');
    standIns.answer('zfs', undefined, { script });
    assert.equal((await house.document(words('--snapshots'), 9, { env })).error.code, 'zfs.full');
    assert.deepEqual(changed().slice(-1), [`zfs release zkeep-migrate ${DATASET}@s1`]);
    const destroyed = changed().filter((call) => call.startsWith('zfs destroy'));
    assert.equal(destroyed.length, 1);
    assert.match(destroyed[0] ?? '', /@migrate-\S+$/);
  });

  it('tells how many snapshots do not move', async () => {
    const { behind } = await house.document(words('--dry-run'), 0, { env });
    assert.equal(behind, 1);
    const { stderr } = await house.zkeep(words(), { env });
    assert.match(stderr, /1 snapshot of mgspool\/mgt will not be at the target: --snapshots moves them too/);
  });

  it('says at the end whether anything was written since, and what to do next', async () => {
    const { stdout } = await house.zkeep(words('--dry-run', '--final'), { env });
    assert.match(stdout.toString(), /^# .*tunefs\.lustre --dryrun new\/mgt/m);
    const written = ['get', '-Hp', '-o', 'value', 'written', DATASET];
    standIns.answer('zfs', written, { out: '4096\n' });
    const { error } = await house.document(words('--final'), 1, { env });
    assert.equal(error.code, 'migrate.written');
    rmSync(file('received'));
    standIns.answer('zfs', written, { out: '0\n' });
    const ran = await house.zkeep(words('--final'), { env });
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout.toString(), /tunefs\.lustre --dryrun new\/mgt/);
    assert.match(
      ran.stdout.toString(),
      /^nothing was written to mgspool\/mgt after @migrate-\w+: all of it is/m,
    );
    assert.match(
      ran.stdout.toString(),
      /before mgspool\/mgt is destroyed: zfs release zkeep mgspool\/mgt@migrate-/,
    );
  });

  it('is told what it lacks, before anything is done', async () => {
    const none = await house.document(['migrate', 'none/x', '--to', 'new/x'], 3, {
      env: { PATH: '/nowhere' },
    });
    assert.equal(none.error.kind, 'missing');
    const same = await house.document(['migrate', DATASET, '--to', 'new'], 2, { env });
    assert.equal(same.error.kind, 'usage');
    assert.deepEqual(changed(), []);
  });
});
