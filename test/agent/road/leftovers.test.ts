/** `zkeep leftovers` end to end, on a host whose ZFS is a script. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { makeStream } from '../../made-stream.ts';
import { StandIns } from '../stand-ins.ts';
import { AgentHouse } from './agent-house.ts';

const OWN = 'zkeep-20261120T120000Z';
const ZFS = `
case "$*" in
*receive_resume_token*) printf 'tank\\tfilesystem\\toff\\t-\\t7\\ntank/a\\tfilesystem\\toff\\t1-nonsense\\t8\\n' ;;
*userrefs*) printf 'tank/a@${OWN}\\t5\\t5\\t1795165200\\t1\\n' ;;
'holds '*) printf 'tank/a@${OWN}\\tzkeep\\tFri Nov 20 12:00 2026\\n' ;;
*name,used*) printf 'tank/a@${OWN}\\t4096\\n' ;;
*) echo "nothing is known of $*" >&2; exit 64 ;;
esac
`;

describe('zkeep leftovers', () => {
  const standIns = new StandIns();
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
  });
  beforeEach(() => {
    standIns.answer('zfs', 'get -Hp -t filesystem -s local -o name,value zkeep:drill'.split(' '), {});
    standIns.answer('zfs', undefined, { script: ZFS });
    standIns.answer('zpool', ['list', '-Hp', '-o', 'name,guid'], { out: 'tank\t1000\n' });
  });
  after(async () => {
    standIns.end();
    await house.end();
  });
  const env = () => ({ PATH: standIns.path });
  const left = async (given: Record<string, string> = {}, ...words: string[]) =>
    await house.document(['leftovers', ...words], 0, { env: { ...env(), ...given } });

  it('tells what ZFS and the repository know, for scripts and for people', async () => {
    const { leftovers, unasked, unjudged } = await left();
    assert.deepEqual(
      leftovers.map(({ kind, clear }) => [kind, clear.map((command) => command.join(' '))]),
      [
        ['partial-receive', ['zfs receive -A tank/a']],
        ['snapshot', [`zfs release zkeep tank/a@${OWN}`, `zfs destroy tank/a@${OWN}`]],
      ],
    );
    assert.equal(leftovers[1]?.since, '2026-11-20T09:00:00.000Z');
    assert.deepEqual([unasked, unjudged], [[], 0]);
    const { stdout, code } = await house.zkeep(['leftovers'], { env: env() });
    assert.equal(code, 0);
    assert.match(
      stdout.toString(),
      /^tank\/a@zkeep\S+\n {4}a snapshot .* 4\.0 KiB kept by it alone, since /m,
    );
    assert.match(stdout.toString(), /^ {4}clears: {2}zfs release zkeep .*\n {13}zfs destroy tank/m);
  });

  it('tells only of the datasets that are named, and refuses what is none', async () => {
    assert.deepEqual((await left({}, 'tank/b')).leftovers, []);
    const { stdout } = await house.zkeep(['leftovers', 'tank/b'], { env: env() });
    assert.equal(stdout.toString(), 'nothing is left\n');
    assert.equal((await house.document(['leftovers', 'tank/b@c'], 2, { env: env() })).error.kind, 'usage');
  });

  it('says what could not be asked while the service is away, or refuses the token', async () => {
    const away = await left({ ZKEEP_SERVICE: 'http://127.0.0.1:1' });
    assert.deepEqual(
      away.leftovers.map(({ kind }) => kind),
      ['partial-receive'],
    );
    assert.deepEqual([away.unjudged, away.unasked[0]?.who], [1, 'the service']);
    const { stdout } = await house.zkeep(['leftovers'], { env: { ...env(), ZKEEP_TOKEN: 'none' } });
    assert.match(stdout.toString(), /^! the service could not be asked: /m);
    assert.match(stdout.toString(), /^! only the service tells which of 1 /m);
  });

  it('tells of a backup that was left open, without ZFS too, and its command ends it', async () => {
    const stream = Buffer.concat([...makeStream({ toGuid: 77n, toName: 'tank/x@one', blocks: blocks() })]);
    const { child, ended } = house.begin(['import', '--dataset', 'tank/x'], env());
    child.stdin.write(stream.subarray(0, stream.length >> 1));
    await house.untilOpen(1);
    const [running] = (await left({}, 'tank/x')).leftovers;
    assert.deepEqual([running?.running, running?.clear], [true, []]);
    child.kill('SIGKILL');
    await ended;
    standIns.answer('zfs', undefined, { err: '/dev/zfs: ZFS modules are not loaded\n', exit: 1 });
    const { leftovers, unasked } = await left();
    assert.deepEqual([leftovers[0]?.kind, leftovers[0]?.running], ['open-backup', false]);
    assert.equal(unasked[0]?.code, 'zfs.not-loaded');
    standIns.answer('zfs', undefined, { script: ZFS });
    const [command = []] = (await left({}, 'tank/x')).leftovers[0]?.clear ?? [];
    assert.equal(command[0], 'zkeep');
    assert.equal((await house.zkeep(command.slice(1), { env: env() })).code, 0);
    assert.deepEqual((await left({}, 'tank/x')).leftovers, []);
  });

  it('fails when nobody can be asked', async () => {
    standIns.answer('zfs', undefined, { err: 'permission denied\n', exit: 1 });
    const words = ['leftovers', '--service', 'http://127.0.0.1:1'];
    assert.equal((await house.document(words, 10, { env: env() })).error.code, 'leftovers.nobody');
  });
});

function* blocks(): Generator<Uint8Array> {
  for (let index = 0; index < 10; index++) yield randomBytes(131_072);
}
