import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compactMoment, freeName, parseMoment } from '../../agent/moments.ts';
import { ZkeepError } from '../../catalog/errors.ts';

const refused = (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'usage';

describe('a moment', () => {
  it('that no calendar has is refused, not made another one', () => {
    for (const text of [
      '2026-02-30 10:00',
      '2026-13-01 10:00',
      '2026-01-01 24:00',
      '2026-01-01 10:60',
      '2026-01-01T10:00:00+15:00',
    ]) {
      assert.throws(() => parseMoment(text), refused, text);
    }
  });

  it('without a time of day, or in another form, is refused', () => {
    for (const text of [
      '2026-11-20',
      '20.11.2026 09:00',
      'yesterday',
      '1795165200',
      '2026-11-20 09:00 CET',
      '',
    ]) {
      assert.throws(() => parseMoment(text), refused, text);
    }
  });

  it('is read in UTC and with an offset', () => {
    assert.equal(parseMoment('2026-11-20T09:00:00Z'), 1795165200);
    assert.equal(parseMoment('2026-11-20T10:00+01:00'), 1795165200);
    assert.equal(parseMoment('2026-11-20 09:00:00.999Z'), 1795165200);
  });

  it('without a zone is local', () => {
    const local = new Date(2026, 10, 20, 9, 0, 30).getTime() / 1000;
    assert.equal(parseMoment('2026-11-20 09:00:30'), local);
    assert.equal(parseMoment('2026-11-20T09:00'), local - 30);
  });

  it('comes back from its ISO form', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (seconds) => {
        assert.equal(parseMoment(new Date(seconds * 1000).toISOString()), seconds);
      }),
    );
  });

  it('in a name holds only what ZFS allows there', () => {
    assert.equal(compactMoment(Date.UTC(2026, 10, 20, 9, 0, 0, 123)), '20261120T090000Z');
  });

  it('in a name is the next free second where a name is taken', () => {
    const left = new Set(['zkeep-20261120T090000Z', 'zkeep-20261120T090001Z']);
    const name = freeName('zkeep', Date.UTC(2026, 10, 20, 9), (taken) => left.has(taken));
    assert.equal(name, 'zkeep-20261120T090002Z');
  });
});
