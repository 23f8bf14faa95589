/** Real children stand in for zfs: what is tested is how children are run, not what zfs does. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { receiveStream } from '../../../agent/zfs/receive.ts';
import { outputOf, run } from '../../../agent/zfs/run.ts';
import { sendStream } from '../../../agent/zfs/send.ts';
import { ZkeepError } from '../../../catalog/errors.ts';

const failed = (code: string) => (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === code;
const shell = (script: string) => ['/bin/sh', '-c', script];

async function lengthOf(stream: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const chunk of stream) length += chunk.length;
  return length;
}

async function* chunks(count: number, thrown?: Error): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield Buffer.alloc(1 << 20, index);
  if (thrown) throw thrown;
}

describe('a short command', () => {
  it('gets each argument as it is, whatever is in it', async () => {
    const words = ['a b', "it's", '"x"', '$(id)', '`id`', 'tab\there', 'line\nbreak', '*', ''];
    const { stdout } = await outputOf(['printf', '%s\\0', ...words]);
    assert.deepEqual(stdout.toString().split('\0').slice(0, -1), words);
  });

  it('speaks English to us', async () => {
    assert.equal(await run(shell('printf %s "$LC_ALL"')), 'C');
  });

  it('that is not installed is an error that says so', async () => {
    await assert.rejects(run(['zkeep-no-such-command']), failed('zfs.not-installed'));
  });

  it('that takes too long is ended, and its children too', async () => {
    const started = Date.now();
    await assert.rejects(run(shell('sleep 30 & sleep 30'), { timeout: 200 }), failed('zfs.timeout'));
    assert.ok(Date.now() - started < 5_000);
  });

  it('that prints too much is ended', async () => {
    await assert.rejects(run(shell('yes'), { maxBytes: 1000 }), failed('zfs.too-much'));
  });

  it('ends with the reason of an abort', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('enough')), 50);
    await assert.rejects(run(shell('sleep 30'), { signal: stop.signal }), /enough/);
  });
});

describe('a stream from a command', () => {
  it('is whole when the command exits 0', async () => {
    assert.equal(await lengthOf(sendStream(shell('head -c 30000000 /dev/zero'))), 30_000_000);
  });

  it('does not end well when the command exits otherwise, although all its bytes came', async () => {
    const script = 'head -c 3000 /dev/zero; echo "cannot open \'t@a\': dataset does not exist" >&2; exit 1';
    await assert.rejects(lengthOf(sendStream(shell(script))), failed('zfs.no-dataset'));
  });

  it('does not end well when the command was killed', async () => {
    await assert.rejects(
      lengthOf(sendStream(shell('head -c 3000 /dev/zero; kill -9 $$'))),
      failed('zfs.failed'),
    );
  });

  it('holds the command back while nobody reads', async () => {
    const stream = sendStream(shell('head -c 20000000 /dev/zero; echo done >&2'));
    const first = await stream.next();
    assert.ok(!first.done && first.value.length <= 1 << 20);
    await stream.return(undefined);
  });

  it('ends with the reason of an abort, and the command with it', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('enough')), 100);
    await assert.rejects(lengthOf(sendStream(shell('cat /dev/zero'), stop.signal)), /enough/);
  });

  it('survives a command that writes more to standard error than anyone reads', async () => {
    const script = 'head -c 5000000 /dev/zero | tr "\\0" x >&2; echo "out of space" >&2; exit 1';
    await assert.rejects(lengthOf(sendStream(shell(script))), failed('zfs.full'));
  });
});

describe('a stream into a command', () => {
  it('arrives whole', async () => {
    let taken = 0;
    const command = shell('test "$(wc -c)" -eq 31457280');
    await receiveStream(command, chunks(30), {
      onTaken: (bytes) => {
        taken += bytes;
      },
    });
    assert.equal(taken, 31_457_280);
  });

  it('fails with what the command says when it ends early, not with a broken pipe', async () => {
    const script = 'head -c 10 >/dev/null; echo "cannot receive: out of space" >&2; exit 1';
    await assert.rejects(receiveStream(shell(script), chunks(30)), failed('zfs.full'));
  });

  it('fails when the command ends early and is content', async () => {
    await assert.rejects(receiveStream(shell('exit 0'), chunks(30)), failed('zfs.ended-early'));
  });

  it('fails with what the source throws', async () => {
    await assert.rejects(receiveStream(shell('cat >/dev/null'), chunks(2, new Error('flipped'))), /flipped/);
  });

  it('ends with the reason of an abort', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('enough')), 100);
    await assert.rejects(receiveStream(shell('sleep 30'), chunks(30), { signal: stop.signal }), /enough/);
  });
});
