import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseAgentConfiguration } from '../../../agent/daemon/configuration.ts';
import { DrillJobSchema } from '../../../agent/daemon/jobs/drills/job.ts';
import { JobSchema } from '../../../agent/daemon/jobs/job.ts';

const page = readFileSync(new URL('../../../agent/daemon/AGENT.md', import.meta.url), 'utf8');

test('the configuration that AGENT.md shows is one, and has every key', () => {
  const [, toml = ''] = /```toml\n([\s\S]*?)```/.exec(page) ?? [];
  const { jobs, bandwidth, concurrency } = parseAgentConfiguration(toml, 'agent.toml');
  assert.deepEqual(
    jobs.map(({ name }) => name),
    ['hourly', 'database', 'volumes', 'sanoid', 'lustre', 'drill'],
  );
  assert.deepEqual([bandwidth.windows.length, bandwidth.zone, concurrency], [3, 'Europe/Berlin', 2]);
  for (const key of ['service', 'token_file', 'state', 'patience', 'concurrency', 'zone'])
    assert.match(toml, new RegExp(`^${key} = `, 'm'), key);
});

test('AGENT.md tells of every key of a job and of a drill', () => {
  for (const key of Object.keys({ ...JobSchema.properties, ...DrillJobSchema.properties }))
    assert.ok(page.includes(`\`${key === 'hooks' ? '[job.hooks]' : key}\``), key);
});
