import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explainBrokenLine, explainRefusal } from '../../../../catalog/repository/store/s3/answers.ts';

const told = (status: number, code = '') => {
  const { kind, code: ours, advice } = explainRefusal({ status, code, message: 'm' }, 's3://b/k');
  assert.ok(advice);
  return `${kind} ${ours}`;
};

describe('an answer that is no success', () => {
  it('is told by its code before its status', () => {
    assert.equal(told(403, 'RequestTimeTooSkewed'), 'denied store.clock');
    assert.equal(told(403, 'QuotaExceeded'), 'full store.full');
    assert.equal(told(403, 'InvalidObjectState'), 'refused store.archived');
    assert.equal(told(400, 'XAmzContentSHA256Mismatch'), 'damaged store.mismatch');
    assert.equal(told(400, 'RequestTimeout'), 'unavailable store.unavailable');
    assert.equal(told(400, 'AuthorizationHeaderMalformed'), 'usage store.region');
    assert.equal(told(409, 'ConditionalRequestConflict'), 'unavailable store.unavailable');
    assert.equal(told(404, 'NoSuchBucket'), 'missing store.no-bucket');
    assert.equal(told(404, 'NoSuchKey'), 'missing store.missing');
    assert.equal(told(412, 'PreconditionFailed'), 'refused store.exists');
  });

  it('is told by its status when the code says nothing', () => {
    assert.equal(told(301), 'usage store.region');
    assert.equal(told(400, 'SomethingElse'), 'failed store.rejected');
    assert.equal(told(403, 'SomethingElse'), 'denied store.denied');
    assert.equal(told(404), 'missing store.missing');
    assert.equal(told(412), 'refused store.exists');
    assert.equal(told(416), 'damaged store.short');
    assert.equal(told(429), 'unavailable store.unavailable');
    for (const status of [500, 502, 503, 504, 599])
      assert.equal(told(status), 'unavailable store.unavailable');
    assert.equal(told(501), 'failed store.unsupported');
    assert.equal(told(507), 'full store.full');
  });

  it('keeps a long message short', () => {
    const { message } = explainRefusal({ status: 400, code: 'C', message: 'm'.repeat(10_000) }, 's3://b/k');
    assert.ok(message.length < 400);
  });
});

describe('a line that breaks', () => {
  it('may be better the next time', () => {
    for (const code of [
      'ECONNRESET',
      'ECONNREFUSED',
      'EAI_AGAIN',
      'EPIPE',
      'UND_ERR_SOCKET',
      'HPE_INVALID_CONSTANT',
    ]) {
      const thrown = Object.assign(new Error('words'), { code });
      const explained = explainBrokenLine(thrown, 's3://b/k');
      assert.equal(explained?.kind, 'unavailable', code);
      assert.equal(explained.cause, thrown);
    }
    const late = Object.assign(new Error('words'), { name: 'TimeoutError' });
    assert.equal(explainBrokenLine(late, 's3://b/k')?.kind, 'unavailable');
  });

  it('is no passing matter when the other end is not trusted', () => {
    for (const code of [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'CERT_HAS_EXPIRED',
      'ERR_TLS_CERT_ALTNAME_INVALID',
      'EPROTO',
    ]) {
      const explained = explainBrokenLine(Object.assign(new Error('words'), { code }), 's3://b/k');
      assert.equal(`${explained?.kind} ${explained?.code}`, 'failed store.tls', code);
    }
  });

  it('is not what a mistake in a program is', () => {
    assert.equal(explainBrokenLine(new TypeError('x is not a function'), 'x'), undefined);
    assert.equal(explainBrokenLine('text', 'x'), undefined);
  });
});
