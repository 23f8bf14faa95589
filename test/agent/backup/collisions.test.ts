/** Two runs at one dataset: each ends with one stored, and the other busy or after it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Ran } from '../road/agent-house.ts';
import { backUp, eachAnew, halfway, host, house, isStored, kill, MIB } from './resume/halfway.ts';

eachAnew();

const BUSY = 6;

/** Each is stored or busy, one at least is stored, and nothing is left of the others. */
async function settled(runs: readonly Promise<Ran>[]): Promise<void> {
  const ended = await Promise.all(runs);
  const told = ended.map(({ code, stdout, stderr }) => `${code} ${stdout}${stderr}`).join('\n');
  assert.ok(
    ended.every(({ code }) => code === 0 || code === BUSY),
    told,
  );
  const stored = ended.filter(({ code }) => code === 0).length;
  assert.ok(stored >= 1, told);
  assert.equal(await house.isClean(), stored);
  assert.deepEqual(
    host.points.filter((name) => name.endsWith('+')),
    [],
    'nothing is held',
  );
}

function run(words: readonly string[], env: Record<string, string> = host.env): Promise<Ran> {
  const { child, ended } = house.begin(['backup', 'tank/a', '--json', ...words], env);
  child.stdin.end();
  return ended;
}

function makeStreams(): void {
  for (let id = 101; id < 106; id++) {
    host.makeStream('tank/a', id, 'full', 0.5);
    host.makeStream('tank/a', id, 'incremental', 0.5);
  }
}

describe('two runs that begin at the same moment', () => {
  it('by the same command', async () => {
    makeStreams();
    await settled([run([]), run([])]);
    const taken = host.points.filter((name) => name === 'tank/a@X').length;
    assert.equal(taken, host.points.filter((name) => name === 'tank/a#X').length);
  });

  it('a refresh and one that keeps its snapshot', async () => {
    makeStreams();
    await settled([run(['--refresh']), run(['--keep-on-source', '1']), run(['--refresh'])]);
    assert.ok(!host.points.includes('tank/a@R'), host.points.join(' '));
  });
});

describe('a run that comes while another one sends', () => {
  it('is busy, of whatever kind it is, and takes nothing away', async () => {
    host.makeStream('tank/a', 101, 'full', 0.5);
    await backUp(['tank/a']);
    const stream = host.makeStream('tank/a', 102, 'incremental', 20);
    const first = await halfway(['tank/a'], 17 * MIB);
    for (const words of [[], ['--refresh'], ['--keep-on-source', '0']]) {
      const { code, stdout } = await run(words);
      assert.equal(code, BUSY, stdout.toString());
      assert.equal(JSON.parse(stdout.toString()).error.code, 'backup.busy');
    }
    assert.deepEqual(host.points, ['tank/a@X', 'tank/a#X', 'tank/a@X+']);
    host.mend('waits-at');
    assert.equal((await first.ended).code, 0);
    await isStored('tank/a', 102, stream);
  });

  it('on a host that imported the pool is busy, and goes on once the other one is long silent', async () => {
    const stream = host.makeStream('tank/a', 101, 'full', 20);
    host.makeStream('tank/a', 102, 'incremental', 0.1);
    const first = await halfway(['tank/a', '--refresh'], 17 * MIB);
    const env = elsewhere();
    const { code, stdout } = await run([], env);
    assert.equal(code, BUSY, stdout.toString());
    await kill(first);
    assert.deepEqual(host.points, ['tank/a@R+'], 'what the other host left is not destroyed');
    await isStoredBy(() => run([], host.env), stream);
  });

  it('may destroy the snapshot of its base: the bookmark is as good', async () => {
    host.makeStream('tank/a', 101, 'full', 0.5);
    await backUp(['tank/a']);
    const stream = host.makeStream('tank/a', 102, 'incremental', 0.5);
    host.fault('base-goes');
    const { stderr, code } = await house.zkeep(['backup', 'tank/a'], { env: host.env });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /was destroyed: its bookmark is the base/);
    assert.deepEqual(host.sends.slice(-2), [
      'zfs send -L -c -i tank/a@X tank/a@X',
      'zfs send -L -c -i tank/a#X tank/a@X',
    ]);
    await isStored('tank/a', 102, stream);
  });
});

async function isStoredBy(again: () => Promise<Ran>, stream: Buffer): Promise<void> {
  const { code, stdout } = await again();
  assert.equal(code, 0, stdout.toString());
  await isStored('tank/a', 101, stream);
}

/** The same programs on a host of another name. */
function elsewhere(): Record<string, string> {
  const preload = join(host.folder, 'elsewhere.mjs');
  const words = `import os from 'node:os';
import { syncBuiltinESMExports } from 'node:module';
os.hostname = () => 'elsewhere';
syncBuiltinESMExports();
`;
  writeFileSync(preload, words);
  return { ...host.env, NODE_OPTIONS: `--import ${pathToFileURL(preload)}` };
}
