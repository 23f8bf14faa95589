import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { failureOf, showCommand } from '../../../agent/zfs/failure.ts';

const recorded = (name: string) =>
  readFileSync(new URL(`../../fixtures/outputs/${name}`, import.meta.url), 'utf8');
const failing = (stderr: string) => failureOf({ command: ['zfs', 'x'], exit: 1, stderr });

describe('what zfs says when it fails', () => {
  const real: [string, string, string][] = [
    ['error-no-snapshot.out', 'missing', 'zfs.no-dataset'],
    ['error-receive-corrupt.out', 'damaged', 'zfs.stream-refused'],
    ['error-receive-truncated.out', 'damaged', 'zfs.stream-refused'],
    ['resume-receive-error.out', 'damaged', 'zfs.stream-refused'],
    ['error-receive-exists.out', 'refused', 'zfs.exists'],
    ['error-receive-not-recent.out', 'refused', 'zfs.not-the-base'],
  ];
  for (const [file, kind, code] of real) {
    it(`is understood as recorded in ${file}`, () => {
      const failure = failing(recorded(file));
      assert.deepEqual([failure.kind, failure.code], [kind, code]);
      assert.ok(failure.advice);
    });
  }

  const known: [string, string][] = [
    ["cannot open 'tank/x': dataset does not exist", 'zfs.no-dataset'],
    ["cannot create snapshot 'tank/a@b': permission denied", 'zfs.denied'],
    ['cannot hold: permission denied', 'zfs.denied'],
    ["cannot open 'tank': pool I/O is currently suspended", 'zfs.suspended'],
    ['cannot receive new filesystem stream: out of space', 'zfs.full'],
    ["cannot create snapshot 'tank/a@b': out of space", 'zfs.full'],
    ['cannot destroy snapshot tank/a@b: dataset is busy', 'zfs.busy'],
    [
      'cannot receive resume stream: destination tank/a contains partially-complete state from "zfs receive -s".',
      'zfs.busy',
    ],
    ["cannot open 'nope': no such pool", 'zfs.no-pool'],
    [
      'cannot receive incremental stream: destination tank/x has been modified\nsince most recent snapshot',
      'zfs.modified',
    ],
    ["cannot release hold from snapshot 'tank/a@b': no such tag on this dataset", 'zfs.not-held'],
    ["cannot hold snapshot 'tank/a@b': tag already exists on this dataset", 'zfs.already-held'],
    ["cannot create bookmark 'tank/a#b': bookmark exists", 'zfs.bookmark-exists'],
    ["cannot create snapshot 'tank/a@b': dataset already exists", 'zfs.exists'],
    ['Unable to open /dev/zfs: No such file or directory.', 'zfs.not-loaded'],
  ];
  for (const [stderr, code] of known) {
    it(`gives ${code} for: ${stderr.split('\n')[0]}`, () => assert.equal(failing(stderr).code, code));
  }

  it('keeps the words and the exit code of what it does not know', () => {
    const failure = failureOf({ command: ['zfs', 'send', 't@a'], exit: 3, stderr: 'something\n new\n' });
    assert.equal(failure.kind, 'failed');
    assert.equal(failure.message, '"zfs send" ended with exit code 3: something new');
    assert.equal(failure.facts['exit'], 3);
  });

  it('names the signal of a command that was killed', () => {
    assert.match(
      failureOf({ command: ['zfs'], exit: undefined, killedBy: 'SIGKILL', stderr: '' }).message,
      /SIGKILL/,
    );
  });

  it('leaves out the offer to resume by hand, which is not how zkeep goes on', () => {
    assert.doesNotMatch(failing(recorded('resume-receive-error.out')).message, /zfs send -t/);
  });
});

describe('a command as a person could type it', () => {
  it('comes back as the same arguments from a shell', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: 'grapheme' }).filter((word) => !word.includes('\0')),
          { minLength: 1 },
        ),
        (words) => {
          const script = `printf '%s\\0' ${showCommand(words)}`;
          const printed = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' });
          assert.deepEqual(printed.split('\0').slice(0, -1), words);
        },
      ),
      { numRuns: 60, examples: [[['tank/two words', '#mark', "it's", '$x', '', '~', 'a\tb\nc', '`id`']]] },
    );
  });
});
