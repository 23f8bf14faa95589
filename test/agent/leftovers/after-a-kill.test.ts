/** What is left when `zkeep backup` is killed, and that the commands which `zkeep leftovers` prints do what they say. */
import assert from 'node:assert/strict';
import { delimiter } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ZfsHost } from '../backup/resume/zfs-host.ts';
import { until } from '../made-host.ts';
import { AgentHouse } from '../road/agent-house.ts';
import { StandIns } from '../stand-ins.ts';

/** What that host is not asked by `zkeep backup`: about all of it at once, and about holds. */
const MORE = (host: string) => `
case "$*" in
'list -Hp -t filesystem,volume -o name,type,encryption,receive_resume_token,guid') cat '${host}/datasets' ;;
'list -Hp -t snapshot,bookmark -o name,guid,createtxg,creation,userrefs') cat '${host}/points' ;;
'holds -H '*)
  shift 2
  for name; do ! grep -q "^$name	.*	1$" '${host}/points' || printf '%s\\tzkeep\\tnow\\n' "$name"; done ;;
*name,used*) shift 6; for name; do printf '%s\\t4096\\n' "$name"; done ;;
*) exec '${host}/zfs' "$@" ;;
esac
`;

const SEGMENT = 16 * 1024 * 1024;

describe('a backup that was killed', () => {
  const host = new ZfsHost({ 'tank/a': 1 });
  const standIns = new StandIns();
  let house: AgentHouse;
  const env = { ...host.env, PATH: `${standIns.folder}${delimiter}${host.env['PATH']}` };

  before(async () => {
    standIns.answer('zfs', undefined, { script: MORE(host.folder) });
    standIns.answer('zpool', undefined, { script: `exec '${host.folder}/zpool' "$@"` });
    standIns.answer('zpool', ['list', '-Hp', '-o', 'name,guid'], { out: 'tank\t77\n' });
    house = await AgentHouse.open();
  });
  after(async () => {
    await house.end();
    standIns.end();
    host.end();
  });

  const left = async () => (await house.document(['leftovers'], 0, { env })).leftovers;

  async function killed(megabytes: number): Promise<void> {
    host.fault('waits-at', megabytes * 1024 * 1024);
    const { child, ended } = house.begin(['backup', 'tank/a'], env);
    await host.untilWaiting();
    await until('a segment of it', async () => ((await left())[0]?.bytes ?? 0) >= SEGMENT);
    const [running] = await left();
    assert.deepEqual([running?.kind, running?.running, running?.clear], ['open-backup', true, []]);
    child.kill('SIGKILL');
    await ended;
    host.mend('waits-at');
  }

  async function typed(command: readonly string[] | null | undefined): Promise<void> {
    assert.equal(command?.[0], 'zkeep');
    const { code, stderr } = await house.zkeep(command?.slice(1) ?? [], { env });
    assert.equal(code, 0, stderr);
  }

  it('is gone on with by the command that is told, and then nothing is left', async () => {
    host.makeStream('tank/a', 101, 'full', 40);
    host.makeStream('tank/a', 102, 'incremental', 1);
    await killed(36);
    const [open, ...others] = await left();
    assert.deepEqual(
      [open?.kind, open?.running, open?.dataset, others],
      ['open-backup', false, 'tank/a', []],
    );
    assert.ok((open?.bytes ?? 0) >= SEGMENT);
    await typed(open?.continues);
    assert.deepEqual(await left(), []);
    assert.equal(await house.isClean(), 2);
  });

  it('is ended by the command that is told, and then nothing is left either', async () => {
    host.makeStream('tank/a', 103, 'incremental', 40);
    await killed(36);
    const [open] = await left();
    await typed(open?.clear[0]);
    assert.deepEqual(await left(), []);
    assert.equal(await house.isClean(), 2);
    assert.deepEqual(host.points, ['tank/a@X', 'tank/a#X', 'tank/a@X', 'tank/a#X']);
  });
});
