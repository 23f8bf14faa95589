/** Real children stand in for zfs: what is tested is what is kept of their answers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { askAll } from '../../../agent/capture/ask.ts';
import type { Question } from '../../../agent/zfs/questions.ts';
import type { CommandOutput } from '../../../catalog/attributes/attributes.ts';
import { ZkeepError } from '../../../catalog/errors.ts';

const failed = (code: string) => (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === code;
const shell = (script: string, more: Partial<Question> = {}): Question => ({
  command: ['/bin/sh', '-c', script],
  needed: false,
  timeout: 10_000,
  ...more,
});

async function askOne(question: Question, signal?: AbortSignal): Promise<CommandOutput> {
  const [output] = await askAll([question], signal);
  assert.ok(output);
  return output;
}

describe('a question', () => {
  it('that fails is kept with its exit code and its words', async () => {
    const output = await askOne(shell('echo half; echo "no such pool" >&2; exit 3'));
    assert.deepEqual([output.exit, output.output, output.error], [3, 'half\n', 'no such pool\n']);
  });

  it('that is needed and fails is an error', async () => {
    await assert.rejects(askOne(shell('exit 1', { needed: true })), failed('zfs.failed'));
  });

  it('that hangs is ended, and kept as failed', async () => {
    const output = await askOne(shell('echo begun; sleep 60', { timeout: 200 }));
    assert.deepEqual([output.exit, output.output], [-1, '']);
    assert.match(output.error ?? '', /did not end/);
  });

  it('that hangs and is needed is an error', async () => {
    await assert.rejects(askOne(shell('sleep 60', { timeout: 200, needed: true })), failed('zfs.timeout'));
  });

  it('that prints without end is ended, and kept as failed', async () => {
    const output = await askOne(shell('yes'));
    assert.equal(output.exit, -1);
    assert.match(output.error ?? '', /printed more than 2097152 bytes/);
  });

  it('whose program is not there is kept as failed', async () => {
    const output = await askOne({ command: ['zkeep-no-such-command'], needed: false, timeout: 1000 });
    assert.match(output.error ?? '', /no command "zkeep-no-such-command"/);
  });

  it('whose answer is not UTF-8 keeps every byte', async () => {
    const output = await askOne(shell("printf 'a\\377\\000b\\n'"));
    assert.equal(output.encoding, 'base64');
    assert.deepEqual([...Buffer.from(output.output, 'base64')], [0x61, 0xff, 0, 0x62, 0x0a]);
  });

  it('is given up with the reason of an abort, needed or not', async () => {
    for (const more of [{}, { needed: true }, { last: 100 }]) {
      const stop = new AbortController();
      setTimeout(() => stop.abort(new Error('enough')), 50);
      await assert.rejects(askOne(shell('sleep 60', more), stop.signal), /enough/);
    }
  });

  it('has its answer at its place, whichever ends first', async () => {
    const times = ['0.2', '0', '0.1', '0', '0.05', '0'];
    const outputs = await askAll(
      times.map((time, index) => shell(`sleep ${time}; echo ${index}`)),
      undefined,
    );
    assert.deepEqual(
      outputs.map(({ output }) => output.trim()),
      ['0', '1', '2', '3', '4', '5'],
    );
  });
});

describe('a question of which the end of the answer is wanted', () => {
  it('is kept whole while it is short', async () => {
    const output = await askOne(shell('echo one; echo two', { last: 8 }));
    assert.deepEqual([output.output, output.error], ['one\ntwo\n', undefined]);
  });

  it('is cut at the beginning of a line, and says so, however long it is', async () => {
    const output = await askOne(shell('seq 1 3000000', { last: 20 }));
    assert.equal(output.output, '2999999\n3000000\n');
    assert.match(output.error ?? '', /only its last 16 bytes are kept/);
    assert.equal(output.exit, 0);
  });

  it('keeps nothing of one line that is longer than all that is kept', async () => {
    const output = await askOne(shell("head -c 100000 /dev/zero | tr '\\0' x", { last: 20 }));
    assert.equal(output.output, '');
    assert.match(output.error ?? '', /cut/);
  });

  it('that fails is kept with its exit code and its words', async () => {
    const output = await askOne(shell('echo half; echo "permission denied" >&2; exit 2', { last: 100 }));
    assert.deepEqual([output.exit, output.error], [2, 'permission denied']);
  });

  it('that hangs is ended, and kept as failed', async () => {
    const output = await askOne(shell('echo begun; sleep 60', { last: 100, timeout: 200 }));
    assert.equal(output.exit, -1);
    assert.match(output.error ?? '', /did not end/);
  });
});
