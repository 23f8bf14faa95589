import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Fact } from '../../../catalog/journal/entry.ts';
import { parseConfiguration } from '../../../server/configuration/configuration.ts';
import { isTold, kindsOf } from '../../../server/notices/told.ts';

const ended = (outcome: 'done' | 'failed' | 'interrupted'): Fact => {
  return { kind: 'job.ended', job: 'prune', outcome, seconds: 1, words: '' };
};

describe('what is told', () => {
  it('is, of jobs, only what failed, unless all are asked for by their kind', () => {
    assert.deepEqual(
      (['done', 'failed', 'interrupted'] as const).map((outcome) => isTold(['failure'], ended(outcome))),
      [false, true, false],
    );
    assert.equal(isTold(['job.ended'], ended('done')), true);
  });

  it('is of lateness its beginning and its end', () => {
    assert.equal(isTold(['late'], { kind: 'late.over', host: 'mds1', dataset: 'tank' }), true);
    assert.equal(
      isTold(['late'], {
        kind: 'agent.away.over',
        agent: 'mds1',
        host: 'mds1',
        seen: '2026-11-20T12:00:00.000Z',
      }),
      true,
    );
    assert.equal(isTold(['late.over'], { kind: 'late.over', host: 'mds1', dataset: 'tank' }), true);
    assert.equal(isTold(['failure', 'damage'], { kind: 'late.over', host: 'mds1', dataset: 'tank' }), false);
  });

  it('is found in the journal by its kinds', () => {
    assert.deepEqual(kindsOf(['damage', 'late', 'pin.set']), [
      'pin.set',
      'damaged',
      'late',
      'late.over',
      'agent.away',
      'agent.away.over',
    ]);
  });
});

describe('a configuration', () => {
  const wrong = (text: string, reason: RegExp) =>
    assert.throws(() => parseConfiguration(text, 'server.toml', { data: '/tmp/zkeep' }), reason);

  it('with an event that there is not is refused, with those that there are', () => {
    wrong(
      '[[hook]]\ncommand = ["true"]\nevents = ["lat"]\n',
      /hook\.events has lat, which is none of failure, late/,
    );
  });

  it('with a receiver that is there twice, a password in an address, or no address is refused', () => {
    const hook = '[[webhook]]\nurl = "https://example.org/a"\n';
    wrong(hook + hook, /webhook is there twice/);
    wrong('[[webhook]]\nurl = "https://me:pass@example.org"\n', /names a user/);
    wrong('[[webhook]]\nurl = "https://[x"\n', /webhook\.url is no address/);
  });
});
