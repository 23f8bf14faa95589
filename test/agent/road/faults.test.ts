/** Bad input and a bad world: a clear error, the right exit code, and a repository that verifies clean afterwards. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { AgentHouse } from './agent-house.ts';

const FULL = recordedStream('full');

function flipped(stream: Buffer, at: number): Buffer {
  const copy = Buffer.from(stream);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}

describe('a stream that is none, or not whole', () => {
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
  });
  after(async () => await house.end());

  const bad: [string, Buffer][] = [
    ['empty', Buffer.alloc(0)],
    ['text', Buffer.from('this is not a stream\n'.repeat(100))],
    ['zeros', Buffer.alloc(100_000)],
    ['cut in its first record', FULL.subarray(0, 100)],
    ['cut in the middle', FULL.subarray(0, 300_001)],
    ['cut before its last byte', FULL.subarray(0, FULL.length - 1)],
    ['flipped in its BEGIN', flipped(FULL, 41)],
    ['flipped in a payload', flipped(FULL, 400_000)],
    ['followed by more', Buffer.concat([FULL, Buffer.from('x')])],
    ['spoilt by zfs send -e', recordedStream('spoilt-e')],
  ];
  for (const [what, stream] of bad) {
    it(`is refused when it is ${what}`, async () => {
      const { error } = await house.document(['import', '--dataset', 'tank/bad'], 5, { stdin: stream });
      assert.equal(error.kind, 'damaged');
      assert.equal(await house.isClean(), 0);
    });
  }

  it('leaves nothing that is listed', async () => {
    assert.deepEqual((await house.document(['list'], 0)).datasets, []);
  });

  it('keeps what came whole before it in the same package', async () => {
    const stream = recordedStream('repl-R');
    const cut = stream.subarray(0, stream.length - 100_000);
    const { backups, error } = await house.document(['import', '--dataset', 'tank/cut'], 5, { stdin: cut });
    const whole = backups.filter(({ outcome }) => outcome === 'stored').length;
    assert.ok(whole > 0);
    assert.equal(backups.at(-1)?.outcome, 'failed');
    assert.equal(error.kind, 'damaged');
    assert.equal(await house.isClean(), whole);
    // The whole package goes on from there.
    const again = await house.document(['import', '--dataset', 'tank/cut'], 0, { stdin: stream });
    assert.equal(again.backups.filter(({ outcome }) => outcome === 'already').length, whole);
  });

  it('is refused when its base is not kept', async () => {
    const stdin = recordedStream('incr-i-b-c');
    const { error } = await house.document(['import', '--dataset', 'tank/fs'], 4, { stdin });
    assert.equal(error.kind, 'refused');
    await house.isClean();
  });
});

describe('a command line that is wrong', { concurrency: 3 }, () => {
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
  });
  after(async () => await house.end());

  const wrong: string[][] = [
    ['list', 'tank/a\tb'],
    ['plan', 'tank/a', '--at', '2026-11-20T09:00:00Z', '--snapshot', 'b'],
    ['plan'],
    ['export', 'tank/a'],
    ['show', '01-not-an-id'],
    ['list', '--no-such-option'],
    ['list', '--repository', 'ftp://x'],
    ['backup'],
    ['backup', '--abandon'],
    ['backup', '--abandon', 'tank/a', '--full'],
    ['backup', '--abandon', '--lustre', 'fs'],
    ['backup', 'tank/a\nb'],
    ['backup', 'tank/a', '--snapshot', 'x"y/'],
    ['restore', 'tank/a', '--to', 'pool'],
  ];
  for (const words of wrong) {
    it(`is a usage error, before anything is run: ${JSON.stringify(words.join(' '))}`, async () => {
      const { error } = await house.document(words, 2);
      assert.equal(error.kind, 'usage');
    });
  }

  it('is told to people in two lines, without a stack', async () => {
    const { code, stdout, stderr } = await house.zkeep(['list', 'tank/a\tb']);
    assert.equal(code, 2);
    assert.equal(stdout.length, 0);
    assert.match(
      stderr,
      /^zkeep list: "tank\/a\\tb" cannot be a name in ZFS: it holds "\\t"\n {2}what to do: .*\n$/,
    );
  });
});

describe('a failure, as people are told it', () => {
  it('names what failed on standard error, in two lines, and only what is stored on standard output', async () => {
    const house = await AgentHouse.open();
    try {
      const { code, stdout, stderr } = await house.zkeep(['import', '--dataset', 'tank/fs'], {
        stdin: FULL.subarray(0, 300_000),
      });
      assert.equal(code, 5);
      assert.equal(stdout.length, 0);
      assert.match(stderr, /^tank\/fs@a: .*\n {2}what to do: .*\n$/);
    } finally {
      await house.end();
    }
  });
});

describe('what is not there', { concurrency: 3 }, () => {
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
    await house.document(['import', '--dataset', 'tank/fs'], 0, { stdin: FULL });
  });
  after(async () => await house.end());

  const absent: string[][] = [
    ['list', 'tank/none'],
    ['plan', 'tank/fs', '--snapshot', 'none'],
    ['plan', 'tank/fs', '--at', '1999-01-01T00:00:00Z'],
    ['plan', 'tank/fs', '--guid', '0123456789abcdef'],
    ['show', 'tank/fs@none'],
    ['show', '01980c4e-7f3a-7c11-9d3e-5b1f2a6c8e90'],
    ['export', 'tank/none', '--output', 'x'],
    ['export', 'tank/fs', '--from', 'none', '--output', 'x'],
    ['import', '--dataset', 'tank/x', '--file', '/nowhere/at/all'],
    ['list', '--repository', '/nowhere/at/all'],
  ];
  for (const words of absent) {
    it(`is an error of kind missing: ${words.join(' ')}`, async () => {
      const { error } = await house.document(words, 3);
      assert.equal(error.kind, 'missing');
      assert.ok(!existsSync('x') && !existsSync('x.partial'));
    });
  }

  it('is an error too where there is neither the pool nor perhaps ZFS itself', async () => {
    for (const words of [
      ['backup', 'zkeepnone/x'],
      ['restore', 'tank/fs', '--to', 'zkeepnone/x'],
    ]) {
      const ran = await house.zkeep([...words, '--json']);
      assert.equal(ran.code, 3, ran.stdout.toString());
      assert.match(
        JSON.parse(ran.stdout.toString()).error.code,
        /^(zfs\.not-installed|zfs\.no-dataset|zfs\.no-pool|restore\.no-parent)$/,
      );
    }
    assert.equal(await house.isClean(), 1);
  });
});

describe('the service', () => {
  it('that does not run is told from one that does not want us', async () => {
    const house = await AgentHouse.open();
    try {
      const bad = await house.document(['list'], 8, { env: { ZKEEP_TOKEN: 'nonsense' } });
      assert.equal(bad.error.code, 'token.unknown');
      const reader = house.service.tokens.add('reader', 'reader');
      const denied = await house.document(['import', '--dataset', 'tank/fs'], 8, {
        stdin: FULL,
        env: { ZKEEP_TOKEN: reader },
      });
      assert.equal(denied.error.code, 'token.scope');
      await house.stop();
      const [text, document] = await Promise.all([house.zkeep(['list']), house.document(['list'], 10)]);
      assert.equal(document.error.code, 'service.unreachable');
      assert.equal(text.code, 10);
      assert.match(
        text.stderr,
        /waits for the service: it does not answer .*; gives up in 5 s\n[\s\S]*what to do: .*zkeep-server/,
      );
      assert.equal(await house.isClean(), 0);
    } finally {
      await house.end();
    }
  });
});

describe('a repository that is damaged', () => {
  let house: AgentHouse;
  before(async () => {
    house = await AgentHouse.open();
    await house.document(['import', '--dataset', 'tank/fs'], 0, { stdin: FULL });
  });
  after(async () => await house.end());

  it('is found out by export and verify, and no file appears', async () => {
    const segments = join(house.repository, 'segments');
    const [backup = ''] = readdirSync(segments);
    const file = join(segments, backup, '00000000.zst');
    const whole = readFileSync(file);
    writeFileSync(file, flipped(whole, 5000));
    const output = join(house.folder, 'out.zfs');
    const alone = ['--repository', house.repository];
    for (const place of [[], alone]) {
      const exported = await house.document(['export', 'tank/fs', '--output', output, ...place], 5);
      assert.equal(exported.error.kind, 'damaged');
      assert.ok(!existsSync(output) && !existsSync(`${output}.partial`));
    }
    // That the bytes are not the same shows only who reads them.
    assert.equal((await house.document(['verify'], 0)).problems.length, 0);
    assert.equal((await house.document(['verify', '--deep'], 5)).problems[0]?.backup, backup);
    writeFileSync(file, whole.subarray(0, 5000));
    assert.equal((await house.document(['verify'], 5)).problems[0]?.code, 'verify.size');
    rmSync(file);
    assert.equal((await house.document(['verify'], 5)).problems[0]?.code, 'verify.gone');
    const gone = await house.document(['export', 'tank/fs', '--output', output], 5);
    assert.equal(gone.error.code, 'segment.gone');
    assert.equal((await house.document(['verify', ...alone], 5)).problems[0]?.code, 'verify.gone');
    writeFileSync(file, whole);
    assert.equal(await house.isClean(), 1);
  });
});

describe('a store that is in the way', () => {
  it('fails the import, which is then no backup, and works again afterwards', async () => {
    const house = await AgentHouse.open();
    try {
      const segments = join(house.repository, 'segments');
      rmSync(segments, { recursive: true, force: true });
      writeFileSync(segments, 'a file where the folder must be');
      const blocked = await house.zkeep(['import', '--dataset', 'tank/fs', '--json'], { stdin: FULL });
      assert.notEqual(blocked.code, 0, blocked.stdout.toString());
      rmSync(segments);
      assert.equal(await house.isClean(), 0);
      renameSync(house.repository, `${house.repository}.gone`);
      const gone = await house.zkeep(['import', '--dataset', 'tank/fs', '--json'], { stdin: FULL });
      assert.notEqual(gone.code, 0, gone.stdout.toString());
      rmSync(house.repository, { recursive: true, force: true });
      renameSync(`${house.repository}.gone`, house.repository);
      assert.equal(await house.isClean(), 0);
      await house.document(['import', '--dataset', 'tank/fs'], 0, { stdin: FULL });
      assert.equal(await house.isClean(), 1);
    } finally {
      await house.end();
    }
  });
});
