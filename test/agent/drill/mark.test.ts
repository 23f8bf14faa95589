import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type DrillMark,
  isAtDrill,
  isForsaken,
  isOfDrill,
  markNow,
  markText,
  parseMarks,
} from '../../../agent/drill/mark.ts';

const container = 'scratch/drill/zkeep-drill-20261120T215000Z-0123abcd';
const says: DrillMark = { began: '2026-11-20T21:50:00.123Z', process: 4711, boot: '6b0d-1', kept: false };

test('only what is called as a drill calls it counts as one that was left', () => {
  const mark = markText(says);
  const printed = `scratch/drill/mine\tx\n${container}\t${mark}\n${container}/data\tx\n${container}x\tx\n`;
  assert.deepEqual(parseMarks(printed), [{ container, mark, says }]);
  assert.deepEqual(parseMarks(''), []);
});

test('a mark says what was written into it, and a strange one nothing', () => {
  for (const kept of [false, true]) {
    const now = markNow(Date.parse(says.began), kept);
    assert.deepEqual(parseMarks(`${container}\t${markText(now)}\n`)[0]?.says, now);
  }
  for (const strange of ['', '-', 'yes', `${markText(says)} kept kept`, '2026-11-20T21:50:00.123Z'])
    assert.equal(parseMarks(`${container}\t${strange}\n`)[0]?.says, null);
});

test('a place is forsaken once its process is dead, or was of another boot, unless it was to be kept', () => {
  const lives = (id: number) => id === 4711;
  const none = () => false;
  assert.deepEqual(
    [isAtDrill({ says }, '6b0d-1', lives), isAtDrill({ says }, '6b0d-1', none)],
    [true, false],
  );
  assert.equal(isAtDrill({ says }, 'other', lives), false);
  const place = { container, mark: '', says };
  assert.deepEqual([isForsaken(place, '6b0d-1', lives), isForsaken(place, '6b0d-1', none)], [false, true]);
  assert.equal(isForsaken({ ...place, says: { ...says, kept: true } }, 'other', none), false);
  assert.equal(isForsaken({ ...place, says: null }, 'other', none), false, 'nobody knows whose it is');
});

test('what is in the place of a drill is known by its name, and nothing else', () => {
  assert.deepEqual([container, `${container}/data`].map(isOfDrill), [true, true]);
  const others = [
    'scratch/drill',
    `${container}x`,
    'tank/zkeep-drill-1',
    'zkeep-drill-20261120T215000Z-0123abcd',
  ];
  assert.deepEqual(others.map(isOfDrill), [false, false, false, false]);
});
