import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  patienceBy,
  readIdentities,
  serviceToken,
  serviceUrl,
  stateFolder,
  withAgentFile,
} from '../../agent/settings.ts';
import { ZkeepError } from '../../catalog/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'zkeep-settings-'));
after(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const failed = (code: string) => (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === code;

describe('the address of the service', () => {
  it('is refused when it is none', () => {
    for (const service of ['localhost:8470', 'ftp://x', 'http://u:p@x', 'http://x/?a=b', '']) {
      assert.throws(() => serviceUrl({ service }, {}), failed('settings.service'), service);
    }
  });

  it('comes from the option, then the environment, then loopback', () => {
    const environment = { ZKEEP_SERVICE: 'https://b/' };
    assert.equal(serviceUrl({ service: 'http://a:1/x/' }, environment), 'http://a:1/x');
    assert.equal(serviceUrl({}, environment), 'https://b');
    assert.equal(serviceUrl({}, {}), 'http://127.0.0.1:8470');
  });
});

describe("what the agent's configuration says of the service", () => {
  const file = write('agent.toml', 'service = "https://c"\ntoken_file = "token"\nbandwith = 1\n');

  it('that cannot be read as TOML is an error, and not the default', async () => {
    const bad = write('bad.toml', 'service = https\n');
    await assert.rejects(withAgentFile({}, {}, bad), failed('configuration.malformed'));
  });

  it('counts where neither options nor environment say it, each for itself', async () => {
    const token = join(folder, 'token');
    assert.deepEqual(await withAgentFile({}, {}, file), { service: 'https://c', tokenFile: token });
    assert.deepEqual(await withAgentFile({ service: 'https://a' }, {}, file), {
      service: 'https://a',
      tokenFile: token,
    });
    const environment = { ZKEEP_SERVICE: 'https://b', ZKEEP_TOKEN: 'x' };
    assert.deepEqual(await withAgentFile({}, environment, file), {});
    assert.deepEqual(await withAgentFile({ json: true }, { ZKEEP_TOKEN: 'x' }, file), {
      json: true,
      service: 'https://c',
    });
    assert.deepEqual(await withAgentFile({}, { ZKEEP_AGENT_CONFIG: file }, '/nowhere'), {
      service: 'https://c',
      tokenFile: token,
    });
  });

  it('is not needed where there is no file, or no service is asked', async () => {
    assert.deepEqual(await withAgentFile({}, {}, join(folder, 'none')), {});
    assert.deepEqual(await withAgentFile({ repository: '/r' }, {}, file), { repository: '/r' });
  });
});

describe('the state folder', () => {
  it('is the one that is named, else the usual one of root or of the user', () => {
    const environment = { HOME: '/home/u' };
    assert.equal(stateFolder({ ...environment, ZKEEP_STATE: '/x' }, true), '/x');
    assert.equal(stateFolder(environment, true), '/var/lib/zkeep');
    assert.equal(stateFolder(environment, false), '/home/u/.local/state/zkeep');
    assert.equal(stateFolder({ ...environment, XDG_STATE_HOME: '/s' }, false), '/s/zkeep');
  });
});

describe('the token', () => {
  it('that is nowhere is an error that names the places', () => {
    const environment = { HOME: folder, XDG_CONFIG_HOME: join(folder, 'none') };
    assert.throws(() => serviceToken({}, environment), failed('settings.no-token'));
  });

  it('in a named file that is not there is not looked for elsewhere', () => {
    assert.throws(
      () => serviceToken({ tokenFile: join(folder, 'gone') }, { ZKEEP_TOKEN: 'x' }),
      failed('settings.no-file'),
    );
  });

  it('of several lines or with strange characters is refused', () => {
    for (const text of ['', 'a\nb', 'a b', 'ä']) {
      assert.throws(() => serviceToken({ tokenFile: write('bad', text) }, {}), failed('settings.token'));
    }
  });

  it('comes from the option, then ZKEEP_TOKEN, then ZKEEP_TOKEN_FILE, then the usual file', () => {
    mkdirSync(join(folder, 'config', 'zkeep'), { recursive: true });
    writeFileSync(join(folder, 'config', 'zkeep', 'token'), 'usual\n');
    const environment = { XDG_CONFIG_HOME: join(folder, 'config') };
    const named = { ...environment, ZKEEP_TOKEN_FILE: write('named', 'named\n') };
    assert.equal(
      serviceToken({ tokenFile: write('option', 'option\n') }, { ...named, ZKEEP_TOKEN: 'itself' }),
      'option',
    );
    assert.equal(serviceToken({}, { ...named, ZKEEP_TOKEN: 'itself' }), 'itself');
    assert.equal(serviceToken({}, named), 'named');
    assert.equal(serviceToken({}, environment), 'usual');
  });
});

describe('patience', () => {
  it('that is no duration, or longer than a month, is refused', () => {
    for (const patience of ['', '15', '-1m', '1.5h', '30m1h', '1h 30m', 'forever', '31d', '9999999s', 'm']) {
      assert.throws(() => patienceBy({ patience }, {}), failed('settings.patience'), patience);
    }
    assert.throws(() => patienceBy({}, { ZKEEP_PATIENCE: 'long' }), failed('settings.patience'));
  });

  it('comes from the option, then the environment, then is a quarter of an hour', () => {
    assert.equal(patienceBy({ patience: '1h30m' }, { ZKEEP_PATIENCE: '5s' }), 5_400_000);
    assert.equal(patienceBy({}, { ZKEEP_PATIENCE: '5s' }), 5_000);
    assert.equal(patienceBy({}, { ZKEEP_PATIENCE: '' }), 900_000);
    assert.equal(patienceBy({}, {}), 900_000);
    assert.deepEqual(
      ['0', '0s', '90s', '2d', '1d1h1m1s'].map((patience) => patienceBy({ patience }, {})),
      [0, 0, 90_000, 172_800_000, 90_061_000],
    );
  });
});

describe('an identity file', () => {
  it('holds identities and comments, or is refused', () => {
    assert.deepEqual(readIdentities(write('age', '# made today\nAGE-SECRET-KEY-1ABC\n\n')), [
      'AGE-SECRET-KEY-1ABC',
    ]);
    for (const text of ['', '# nothing\n', 'age1abc\n', 'AGE-SECRET-KEY-1ABC\nmore\n']) {
      assert.throws(() => readIdentities(write('bad', text)), failed('settings.identity'));
    }
  });
});
