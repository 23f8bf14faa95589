/** `npm run demo` where there is ZFS and root: it must use them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLONE, ENVIRONMENT } from './parts/clone.ts';
import { must, run } from './parts/command.ts';

test('the demo runs on a pool of its own and takes it away again', async () => {
  const { exit, stdout, stderr } = await run([process.execPath, 'test/demo/main.ts'], {
    cwd: CLONE,
    env: ENVIRONMENT,
  });
  assert.equal(exit, 0, `${stdout} ${stderr}`);
  assert.match(stdout.toString(), /ZFS is here/);
  assert.equal(await must('zpool', 'list', '-Ho', 'name'), '');
});
