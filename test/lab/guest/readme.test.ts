/** The README's way from nothing to a restored dataset, typed as it stands there, on the defaults. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CLONE, ENVIRONMENT } from './parts/clone.ts';
import { eventually, must, run, shell, start } from './parts/command.ts';
import { Lab } from './parts/lab.ts';
import { makeFilesystem, snapshotsOf } from './parts/pool.ts';
import { fill, treeOf } from './parts/tree.ts';

const lab = await Lab.open();
const folder = await mkdtemp(join(tmpdir(), 'readme-'));
const path = `${join(CLONE, 'bin')}:${process.env['PATH']}`;
const readme = await readFile(join(CLONE, 'README.md'), 'utf8');
const [, section = ''] = /## From nothing to a restored dataset\n([\s\S]*?)\n## /.exec(readme) ?? [];
const lines = [...section.matchAll(/^ {4}(\S.*)$/gm)].map(([, line = '']) => line);

before(async () => {
  await lab.pool('tank');
  await lab.pool('new');
  await must('mkdir', '-p', '/etc/zkeep');
  await fill(await makeFilesystem('tank/home'));
  await fill(await makeFilesystem('tank/once'));
  await must('zfs', 'snapshot', 'tank/once@then');
  await shell('zfs send tank/once@then >old.zfs', folder);
});
after(async () => {
  await lab.close();
  await must('rm', '-rf', '/etc/zkeep/token', '/var/lib/zkeep');
  await rm(folder, { recursive: true });
});

async function typed(line: string): Promise<void> {
  // The moment in the README is long gone on the reader's pool; today's is meant.
  const now = await must('date', '+%Y-%m-%d %H:%M:%S');
  const today = line.replace(/'\d{4}-\d\d-\d\d \d\d:\d\d'/, `'${now}'`);
  const { exit, stdout, stderr } = await run(['bash', '-euo', 'pipefail', '-c', today], {
    cwd: folder,
    env: { ...ENVIRONMENT, PATH: path },
  });
  assert.equal(exit, 0, `${today}: ${stdout}${stderr}`);
}

test('every line of the README works in its order', async () => {
  assert.ok(lines.length >= 10, 'the lines were found');
  for (const line of lines) {
    if (line === 'zkeep-server') {
      const service = start([join(CLONE, 'bin/zkeep-server')], { env: ENVIRONMENT });
      after(() => service.kill('SIGTERM'));
      await eventually(
        'the service',
        async () => (await run(['bash', '-c', ': < /dev/tcp/127.0.0.1/8470'])).exit === 0,
      );
      continue;
    }
    await typed(line);
  }
  const [first = ''] = await snapshotsOf('tank/home');
  const home = await treeOf(`tank/home@${first}`);
  for (const back of ['new/home', 'new/thursday', 'new/rescued']) {
    const last = (await snapshotsOf(back)).at(-1);
    assert.deepEqual(await treeOf(`${back}@${last}`), home, `${back} holds what was kept`);
  }
  assert.deepEqual(await treeOf('new/old@then'), await treeOf('tank/once@then'));
});
