import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import {
  type SetEvent,
  SetsAnswerSchema,
  type SnapshotSet,
  SnapshotSetSchema,
} from '../../../catalog/protocol/sets.ts';
import { TestService } from '../fixture/running-service.ts';

const OPENER = { host: 'mds1.example', process: 11 };
const OTHER = { host: 'mds2.example', process: 22 };
const OPENING = {
  fsname: 'lustrefs',
  writer: OPENER,
  expected: ['MGS', 'lustrefs-MDT0000', 'lustrefs-MDT0001'],
  targets: ['MGS', 'lustrefs-MDT0000'],
  moment: 1_800_000_000_000,
  barrier: 30,
};

describe('sets over HTTP', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService().start();
  });
  afterEach(() => service.end());

  const open = async (body: object = OPENING): Promise<SnapshotSet> =>
    await service.ask(SnapshotSetSchema, 'POST', '/v1/sets', { body });
  const tell = async ({ set }: SnapshotSet, body: SetEvent, token = service.token('agent')) =>
    await service.ask(SnapshotSetSchema, 'POST', `/v1/sets/${set}/events`, { body, token });
  const see = async ({ set }: SnapshotSet) => await service.ask(SnapshotSetSchema, 'GET', `/v1/sets/${set}`);
  const completed = async (): Promise<SnapshotSet> => {
    const set = await open();
    const token = service.token('agent', 'mds2');
    await tell(set, { event: 'join', writer: OTHER, targets: ['lustrefs-MDT0001'] }, token);
    await tell(set, { event: 'frozen' });
    await tell(set, { event: 'taken', writer: OTHER }, token);
    await tell(set, { event: 'taken', writer: OPENER });
    return await tell(set, { event: 'complete' });
  };

  it('are opened, joined, frozen, taken and complete; then the next one may begin', async () => {
    const set = await completed();
    assert.equal(set.phase, 'complete');
    assert.deepEqual(await service.ask(SetsAnswerSchema, 'GET', '/v1/sets'), { sets: [] });
    assert.notEqual((await open()).set, set.set);
  });

  it('are one at a time for a file system; asked twice by the same, the same is answered', async () => {
    const set = await open();
    assert.equal((await open()).set, set.set);
    const body = { ...OPENING, writer: OTHER };
    const refusal = await service.refusal('POST', '/v1/sets', { body });
    assert.deepEqual([refusal.status, refusal.code], [409, 'set.busy']);
    assert.deepEqual(refusal.facts, { set: set.set, host: OPENER.host, process: 11, participants: 1 });
    const elsewhere = { ...OPENING, fsname: 'other', expected: ['MGS'], targets: ['MGS'] };
    await open(elsewhere);
    const { sets } = await service.ask(SetsAnswerSchema, 'GET', '/v1/sets?fsname=lustrefs');
    assert.deepEqual(
      sets.map((one) => one.set),
      [set.set],
    );
  });

  it('fail when the service is restarted while they are under way', async () => {
    const set = await open();
    await service.restart();
    const failed = await see(set);
    assert.deepEqual([failed.phase, failed.reason], ['failed', 'the service was restarted in between']);
    await open();
  });

  it('stay complete over a restart, for those who have not heard yet', async () => {
    const set = await completed();
    await service.restart();
    assert.equal((await see(set)).phase, 'complete');
  });

  it('fail when their opener is silent, and then stand in nobody’s way', async () => {
    const set = await open();
    service.clock.pass(10_001);
    await open({ ...OPENING, writer: OTHER });
    assert.equal((await see(set)).phase, 'failed');
  });

  it('are forgotten a day after they are over', async () => {
    const set = await completed();
    service.clock.pass(25 * 3600_000);
    await open();
    const refusal = await service.refusal('GET', `/v1/sets/${set.set}`);
    assert.deepEqual([refusal.status, refusal.code], [404, 'set.none']);
  });

  it('refuse what is malformed', async () => {
    const wrong = [
      { ...OPENING, fsname: 'much-too-long' },
      { ...OPENING, expected: [] },
      { ...OPENING, expected: ['lustrefs-OST0000'] },
      { ...OPENING, barrier: 0 },
      { ...OPENING, more: 1 },
    ];
    for (const body of wrong) {
      assert.equal((await service.refusal('POST', '/v1/sets', { body })).code, 'request.malformed');
    }
    const set = await open();
    for (const body of [{ event: 'nothing' }, { event: 'taken' }, { event: 'frozen', more: 1 }]) {
      const refusal = await service.refusal('POST', `/v1/sets/${set.set}/events`, { body });
      assert.equal(refusal.code, 'request.malformed', JSON.stringify(body));
    }
  });
});
