import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseAgentConfiguration } from '../../agent/daemon/configuration.ts';
import { beginConfiguration, codeMeant, firstConfiguration, TokenFile } from '../../agent/enrolment.ts';
import { systemClock } from '../../catalog/clock.ts';
import { addEnrolment } from '../../server/enrolment/enrolment.ts';
import { openState } from '../../server/state/state.ts';
import { AgentHouse } from './road/agent-house.ts';

const folder = mkdtempSync(join(tmpdir(), 'zkeep-enrolment-'));
after(() => rmSync(folder, { recursive: true }));
const CODE = 'K7QW-0V1M-ABCD-EFGH';

describe('a code', () => {
  it('is taken as it is typed, in small letters, without dashes, with letters for digits', () => {
    for (const text of [CODE, 'k7qw0v1mabcdefgh', ' K7QW OVIM abcd efgh\n', 'K7QW-oVlM-ABCD-EFGH'])
      assert.equal(codeMeant(text), CODE, text);
  });

  it('that is none is refused before anybody is asked', () => {
    for (const text of ['', 'K7QW', `${CODE}-ABCD`, 'K7QW-0V1M-ABCD-EFGU', 'K7QW-0V1M-ABCD-EFG!'])
      assert.throws(() => codeMeant(text), { kind: 'usage', code: 'enrol.malformed' }, text);
  });
});

describe("a token's file", () => {
  it('is never written over another one, unless that is asked', async () => {
    const file = join(folder, 'kept');
    writeFileSync(file, 'first\n');
    await assert.rejects(TokenFile.prepare(file, false), { kind: 'refused', code: 'enrol.token-there' });
    const [slow, fast] = await Promise.all([0, 1].map(() => TokenFile.prepare(join(folder, 'race'), false)));
    await fast?.write('fast');
    await assert.rejects(slow?.write('slow') ?? assert.fail(), { code: /enrol\.(token-there|unwritable)/ });
    assert.equal(readFileSync(join(folder, 'race'), 'utf8'), 'fast\n');
    await (await TokenFile.prepare(file, true)).write('second');
    assert.equal(readFileSync(file, 'utf8'), 'second\n');
  });

  it('that cannot be written is known before the code is used', async () => {
    await assert.rejects(TokenFile.prepare(join(folder, 'kept', 'token'), false), { kind: 'denied' });
  });

  it("is its owner's only, in a folder that is made, and leaves nothing beside it", async () => {
    const file = join(folder, 'new', 'zkeep', 'token');
    await (await TokenFile.prepare(file, false)).write('zkeep_x');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(folder, 'new', 'zkeep')), ['token']);
  });
});

it('a configuration to begin with is one, and stays when it is there', async () => {
  const text = firstConfiguration('https://zkeep.example.org', '/srv/token');
  const { service, tokenFile, jobs } = parseAgentConfiguration(text, 'agent.toml');
  assert.deepEqual([service, tokenFile, jobs], ['https://zkeep.example.org', '/srv/token', []]);
  const meant = parseAgentConfiguration(
    text.replaceAll(/^# ?(?=[[a-z#]|$)(?!What|agent\/)/gm, ''),
    'agent.toml',
  );
  assert.deepEqual([meant.jobs.length, meant.bandwidth.windows.length], [1, 1]);
  const file = join(folder, 'etc', 'agent.toml');
  assert.equal(await beginConfiguration(file, text), true);
  assert.equal(await beginConfiguration(file, 'other'), false);
  assert.equal(readFileSync(file, 'utf8'), text);
});

describe('zkeep enroll', () => {
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
  });
  after(() => house.end());

  function newCode(name: string): string {
    const state = openState(house.folder);
    try {
      return addEnrolment(state, { name, scope: 'agent', life: 3_600_000 }, systemClock);
    } finally {
      state.close();
    }
  }
  const places = (name: string) => {
    const [token, configuration] = [
      join(house.folder, name, 'token'),
      join(house.folder, name, 'agent.toml'),
    ];
    return { token, configuration, words: ['--token-file', token, '--config', configuration] };
  };
  const env = { ZKEEP_TOKEN: '', ZKEEP_PATIENCE: '0' };

  it('needs a code, a service that answers, and a code that is right', async () => {
    const { words, token } = places('wrong');
    const none = await house.zkeep(['enroll', ...words], { env });
    assert.equal(none.code, 2);
    assert.match(none.stderr, /zkeep-server enroll/);
    const away = ['enroll', '--service', 'http://127.0.0.1:1', '--code', CODE, ...words];
    assert.equal((await house.zkeep(away, { env })).code, 10);
    const wrong = await house.zkeep(['enroll', '--code', CODE, ...words], { env });
    assert.equal(wrong.code, 8);
    assert.match(wrong.stderr, /wrong, was used, or is too old/);
    assert.ok(!existsSync(token));
  });

  it('writes the token and a configuration, with which the service is found from then on', async () => {
    const { words, token, configuration } = places('mds1');
    const code = newCode('mds1');
    const { code: exit, stdout } = await house.zkeep(['enroll', '--code', '-', '--json', ...words], {
      env,
      stdin: Buffer.from(`${code.toLowerCase()}\n`),
    });
    assert.equal(exit, 0, stdout.toString());
    const { error: _, ...document } = JSON.parse(stdout.toString());
    assert.deepEqual(document, {
      zkeep: 1,
      command: 'enroll',
      service: house.url,
      name: 'mds1',
      scope: 'agent',
      token_file: token,
      configuration,
    });
    const list = await house.zkeep(['list'], {
      // As for somebody who set nothing.
      env: { ZKEEP_AGENT_CONFIG: configuration, ZKEEP_SERVICE: undefined, ZKEEP_TOKEN: undefined },
    });
    assert.equal(list.code, 0, list.stderr);
    const again = await house.zkeep(['enroll', '--code', newCode('mds2'), ...words], { env });
    assert.equal(again.code, 4);
    assert.match(again.stderr, /there is a token in .*\n.*--force/);
  });
});
