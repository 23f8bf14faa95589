import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfiguration } from '../server/configuration/configuration.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const documents = globSync('**/*.md', { cwd: root, exclude: (name) => name.includes('node_modules') }).filter(
  (name) => !name.startsWith('test/fixtures/'),
);
const textOf = (document: string) => readFileSync(join(root, document), 'utf8');

test('every link to a file leads to one', () => {
  assert.ok(documents.length >= 5);
  const broken = documents.flatMap((document) =>
    [...textOf(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !existsSync(join(root, dirname(document), target)))
      .map((target) => `${document}: ${target}`),
  );
  assert.deepEqual(broken, []);
});

test('every npm script that a document names is there', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const named = documents.flatMap((document) =>
    [...textOf(document).matchAll(/npm (?:run )?((?:test|bench|demo|lint|types)(?::\w+)?)\b/g)].map(
      ([, name = '']) => name,
    ),
  );
  assert.ok(named.length > 0);
  assert.deepEqual(
    named.filter((name) => !(name in scripts)),
    [],
  );
});

/** `zkeep backup -r tank  # why` as its words, without what the shell does with it. */
function commandsIn(document: string): string[][] {
  return [...textOf(document).matchAll(/^(?: {4}|\$ )(zkeep(?:-server)? .*)$/gm)].map(([, line = '']) =>
    line
      .replace(/ #.*| [<>|].*/, '')
      .trim()
      .split(/\s+/),
  );
}

/** Commands that have commands below them. */
const GROUPS = ['agent', 'lustre', 'policy'];

test('every option of every command that the README shows is one of that command', () => {
  const commands = commandsIn('README.md');
  assert.ok(commands.length >= 8);
  const helps = new Map<string, string>();
  for (const [program = '', ...words] of commands) {
    const depth = program === 'zkeep-server' || GROUPS.includes(words[0] ?? '') ? 2 : 1;
    const path = words.slice(0, depth).filter((word) => /^[a-z]+$/.test(word));
    const key = [program, ...path].join(' ');
    const help =
      helps.get(key) ?? spawnSync(join(root, 'bin', program), [...path, '--help']).stdout.toString();
    helps.set(key, help);
    for (const option of words.filter((word) => word.startsWith('-'))) {
      assert.match(help, new RegExp(`(^|[\\s,])${option}\\b`, 'm'), `${key} ${option}`);
    }
  }
});

test('the configuration that the README shows is one', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'zkeep-readme-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const [, toml = ''] = /```toml\n([\s\S]*?)```/.exec(textOf('README.md')) ?? [];
  const credentials = join(folder, 's3.credentials');
  writeFileSync(credentials, '[default]\naws_access_key_id = a\naws_secret_access_key = b\n', {
    mode: 0o600,
  });
  const file = join(folder, 'server.toml');
  writeFileSync(file, toml.replace('/etc/zkeep/s3.credentials', credentials));
  const { store } = loadConfiguration({ file });
  assert.equal(store.type, 's3');
});
