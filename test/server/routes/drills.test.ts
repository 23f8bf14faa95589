/** The evidence of drills, as it is brought and read. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Drill } from '../../../catalog/journal/entry.ts';
import { DrillRowSchema, DrillsAnswerSchema, EventsAnswerSchema } from '../../../catalog/protocol/events.ts';
import { TestService } from '../fixture/running-service.ts';
import { openRequest } from '../fixture/samples.ts';

describe('the evidence of a drill', () => {
  let service: TestService;
  let drill: Drill;
  beforeEach(async () => {
    service = await new TestService().start();
    const { lineage, dataset, to: guid, name, created } = await service.backUp(openRequest({ to: 1n }));
    const counts = { steps: 1, bytes: 100, stored: 50, objects: 7, properties: 30 };
    const times = { restore_seconds: 2.5, compare_seconds: 1 };
    const place = { host: 'restore1', target: 'scratch/drill' };
    drill = {
      ...place,
      lineage,
      dataset,
      guid,
      name,
      created,
      passed: true,
      problems: [],
      ...counts,
      ...times,
    };
  });
  afterEach(() => service.end());

  it('is kept with who brought it, and read by whoever may read, also after a restart', async () => {
    const row = await service.ask(DrillRowSchema, 'POST', '/v1/drills', { body: drill });
    assert.equal(row.by, 'agent');
    await service.restart();
    const token = service.token('reader');
    const path = `/v1/drills?lineage=${drill.lineage}`;
    const { drills } = await service.ask(DrillsAnswerSchema, 'GET', path, { token });
    assert.deepEqual(drills, [row]);
  });

  it('that did not pass stands in the journal with what was wrong', async () => {
    const body = { ...drill, passed: false, problems: ['compression is not as it was'] };
    await service.ask(DrillRowSchema, 'POST', '/v1/drills', { body });
    const { events } = await service.ask(EventsAnswerSchema, 'GET', '/v1/events?kinds=drilled');
    const [{ fact } = assert.fail('nothing is said')] = events;
    assert.ok(fact.kind === 'drilled' && !fact.drill.passed);
    assert.deepEqual(fact.drill.problems, body.problems);
  });

  it('is not taken from a reader, and not in another shape', async () => {
    const refused = await service.refusal('POST', '/v1/drills', {
      body: drill,
      token: service.token('reader'),
    });
    assert.equal(refused.code, 'token.scope');
    const { objects: _, ...less } = drill;
    assert.equal((await service.refusal('POST', '/v1/drills', { body: less })).status, 400);
  });
});
