import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Debts } from '../../../../agent/daemon/jobs/debts.ts';
import { type HookCall, runHook } from '../../../../agent/daemon/jobs/hooks.ts';

const folder = mkdtempSync(join(tmpdir(), 'zkeep-hooks-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const FACTS = { job: 'nightly', datasets: ['tank/a', 'tank/b c'], snapshot: 'zkeep-1', outcome: 'taken' };

function script(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}
const call = (command: string[], more: Partial<HookCall> = {}): HookCall => {
  return { name: 'after', command, timeout: 60_000, facts: FACTS, ...more };
};

/** Waits until a process is gone. */
async function isGone(process_: number): Promise<boolean> {
  for (let left = 300; left > 0; left--) {
    try {
      process.kill(process_, 0);
    } catch {
      return true;
    }
    await sleep(20);
  }
  return false;
}

describe('a hook', () => {
  it('that is not there, or is no program, fails with the reason', async () => {
    await assert.rejects(runHook(call(['/nowhere/hook'])), {
      code: 'agent.hook',
      message: /could not be run: .*ENOENT/,
    });
    await assert.rejects(runHook(call([folder])), { message: /could not be run: .*EACCES/ });
  });

  it('that ends badly fails with its last words', async () => {
    const file = script('bad', 'echo one; echo "the database is away" >&2; exit 3');
    await assert.rejects(runHook(call([file])), {
      kind: 'failed',
      message: /the hook "after" ended with exit code 3: .*the database is away/,
    });
  });

  it('that hangs is ended, with all that it started, also when it takes no notice', async () => {
    const note = join(folder, 'child');
    const file = script('hangs', `trap '' TERM\nsleep 1000 &\necho $! >'${note}'\nwait; sleep 1000`);
    await assert.rejects(runHook(call([file], { timeout: 300 })), { message: /did not end within/ });
    assert.ok(await isGone(Number(readFileSync(note, 'utf8'))));
  });

  it('is ended when the run is', async () => {
    const stop = new AbortController();
    const hook = runHook(call([script('long', 'sleep 1000')], { signal: stop.signal }));
    stop.abort(new Error('the end'));
    await assert.rejects(hook, /the end/);
  });

  it('that leaves something running behind is not waited for', async () => {
    const note = join(folder, 'left');
    await runHook(call([script('leaves', `sleep 1000 &\necho $! >'${note}'`)]));
    process.kill(Number(readFileSync(note, 'utf8')), 'SIGKILL');
  });

  it('that prints very much, or reads nothing, is not kept waiting', async () => {
    await runHook(call([script('loud', 'head -c 5000000 /dev/zero | tr "\\0" x')]));
    const many = Array.from({ length: 50_000 }, (_, n) => `tank/${n}`);
    await runHook(call([script('deaf', 'exec 0<&-; sleep 0.1')], { facts: { ...FACTS, datasets: many } }));
  });

  it('is told job, datasets, snapshot and outcome, but not the token', async () => {
    const out = join(folder, 'env');
    process.env['ZKEEP_TOKEN'] = 'secret';
    await runHook(
      call([
        script('env', `env | grep '^ZKEEP\\|^tank' | sort >'${out}'; cat >>'${out}'; echo "$1" >>'${out}'`),
        'a b',
      ]),
    );
    delete process.env['ZKEEP_TOKEN'];
    assert.deepEqual(readFileSync(out, 'utf8').trimEnd().split('\n'), [
      'ZKEEP_DATASETS=tank/a',
      'ZKEEP_DATASETS_COUNT=2',
      'ZKEEP_HOOK=after',
      'ZKEEP_JOB=nightly',
      'ZKEEP_OUTCOME=taken',
      'ZKEEP_SNAPSHOT=zkeep-1',
      'tank/b c',
      'tank/a',
      'tank/b c',
      'a b',
    ]);
  });

  it('is told as many datasets as the kernel takes, and all of them on its standard input', async () => {
    const out = join(folder, 'many');
    const many = Array.from({ length: 30_000 }, (_, n) => `tank/dataset/${n}`);
    const file = script('many', `printf '%s\\n' "$ZKEEP_DATASETS" | wc -l >'${out}'; wc -l >>'${out}'`);
    await runHook(call([file], { facts: { ...FACTS, datasets: many } }));
    const [told, all] = readFileSync(out, 'utf8').trim().split('\n').map(Number);
    assert.ok(told && told > 1000 && told < 30_000);
    assert.equal(all, 30_000);
  });
});

describe('a hook that is owed', () => {
  const out = join(folder, 'paid');
  const hook = {
    command: [script('pays', `echo "$ZKEEP_JOB $ZKEEP_OUTCOME" >>'${out}'`)],
    timeout: 60_000,
    facts: FACTS,
  };
  const owed = (state: string) => (existsSync(join(state, 'owed')) ? readdirSync(join(state, 'owed')) : []);
  const paid = () => (existsSync(out) ? readFileSync(out, 'utf8').trim().split('\n') : []);
  const quiet = () => undefined;
  /** Changes the one debt that is there. */
  const change = (state: string, changes: object) => {
    const file = join(state, 'owed', owed(state)[0] ?? '');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...changes }));
  };

  it('by a run of this daemon is left to that run, while what another one owes is run', async () => {
    const state = join(folder, 'seven');
    const debts = new Debts(state, 'daemon');
    await debts.owe(hook);
    await new Debts(state, 'hand').owe(hook);
    const before = paid().length;
    await debts.settle(quiet);
    assert.deepEqual([paid().length, owed(state).length], [before + 1, 1]);
  });

  it('and cannot be read at the moment stays owed, and is told', async () => {
    const state = join(folder, 'eight');
    mkdirSync(join(state, 'owed', 'unreadable.json'), { recursive: true });
    const told: unknown[] = [];
    await new Debts(state, 'daemon').settle((_job, thrown) => void told.push(thrown));
    assert.deepEqual([told.length, owed(state)], [1, ['unreadable.json']]);
  });

  it('and paid is owed no more', async () => {
    const state = join(folder, 'one');
    const pay = await new Debts(state, 'daemon').owe(hook);
    assert.equal(owed(state).length, 1);
    await pay('taken');
    assert.deepEqual([paid().at(-1), owed(state)], ['nightly taken', []]);
  });

  it('by a daemon that was killed is run by the next one, once, and told', async () => {
    const state = join(folder, 'two');
    await new Debts(state, 'daemon').owe(hook);
    const told: string[] = [];
    const before = paid().length;
    for (let n = 0; n < 2; n++) await new Debts(state, 'daemon').settle((job) => void told.push(job));
    assert.deepEqual([paid().slice(before), told, owed(state)], [['nightly interrupted'], ['nightly'], []]);
  });

  it('by somebody who lives is left to him', async () => {
    const state = join(folder, 'three');
    await new Debts(state, 'hand').owe(hook);
    change(state, { process: process.ppid });
    const before = paid().length;
    await new Debts(state, 'daemon').settle(quiet);
    assert.deepEqual([paid().length, owed(state).length], [before, 1]);
    // The daemon's own are not for a run by hand.
    await new Debts(join(folder, 'four'), 'daemon').owe(hook);
    await new Debts(join(folder, 'four'), 'hand').settle(quiet);
    assert.equal(owed(join(folder, 'four')).length, 1);
  });

  it('by a process of another boot is run, though its number lives', async () => {
    const state = join(folder, 'five');
    await new Debts(state, 'hand').owe(hook);
    change(state, { process: process.ppid, boot: 'before' });
    const before = paid().length;
    await new Debts(state, 'daemon').settle(quiet);
    assert.deepEqual([paid().length, owed(state)], [before + 1, []]);
  });

  it('and fails, or cannot be read, is told and not run again', async () => {
    const state = join(folder, 'six');
    await new Debts(state, 'daemon').owe({ ...hook, command: [script('fails', 'exit 1')] });
    writeFileSync(join(state, 'owed', 'x.json'), '{');
    const told: unknown[] = [];
    await new Debts(state, 'daemon').settle((_job, thrown) => void told.push(thrown));
    assert.equal(told.filter((thrown) => thrown instanceof Error).length, 2);
    assert.deepEqual(owed(state), []);
  });
});
