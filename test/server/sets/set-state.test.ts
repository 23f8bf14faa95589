import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ZkeepError } from '../../../catalog/errors.ts';
import { GATHERING_LEASE, type OpenSetRequest, type SetEvent } from '../../../catalog/protocol/sets.ts';
import { newUuid7, type SetId } from '../../../catalog/words.ts';
import { afterEvent, asOf, openedSet, type SetState, setAnswer } from '../../../server/sets/set-state.ts';

const NOW = 1_800_000_000_000;
const MDS1 = { host: 'mds1', process: 11 };
const MDS2 = { host: 'mds2', process: 22 };
const OPENING: OpenSetRequest = {
  fsname: 'lustrefs',
  writer: MDS1,
  expected: ['MGS', 'lustrefs-MDT0000', 'lustrefs-MDT0001'],
  targets: ['MGS', 'lustrefs-MDT0000'],
  moment: NOW,
  barrier: 30,
};
const JOIN: SetEvent = { event: 'join', writer: MDS2, targets: ['lustrefs-MDT0001'] };
const taken = (writer: typeof MDS1): SetEvent => ({ event: 'taken', writer });

const open = (request = OPENING) => openedSet(newUuid7(NOW) as SetId, request, 'one', NOW);

/** The state after events, each told with a token. */
function after(...told: [SetEvent, string][]): SetState {
  return told.reduce((state, [event, token]) => afterEvent(state, event, token, NOW), open());
}

function refusedWith(code: string, work: () => unknown): void {
  assert.throws(work, (thrown: unknown) => thrown instanceof ZkeepError && thrown.code === code);
}

describe('a set of several hosts', () => {
  const whole: [SetEvent, string][] = [
    [JOIN, 'two'],
    [{ event: 'frozen' }, 'one'],
    [taken(MDS1), 'one'],
    [taken(MDS2), 'two'],
    [{ event: 'complete' }, 'one'],
  ];

  it('is complete when all joined, all took, and the opener says so', () => {
    assert.equal(after(...whole).phase, 'complete');
  });

  it('says which services are lacking, and nobody else joins for them', () => {
    assert.deepEqual(setAnswer(after()).lacking, ['lustrefs-MDT0001']);
    assert.deepEqual(setAnswer(after([JOIN, 'two'])).lacking, []);
    refusedWith('set.target-taken', () =>
      after([JOIN, 'two'], [{ ...JOIN, writer: { host: 'mds3', process: 3 } }, 'three']),
    );
    refusedWith('set.not-expected', () => after([{ ...JOIN, targets: ['lustrefs-MDT0009'] }, 'two']));
    refusedWith('set.not-expected', () => open({ ...OPENING, targets: ['lustrefs-MDT0009'] }));
  });

  it('is not frozen before all have joined, and not complete before all have taken', () => {
    refusedWith('set.incomplete', () => after([{ event: 'frozen' }, 'one']));
    refusedWith('set.incomplete', () => after([JOIN, 'two'], [taken(MDS2), 'two']));
    refusedWith('set.incomplete', () => after([JOIN, 'two'], [{ event: 'complete' }, 'one']));
    refusedWith('set.incomplete', () => after(...whole.slice(0, 3), [{ event: 'complete' }, 'one']));
  });

  it('takes the word of the opener and the participants only', () => {
    refusedWith('set.other', () => after([JOIN, 'two'], [{ event: 'frozen' }, 'two']));
    refusedWith('set.other', () => after(...whole.slice(0, 4), [{ event: 'complete' }, 'two']));
    refusedWith('set.no-member', () =>
      after([JOIN, 'two'], [{ event: 'frozen' }, 'one'], [taken(MDS2), 'x']),
    );
    refusedWith('set.no-member', () => after([{ event: 'failed', reason: 'I say so' }, 'x']));
  });

  it('fails for good by the word of any participant, and keeps the first reason', () => {
    const failed = after([JOIN, 'two'], [{ event: 'failed', reason: 'pool full' }, 'two']);
    assert.deepEqual([failed.phase, failed.reason], ['failed', 'pool full']);
    assert.equal(afterEvent(failed, { event: 'failed', reason: 'other' }, 'one', NOW).reason, 'pool full');
    refusedWith('set.over', () => afterEvent(failed, { event: 'complete' }, 'one', NOW));
    refusedWith('set.over', () => after(...whole, [{ event: 'failed', reason: 'too late' }, 'two']));
  });

  it('fails by itself when its opener is silent while it gathers, or longer than the barrier stands', () => {
    assert.equal(asOf(after(), NOW + GATHERING_LEASE - 1).phase, 'gathering');
    assert.equal(asOf(after(), NOW + GATHERING_LEASE).phase, 'failed');
    const heard = afterEvent(after(), { event: 'waiting' }, 'one', NOW + GATHERING_LEASE - 1);
    assert.equal(asOf(heard, NOW + GATHERING_LEASE).phase, 'gathering');
    const freezing = after([JOIN, 'two'], [{ event: 'waiting' }, 'one']);
    assert.equal(asOf(freezing, NOW + 30_000 + GATHERING_LEASE).phase, 'gathering');
    const frozen = after(...whole.slice(0, 2));
    assert.equal(asOf(frozen, NOW + 30_000).phase, 'frozen');
    assert.equal(asOf(frozen, NOW + 60_000).phase, 'failed');
    assert.equal(asOf(after(...whole), NOW + 1e9).phase, 'complete');
  });

  it('is complete only if everything before was so, whatever is told by whom', () => {
    const events = fc.constantFrom<SetEvent>(
      JOIN,
      { ...JOIN, writer: { host: 'mds3', process: 3 } },
      { event: 'waiting' },
      { event: 'frozen' },
      taken(MDS1),
      taken(MDS2),
      { event: 'complete' },
      { event: 'failed', reason: 'no' },
    );
    const tokens = fc.constantFrom('one', 'two', 'three');
    fc.assert(
      fc.property(fc.array(fc.tuple(events, tokens), { maxLength: 40 }), (told) => {
        let state = open();
        for (const [event, token] of told) {
          let next = state;
          try {
            next = afterEvent(state, event, token, NOW);
            assert.deepEqual(afterEvent(next, event, token, NOW), next, 'told twice');
          } catch (thrown) {
            if (!(thrown instanceof ZkeepError)) throw thrown;
          }
          if (state.phase === 'complete' || state.phase === 'failed') assert.equal(next, state);
          state = next;
        }
        if (state.phase !== 'complete') return;
        assert.deepEqual(setAnswer(state).lacking, []);
        assert.ok(state.members.every((member) => member.taken));
      }),
      { numRuns: 500 },
    );
  });
});
