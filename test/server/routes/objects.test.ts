import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { ReadGrantsAnswerSchema } from '../../../catalog/protocol/protocol.ts';
import type { Grant } from '../../../catalog/repository/store/store.ts';
import { type BackupId, parseDigest } from '../../../catalog/words.ts';
import { full } from '../fixture/faulty-store.ts';
import { type Answer, TestService } from '../fixture/running-service.ts';
import { bodyOf, lastPart, openRequest, part } from '../fixture/samples.ts';

describe('a granted write', () => {
  let service: TestService;
  let backup: BackupId;
  let grant: Grant;
  beforeEach(async () => {
    service = await new TestService().start();
    backup = await service.open(openRequest({ to: 1n }));
    [grant = assert.fail()] = await service.grant(backup, [part(0)]);
  });
  afterEach(() => service.end());

  const stored = () => service.keys(`segments/${backup}/`);
  const isRefused = ({ status, text }: Answer, expected: number, code: string) =>
    assert.deepEqual([status, JSON.parse(text)['code']], [expected, code]);

  it('stores the object, again when the answer was lost', async () => {
    for (let time = 0; time < 2; time++) assert.equal((await service.follow(grant, bodyOf(0))).status, 204);
    assert.deepEqual(await stored(), [`segments/${backup}/00000000.zst`]);
  });

  it('of another content of the same size is refused, and nothing is stored', async () => {
    const other = bodyOf(0, 'other');
    assert.equal(other.length, bodyOf(0).length);
    isRefused(await service.follow(grant, other), 422, 'store.mismatch');
    assert.deepEqual(await stored(), []);
  });

  it('of another size is refused, and nothing is stored', async () => {
    for (const body of [bodyOf(0).subarray(1), Buffer.concat([bodyOf(0), bodyOf(0)])]) {
      const headers = { ...grant.headers, 'content-length': String(body.length) };
      const { status } = await service.follow({ ...grant, headers }, body);
      assert.equal(status, 422);
    }
    assert.deepEqual(await stored(), []);
  });

  it('to another key is refused', async () => {
    const url = grant.url.replace('00000000.zst', '00000001.zst');
    isRefused(await service.follow({ ...grant, url }, bodyOf(0)), 403, 'grant.invalid');
    const climbing = grant.url.replace('segments/', 'segments/%2e%2e/');
    isRefused(await service.follow({ ...grant, url: climbing }, bodyOf(0)), 403, 'grant.invalid');
    assert.deepEqual(await stored(), []);
  });

  it('without its signature is refused, also with a token', async () => {
    const headers = { ...grant.headers, authorization: `Bearer ${service.token('operator')}` };
    isRefused(await service.follow({ ...grant, headers }, bodyOf(0)), 403, 'grant.invalid');
  });

  it('after its end is refused', async () => {
    service.clock.pass(grant.expires - service.clock.now());
    isRefused(await service.follow(grant, bodyOf(0)), 403, 'grant.expired');
    assert.deepEqual(await stored(), []);
  });

  it('for a backup that was abandoned since is refused, so that nothing is left behind', async () => {
    await service.call('DELETE', `/v1/backups/${backup}`);
    isRefused(await service.follow(grant, bodyOf(0)), 403, 'grant.overtaken');
    assert.deepEqual(await stored(), []);
  });

  it('of a content that another grant has replaced is refused', async () => {
    const [second = assert.fail()] = await service.grant(backup, [part(0, 'second try')]);
    isRefused(await service.follow(grant, bodyOf(0)), 403, 'grant.overtaken');
    assert.equal((await service.follow(second, bodyOf(0, 'second try'))).status, 204);
  });

  it('that breaks off in the middle leaves nothing', async () => {
    const { host, port, pathname } = new URL(grant.url);
    const head = Object.entries({ host, ...grant.headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(`PUT ${pathname} HTTP/1.1\r\n${head.join('')}\r\n`);
    socket.write(bodyOf(0).subarray(0, 100), () => socket.destroy());
    await new Promise((resolve) => socket.once('close', resolve));
    await setTimeout(50);
    assert.deepEqual(await stored(), []);
    assert.equal((await service.follow(grant, bodyOf(0))).status, 204);
  });

  it('to a store without room is refused as full, and goes on when there is room again', async () => {
    service.faults.decide = ({ verb }) =>
      verb === 'putStream' ? { when: 'before', error: full() } : undefined;
    isRefused(await service.follow(grant, bodyOf(0)), 507, 'store.full');
    assert.deepEqual(await stored(), []);
    service.faults.heal();
    assert.equal((await service.follow(grant, bodyOf(0))).status, 204);
  });
});

describe('a large granted write', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService().start();
  });
  afterEach(() => service.end());

  const body = Buffer.alloc(32 * 1024 * 1024, 'zkeep');
  const { segment, ...rest } = part(0);
  const sha256 = parseDigest(hash('sha256', body));
  const large = { ...rest, segment: { ...segment, stored: body.length, sha256 } };

  it('for which the room ends midway is answered all the same, and nothing is stored', async () => {
    const backup = await service.open(openRequest({ to: 1n }));
    const [grant = assert.fail()] = await service.grant(backup, [large]);
    service.faults.decide = ({ verb }) =>
      verb === 'putStream' ? { when: 'during', error: full() } : undefined;
    const { status, text } = await service.follow(grant, body);
    assert.deepEqual([status, JSON.parse(text)['code']], [507, 'store.full']);
    assert.deepEqual(await service.keys('segments/'), []);
    // The line is free again, and does not keep the service from stopping.
    const begun = performance.now();
    await service.stop();
    assert(performance.now() - begun < 5000);
  });

  it('is not held in memory', async () => {
    const backup = await service.open(openRequest({ to: 1n }));
    const [grant = assert.fail()] = await service.grant(backup, [large]);
    assert.equal((await service.follow(grant, body)).status, 204);
    const { largestPiece } = service.faults;
    assert(largestPiece > 0 && largestPiece <= 1024 * 1024, `a piece of ${largestPiece} bytes`);
  });
});

