import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Progress, progressLine } from '../../../agent/output/progress.ts';
import { table } from '../../../agent/output/table.ts';
import {
  counted,
  durationInWords,
  momentInWords,
  printable,
  sizeInWords,
} from '../../../agent/output/words.ts';

class Paper {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 40;
  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }
  write(text: string): void {
    this.text += text;
  }
}

function clockAt() {
  const clock = { time: 0, now: () => clock.time, sleep: async () => undefined, random: () => 0 };
  return clock;
}

describe('words for people', () => {
  it('leave nothing in a name that a terminal would obey', () => {
    assert.equal(printable('a\x1b[2Jb\r\nc\u202ed'), 'a\\u001b[2Jb\\u000d\\u000ac\\u202ed');
    assert.equal(printable('tank/home of ann ä'), 'tank/home of ann ä');
  });

  it('give sizes, durations and counts', () => {
    assert.deepEqual([0, 1023, 1536, 1024 ** 2 - 1, 5 * 1024 ** 4].map(sizeInWords), [
      '0 B',
      '1023 B',
      '1.5 KiB',
      '1.0 MiB',
      '5.0 TiB',
    ]);
    assert.deepEqual([0, 59.6, 3725].map(durationInWords), ['0:00', '1:00', '1:02:05']);
    assert.deepEqual([counted(1, 'backup'), counted(2, 'backup')], ['1 backup', '2 backups']);
  });

  it('do not fail at a moment that no calendar has', () => {
    assert.equal(momentInWords(Number.MAX_SAFE_INTEGER), String(Number.MAX_SAFE_INTEGER));
  });
});

describe('a table', () => {
  it('stands in columns, without spaces at the ends', () => {
    const text = table(
      [{ title: 'name' }, { title: 'size', right: true }, { title: 'x' }],
      [
        ['a', '1', ''],
        ['long', '22', 'y'],
      ],
    );
    assert.equal(text, 'NAME  SIZE  X\na        1\nlong    22  y');
  });
});

describe('progress', () => {
  it('tells amount, rate and time left', () => {
    const line = progressLine(
      'tank/a@b',
      { bytes: 1024 ** 2, stored: 512 * 1024, total: 3 * 1024 ** 2 },
      1024 ** 2,
    );
    assert.equal(line, 'tank/a@b  1.0 MiB of 3.0 MiB  stored 512.0 KiB  1.0 MiB/s  0:02 left');
  });

  it('promises no end when the stream is longer than was estimated', () => {
    assert.equal(progressLine('a', { bytes: 200, total: 100 }, 10), 'a  200 B  10 B/s');
  });

  it('is a line every ten seconds in a pipe', () => {
    const [paper, clock] = [new Paper(false), clockAt()];
    const progress = new Progress(paper, clock);
    progress.begin('a');
    for (clock.time = 0; clock.time <= 25_000; clock.time += 100) progress.tell({ bytes: clock.time });
    assert.equal(paper.text.trimEnd().split('\n').length, 2);
    assert.ok(!paper.text.includes('\r') && !paper.text.includes('\x1b'));
  });

  it('rewrites one line on a terminal, within its width, and takes it away', () => {
    const [paper, clock] = [new Paper(true), clockAt()];
    const progress = new Progress(paper, clock);
    progress.begin('a'.repeat(100));
    clock.time = 1000;
    progress.tell({ bytes: 1 });
    progress.clear();
    assert.equal(paper.text, `\r\x1b[K${'a'.repeat(39)}\r\x1b[K`);
  });

  it('is silent when asked to be, but for notes', () => {
    const [paper, clock] = [new Paper(true), clockAt()];
    const progress = new Progress(paper, clock, true);
    progress.begin('a');
    clock.time = 60_000;
    progress.tell({ bytes: 1 });
    progress.note('look');
    assert.equal(paper.text, 'zkeep: look\n');
  });
});
