import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { StatusAnswerSchema } from '../../../catalog/protocol/agents.ts';
import { EventsAnswerSchema, JobsAnswerSchema } from '../../../catalog/protocol/events.ts';
import { TestService } from '../fixture/running-service.ts';
import { openRequest } from '../fixture/samples.ts';

const HOUR = 3_600_000;

describe('watching', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await new TestService({ settings: 'watch.schedule = "never"\n' }).start();
  });
  afterEach(() => service.end());

  const objective = async (text: string) => {
    const policy = {
      name: 'all',
      datasets: [],
      hosts: [],
      lineages: [],
      keep: {},
      zone: 'UTC',
      objective: text,
    };
    const token = service.token('operator', 'alice');
    const { status, text: answer } = await service.call('PUT', '/v1/policies/all', { token, body: policy });
    assert.ok(status < 300, answer);
  };
  const watch = async () => {
    const token = service.token('operator', 'alice');
    await service.call('POST', '/v1/jobs/watch', { token });
    const isOver = async () => {
      const { jobs } = await service.ask(JobsAnswerSchema, 'GET', '/v1/jobs');
      return jobs.find(({ job }) => job === 'watch')?.running === false;
    };
    for (let looks = 0; !(await isOver()); looks += 1) {
      assert.ok(looks < 500, 'the job does not end');
      await setTimeout(10);
    }
    const { events } = await service.ask(EventsAnswerSchema, 'GET', '/v1/events?kinds=late');
    return events.map(({ fact }) => fact.kind);
  };

  it('says once that a dataset is late, also over a restart, and once that it is not any more', async () => {
    const { created } = await service.backUp(openRequest({ to: 1n }));
    const age = service.clock.now() - created * 1000;
    await objective(`${Math.ceil(age / HOUR) + 1}h`);
    assert.deepEqual(await watch(), []);
    service.clock.pass(2 * HOUR);
    assert.deepEqual(await watch(), ['late']);
    assert.equal((await service.ask(StatusAnswerSchema, 'GET', '/v1/status')).state, 'late');
    await service.restart();
    assert.deepEqual(await watch(), ['late']);
    await objective('900000h');
    assert.deepEqual(await watch(), ['late.over', 'late']);
    assert.equal((await service.ask(StatusAnswerSchema, 'GET', '/v1/status')).state, 'well');
    assert.deepEqual(await watch(), ['late.over', 'late']);
  });
});
