import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { request } from 'undici';

const BIN = fileURLToPath(new URL('../../bin/', import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('the command zkeep-server', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zkeep-main-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs it to its end. */
  async function run(...words: string[]): Promise<Ended> {
    const environment = { PATH: process.env['PATH'], HOME: folder };
    return await promisify(execFile)(join(BIN, 'zkeep-server'), words, { env: environment }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (failed: Ended) => failed,
    );
  }

  it('refuses what it does not know, with exit code 2 and words', async () => {
    for (const words of [
      ['frobnicate'],
      ['--frobnicate'],
      ['token', 'add', '--scope', 'king', '--name', 'x'],
      ['--port', 'x'],
    ]) {
      const { code, stderr, stdout } = await run('--data', folder, ...words);
      assert.deepEqual([code, stdout], [2, ''], words.join(' '));
      assert.match(stderr, /error|unknown|invalid|argument/i);
    }
  });

  it('says of what is no command where the commands are', async () => {
    const { code, stderr } = await run('--data', folder, 'enrol');
    assert.deepEqual(
      [code, stderr],
      [2, 'zkeep-server: unknown command "enrol"\n  zkeep-server --help shows the commands\n'],
    );
    assert.match((await run('--help')).stdout, /Example:\n {2}zkeep-server --config /);
  });

  it('prints the documents that COMMANDS.md promises', async () => {
    const page = readFileSync(new URL('../../server/COMMANDS.md', import.meta.url), 'utf8');
    const rows = [...(page.split('## JSON')[1]?.matchAll(/^\| `([a-z ]+)` \| (`.*`) \|$/gm) ?? [])];
    const promised = new Map(
      rows.map(([, name = '', fields = '']) => [name, fields.replaceAll('`', '').split(', ')]),
    );
    const words: Record<string, string[]> = {
      'token add': ['--scope', 'agent', '--name', 'mds1'],
      'token list': [],
      'token remove': ['mds1'],
      enroll: ['--name', 'mds2'],
      rebuild: [],
    };
    for (const [name, more] of Object.entries(words)) {
      const { stdout } = await run('--data', join(folder, 'data'), ...name.split(' '), ...more, '--json');
      const { zkeep, command, ...fields } = JSON.parse(stdout);
      assert.deepEqual([zkeep, command, Object.keys(fields)], [1, name, promised.get(name)]);
    }
    assert.deepEqual([...promised.keys()].sort(), [...Object.keys(words), 'serve'].sort());
  });

  it('refuses a configuration that is wrong, in words and as JSON', async () => {
    const { writeFileSync } = await import('node:fs');
    const file = join(folder, 'server.toml');
    writeFileSync(file, 'lisen = "x"\n');
    const { code, stdout, stderr } = await run('--config', file, '--json');
    assert.equal(code, 2);
    assert.match(stderr, /server\.toml: lisen is not a key/);
    const { command, error } = JSON.parse(stdout);
    assert.deepEqual([command, error.code], ['serve', 'configuration.wrong']);
    assert(!stderr.includes('    at '), stderr);
  });

  it('has help with an example for every command', async () => {
    for (const words of [
      [],
      ['serve'],
      ['token'],
      ['token', 'add'],
      ['token', 'list'],
      ['token', 'remove'],
      ['enroll'],
      ['rebuild'],
    ]) {
      const { code, stdout } = await run(...words, '--help');
      assert.equal(code, 0);
      assert.match(
        stdout,
        words.length === 0 ? /Exit codes: 0 done/ : /Example:\n {2}zkeep-server/,
        words.join(' '),
      );
    }
  });

  it('makes, lists and removes tokens', async () => {
    const data = join(folder, 'data');
    const made = await run('--data', data, 'token', 'add', '--scope', 'agent', '--name', 'mds1');
    assert.match(made.stdout, /^zkeep_[A-Za-z0-9_-]{43}\n$/);
    const again = await run('--data', data, 'token', 'add', '--scope', 'agent', '--name', 'mds1');
    assert.deepEqual([again.code, again.stdout], [4, '']);
    const { tokens } = JSON.parse((await run('token', 'list', '--data', data, '--json')).stdout);
    assert.deepEqual([tokens.length, tokens[0].name, tokens[0].scope], [1, 'mds1', 'agent']);
    assert.match((await run('--data', data, 'token', 'list')).stdout, /^agent .* mds1\n$/);
    assert.equal((await run('--data', data, 'token', 'remove', 'mds1')).code, 0);
    assert.equal((await run('--data', data, 'token', 'remove', 'mds1')).code, 3);
  });

  it('prints a one-time code, once, for a name that is free', async () => {
    const data = join(folder, 'data');
    const made = await run('--data', data, 'enroll', '--name', 'mds1', '--for', '2h', '--json');
    assert.equal(made.code, 0, made.stderr);
    const { name, scope, code, expires } = JSON.parse(made.stdout);
    assert.deepEqual([name, scope], ['mds1', 'agent']);
    assert.match(code, /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/);
    assert.ok(Date.parse(expires) > Date.now() + 3_600_000);
    const told = await run('--data', data, 'enroll', '--name', 'mds3');
    assert.match(told.stdout, /^[0-9A-Z-]{19}\n$/);
    assert.match(
      told.stderr,
      /good once, until .*; on the host of mds3:\n {2}zkeep enroll --service http:\/\/127\.0\.0\.1:8470 --code CODE\n/,
    );
    assert.equal((await run('--data', data, 'enroll', '--name', 'mds2', '--for', 'long')).code, 2);
    await run('--data', data, 'token', 'add', '--scope', 'agent', '--name', 'taken');
    assert.equal((await run('--data', data, 'enroll', '--name', 'taken')).code, 4);
  });

  it('serves with no configuration, says where, and stops gracefully when told to', async () => {
    const data = join(folder, 'data');
    const { stdout: token } = await run('--data', data, 'token', 'add', '--scope', 'reader', '--name', 'me');
    const service = spawn(join(BIN, 'zkeep-server'), ['--data', data, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { PATH: process.env['PATH'], HOME: folder },
    });
    const ended = once(service, 'exit');
    const [line] = await once(createInterface(service.stdout), 'line');
    const { listening } = JSON.parse(String(line));
    const { statusCode, body } = await request(`${listening}/v1/repository`, {
      headers: { authorization: `Bearer ${token.trim()}` },
    });
    assert.deepEqual([statusCode, await body.json()].length, 2);
    assert.equal(statusCode, 200);
    const busy = await run('--data', data, 'rebuild');
    assert.deepEqual([busy.code, busy.stdout], [6, '']);
    service.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    assert(existsSync(join(data, 'repository', 'zkeep.json')));
    const rebuilt = await run('--data', data, 'rebuild', '--json');
    const { manifests, backups, copy, problems } = JSON.parse(rebuilt.stdout);
    assert.deepEqual([manifests, backups, copy, problems], [0, 0, null, []]);
    const anew = await run('--data', data, 'rebuild', '--from-manifests');
    assert.deepEqual([anew.code, anew.stdout], [0, 'the index has 0 of 0 backups\n']);
  });
});

describe('the launchers', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zkeep-launcher-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const run = (file: string, words: string[]) =>
    promisify(execFile)(file, words).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (failed: Ended) => failed,
    );

  for (const name of ['zkeep', 'zkeep-server']) {
    it(`${name} says what to do when its parts are not installed`, async () => {
      mkdirSync(join(folder, 'a b', 'bin'), { recursive: true });
      copyFileSync(join(BIN, name), join(folder, 'a b', 'bin', name));
      const { code, stderr } = await run(join(folder, 'a b', 'bin', name), []);
      assert.equal(code, 1);
      assert.equal(stderr, `${name}: its parts are not installed: run 'npm ci' in ${join(folder, 'a b')}\n`);
    });
  }

  it('find their home through links, absolute and relative', async () => {
    mkdirSync(join(folder, 'bin'));
    symlinkSync(join(BIN, 'zkeep-server'), join(folder, 'one'));
    symlinkSync('../one', join(folder, 'bin', 'two'));
    const { code, stdout } = await run(join(folder, 'bin', 'two'), ['--version']);
    assert.deepEqual([code, stdout], [0, '0.1.0\n']);
  });
});
