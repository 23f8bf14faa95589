import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Which rooms a room may import from, besides itself and the files at the top of `catalog/` (DESIGN.md, "The house"). */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'catalog/stream': [],
  'catalog/chain': [],
  'catalog/attributes': [],
  'catalog/lustre': ['catalog/attributes', 'catalog/stream'],
  'catalog/repository': ['catalog/stream', 'catalog/attributes'],
  'catalog/journal': ['catalog/chain'],
  'catalog/index': [
    'catalog/chain',
    'catalog/repository',
    'catalog/protocol',
    'catalog/attributes',
    'catalog/journal',
  ],
  'catalog/protocol': [
    'catalog/stream',
    'catalog/chain',
    'catalog/repository',
    'catalog/attributes',
    'catalog/journal',
  ],
  catalog: [],
  agent: ['catalog/*'],
  server: ['catalog/*'],
};

function roomOf(path: string): string {
  const [floor = '', room = ''] = path.split('/');
  return floor === 'catalog' && !room.endsWith('.ts') ? `${floor}/${room}` : floor;
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = text.matchAll(/(?:from|import|import\()\s*'(\.[^']+)'/g);
  return [...found].map(([, target]) => relative(root, join(root, dirname(file), target ?? '')));
}

function isAllowed(from: string, to: string): boolean {
  if (from === to || to === 'catalog') return true;
  const allowed = ARROWS[from] ?? [];
  return allowed.includes(to) || (allowed.includes('catalog/*') && to.startsWith('catalog/'));
}

const files = globSync('{catalog,agent,server}/**/*.ts', { cwd: root });

test('every room imports only from the rooms that the design allows', () => {
  assert.ok(files.length > 30, 'the sources were found');
  const wrong = files.flatMap((file) =>
    importsOf(file)
      .filter((target) => !isAllowed(roomOf(file), roomOf(target)))
      .map((target) => `${file} imports ${target}`),
  );
  assert.deepEqual(wrong, []);
});

test('every room is one that the design names', () => {
  assert.deepEqual(
    [...new Set(files.map(roomOf))].filter((room) => !(room in ARROWS)),
    [],
  );
});

/** What an administrator wants run, and no command of zkeep's own: each file has just that subject. */
const HOOKS = ['agent/daemon/jobs/hooks.ts', 'server/notices/hook.ts'];

test('only agent/zfs runs zfs and zpool', () => {
  const runners = files.filter(
    (file) =>
      !file.startsWith('agent/zfs/') &&
      !HOOKS.includes(file) &&
      /from 'execa'|node:child_process/.test(readFileSync(join(root, file), 'utf8')),
  );
  assert.deepEqual(runners, []);
});
