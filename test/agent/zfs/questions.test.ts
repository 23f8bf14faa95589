import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  knowsJson,
  questionsAboutDataset,
  questionsAboutPool,
  questionsAboutProperty,
} from '../../../agent/zfs/questions.ts';

const wordsOf = (questions: readonly { command: readonly string[] }[]) =>
  questions.map(({ command }) => command);

describe('the form in which values may hold anything', () => {
  it('is known from OpenZFS 2.3 on', () => {
    for (const version of [
      'zfs-2.3.9-0+deb13u1\nzfs-kmod-2.3.9\n',
      'zfs-2.4.1',
      'zfs-3.0.0',
      'zfs-kmod-v2.3.0',
    ]) {
      assert.ok(knowsJson(version), version);
    }
    for (const version of [
      'zfs-2.2.9-1',
      'zfs-0.8.6',
      'zfs-1.5',
      '',
      'unrecognized command version',
      '2.3.9',
    ]) {
      assert.ok(!knowsJson(version), version);
    }
  });

  it('is asked for only where it is known', () => {
    const asked = (json: boolean) =>
      [...questionsAboutDataset('t/a', 't/a@s', { json }), ...questionsAboutPool('t/a', { json })].filter(
        ({ command }) => command.includes('-j'),
      );
    assert.equal(asked(false).length, 0);
    assert.equal(asked(true).length, 4);
    assert.ok(asked(true).every(({ needed }) => !needed));
  });
});

describe('the attributes', () => {
  it('are asked for with names as single arguments', () => {
    const words = wordsOf(questionsAboutDataset('tank/a b', 'tank/a b@c d', { json: true })).flat();
    assert.ok(words.includes('tank/a b') && words.includes('tank/a b@c d'));
    assert.ok(
      wordsOf(questionsAboutPool('tank/a b', { json: true })).every((command) => command.includes('tank')),
    );
  });

  it('of a dataset as it is now need no snapshot', () => {
    const words = wordsOf(questionsAboutDataset('tank/a', undefined, { json: true })).flat();
    assert.ok(!words.includes('holds') && !words.some((word) => word.includes('@')));
  });

  it('are asked for one by one without taking a name for an option', () => {
    for (const command of wordsOf(questionsAboutProperty('-x:y', 'tank/a'))) {
      assert.deepEqual(command.slice(-3), ['--', '-x:y', 'tank/a']);
    }
    assert.deepEqual(
      wordsOf(questionsAboutProperty('lab:note', 'tank/a')).map((command) => command.slice(2)),
      ['value', 'received', 'source'].map((column) => ['-Hp', '-o', column, 'lab:note', 'tank/a']),
    );
  });
});