describe('a granted read', () => {
  let service: TestService;
  let grant: Grant;
  beforeEach(async () => {
    service = await new TestService().start();
    const { backup } = await service.backUp(openRequest({ to: 1n }), 2);
    const body = { segments: [1, 0] };
    const { grants } = await service.ask(ReadGrantsAnswerSchema, 'POST', `/v1/backups/${backup}/reads`, {
      body,
    });
    [grant = assert.fail()] = grants;
  });
  afterEach(() => service.end());

  it('gives the object, in the order asked', async () => {
    const { status, text, headers } = await service.follow(grant);
    assert.equal(status, 200);
    assert.equal(text, bodyOf(1).toString());
    assert.equal(headers['content-length'], String(bodyOf(1).length));
  });

  it('gives a range of it', async () => {
    const headers = { ...grant.headers, range: 'bytes=5-9' };
    const answer = await service.follow({ ...grant, headers });
    assert.deepEqual([answer.status, answer.text], [206, bodyOf(1).subarray(5, 10).toString()]);
    assert.equal(answer.headers['content-range'], `bytes 5-9/${bodyOf(1).length}`);
    const past = await service.follow({ ...grant, headers: { ...grant.headers, range: 'bytes=9999-' } });
    assert.deepEqual([past.status, JSON.parse(past.text)['code']], [416, 'object.range']);
  });

  it('is no grant to write, nor to read another object', async () => {
    const write = await service.follow({ ...grant, method: 'PUT' }, bodyOf(1));
    assert.deepEqual([write.status, JSON.parse(write.text)['code']], [403, 'grant.invalid']);
    const url = grant.url.replace('00000001', '00000000');
    assert.equal((await service.follow({ ...grant, url })).status, 403);
  });

  it('of an object that is gone says so', async () => {
    const [first, second] = await service.keys('segments/');
    const { store } = await service.repository();
    await store.delete(first ?? '');
    await store.delete(second ?? '');
    const { status, text } = await service.follow(grant);
    assert.deepEqual([status, JSON.parse(text)['code']], [404, 'object.missing']);
  });
});

describe('asking for grants', () => {
  let service: TestService;
  let backup: BackupId;
  beforeEach(async () => {
    service = await new TestService().start();
    backup = await service.open(openRequest({ to: 1n }));
  });
  afterEach(() => service.end());

  const refused = (body: unknown, token?: string) =>
    service.refusal('POST', `/v1/backups/${backup}/grants`, { body, ...(token ? { token } : {}) });

  it('is refused to another agent, though not to an operator', async () => {
    const refusal = await refused({ parts: [part(0)] }, service.token('agent', 'mds2'));
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [403, 'denied', 'backup.other']);
  });

  it('is refused for other raw bytes of a part that is stored', async () => {
    await service.sendParts(backup, [part(0)]);
    const other = part(0, 'other');
    const after = { ...other.after, sum: 'e'.repeat(64) };
    const refusal = await refused({ parts: [{ ...other, after }] });
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [422, 'refused', 'grant.stored']);
    assert.equal(refusal.facts['segment'], 0);
  });

  it('is answered with "stored" for the content that is stored, also when another was granted since', async () => {
    await service.grant(backup, [lastPart(0)]);
    await service.grant(backup, [lastPart(0, 'other')]);
    // As a store would that takes a request which was signed and is not expired.
    const { store } = await service.repository();
    await store.put(`segments/${backup}/00000000.zst`, bodyOf(0), { sha256: part(0).segment.sha256 });
    assert.deepEqual(await service.answers(backup, [lastPart(0)]), [{ stored: true }]);
    await service.commit(backup, openRequest({ to: 1n }), 1);
    assert.equal(await service.verifies(), 1);
  });

  const { segment, after, ...rest } = part(0);
  const misshapen: [string, unknown[]][] = [
    ['the same part twice', [part(0), part(0)]],
    ['a part of no bytes', [{ ...rest, after, segment: { ...segment, size: 0 } }]],
    ['a part that stores no bytes', [{ ...rest, after, segment: { ...segment, stored: 0 } }]],
    ['a part larger than any', [{ ...rest, after, segment: { ...segment, stored: 2 ** 40 } }]],
    ['a part beyond all streams', [{ ...rest, after, segment, number: 10_000_000 }]],
    ['a part that ends elsewhere than its bytes', [{ ...rest, segment, after: { ...after, at: 999 } }]],
    [
      'a part that begins elsewhere than its state',
      [{ ...part(1), segment: { ...part(1).segment, state: after, offset: 0 } }],
    ],
    ['a part before its point', [{ ...part(0), point: part(1).point }]],
  ];
  for (const [name, parts] of misshapen) {
    it(`is refused for ${name}`, async () => {
      const refusal = await refused({ parts });
      assert.deepEqual([refusal.status, refusal.kind, refusal.code], [400, 'usage', 'grant.part']);
    });
  }

  it('is refused for reading what is not committed, or what it does not have', async () => {
    const reads = (id: BackupId, segments: number[]) =>
      service.refusal('POST', `/v1/backups/${id}/reads`, { body: { segments } });
    assert.deepEqual((await reads(backup, [0])).code, 'backup.missing');
    await service.send(backup, 2);
    await service.commit(backup, openRequest({ to: 1n }), 2);
    const refusal = await reads(backup, [1, 2]);
    assert.deepEqual([refusal.status, refusal.kind, refusal.code], [404, 'missing', 'backup.segment']);
  });
});
