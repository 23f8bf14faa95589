import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NotedMember, NotedRun } from '../../../../agent/backup/runs/notes.ts';
import { type Settling, settleNotes } from '../../../../agent/backup/runs/settle.ts';
import { guidOf } from '../../../../catalog/words.ts';
import { point, SET, source } from '../resume/facts.ts';

const guid = (number: number) => guidOf(BigInt(number));
const member = (snapshot: string, number: number | null): NotedMember => {
  return { snapshot, guid: number === null ? null : guid(number), set: SET };
};
const SOURCES = [
  source('tank/a', [point('tank/a', 'one', 7)]),
  source('tank/new', [point('tank/new', 'two', 8)]),
];

/** What is left of a note, and which snapshots were said to be gone. */
async function settled(members: NotedMember[], more: Partial<Settling> = {}) {
  const note: NotedRun = { file: 'x', repository: 'here', lives: false, members };
  const gone: string[] = [];
  let left: readonly string[] | undefined;
  const notes = {
    leave: async (_: NotedRun, those: readonly NotedMember[]) => {
      left = those.map(({ snapshot }) => snapshot);
    },
  };
  await settleNotes(notes, [note], {
    sources: SOURCES,
    stored: new Set(),
    failed: new Set(),
    onGone: (snapshot) => gone.push(snapshot),
    onTrouble: (thrown) => assert.fail(String(thrown)),
    ...more,
  });
  return { left, gone };
}

describe('the note of a run that is over', () => {
  it('goes when all of it is stored, and what was never taken is no word worth', async () => {
    const members = [member('tank/a@one', 7), member('tank/a@three', null)];
    assert.deepEqual(await settled(members, { stored: new Set([guid(7)]) }), { left: [], gone: [] });
  });

  it('keeps what nobody has tried yet, by the names of now, and what is of other datasets', async () => {
    const members = [member('tank/a@one', 7), member('tank/old@two', 8), member('far/x@one', 9)];
    assert.deepEqual(await settled(members), { left: undefined, gone: [] });
    const { left } = await settled(members, { stored: new Set([guid(7)]) });
    assert.deepEqual(left, ['tank/new@two', 'far/x@one']);
  });

  it('lets go of what is gone from a dataset that was looked at, and says so', async () => {
    assert.deepEqual(await settled([member('tank/a@lost', 99)]), { left: [], gone: ['tank/a@lost'] });
  });

  it('that cannot be written is told, and the next run comes to it again', async () => {
    const note: NotedRun = {
      file: 'x',
      repository: 'here',
      lives: false,
      members: [member('tank/a@one', 7)],
    };
    const told: unknown[] = [];
    const notes = { leave: async () => await Promise.reject(new Error('no space left')) };
    await settleNotes(notes, [note], {
      sources: SOURCES,
      stored: new Set([guid(7)]),
      failed: new Set(),
      onGone: () => assert.fail(),
      onTrouble: (thrown) => told.push(thrown),
    });
    assert.equal(told.length, 1);
  });
});
