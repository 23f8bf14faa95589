import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { AgentHouse } from './agent-house.ts';

describe('an encrypted repository', () => {
  let house: AgentHouse;
  let identity = '';
  before(async () => {
    const secret = await generateIdentity();
    house = await AgentHouse.open(`recipients = ["${await identityToRecipient(secret)}"]`);
    identity = join(house.folder, 'identity');
    writeFileSync(identity, `# made by a test\n${secret}\n`);
    await house.document(['import', '--dataset', 'tank/fs'], 0, { stdin: recordedStream('full') });
  });
  after(async () => await house.end());

  it('gives nothing back without an identity, and says so before anything is fetched', async () => {
    const output = join(house.folder, 'out');
    const { error } = await house.document(['export', 'tank/fs', '--output', output], 8);
    assert.equal(error.code, 'restore.no-identity');
    assert.ok(!existsSync(output));
  });

  it("gives nothing back with somebody else's identity", async () => {
    const other = join(house.folder, 'other');
    writeFileSync(other, await generateIdentity());
    const words = ['export', 'tank/fs', '--output', join(house.folder, 'out'), '--identity', other];
    assert.equal((await house.document(words, 8)).error.code, 'age.identity');
  });

  it('gives the very stream back with the right one, also without the service', async () => {
    for (const place of [[], ['--repository', house.repository]]) {
      const ran = await house.zkeep(['export', 'tank/fs', '--identity', identity, '--quiet', ...place]);
      assert.equal(ran.code, 0, ran.stderr);
      assert.ok(ran.stdout.equals(recordedStream('full')));
    }
  });

  it('verifies: lightly without an identity, deeply with one', async () => {
    assert.deepEqual((await house.document(['verify'], 0)).problems, []);
    assert.deepEqual((await house.document(['verify', '--deep', '--identity', identity], 0)).problems, []);
  });
});
