/** Policies, pins, prune and jobs by the real commands, against a real service. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { PinRow, PrunePlan, RemovedAnswer } from '../../../catalog/protocol/keeping.ts';
import { recordedStream } from '../../fixtures/recorded-streams.ts';
import { AgentHouse } from './agent-house.ts';

const DATASET = 'tank/fs';

interface Said {
  readonly error?: { readonly code: string };
  readonly plan: PrunePlan;
  readonly done: RemovedAnswer;
  readonly pins: PinRow[];
  readonly pin: PinRow;
  readonly policies: { readonly name: string }[];
  readonly jobs: { readonly job: string }[];
}

describe('what is kept, by command', () => {
  let house: AgentHouse;
  let operator: string;
  before(async () => {
    house = await AgentHouse.open('[prune]\ngrace = "0"\nschedule = "never"');
    operator = house.service.tokens.add('op', 'operator');
    for (const stream of ['full', 'incr-i-a-b', 'incr-i-b-c']) {
      await house.document(['import', '--dataset', DATASET], 0, { stdin: recordedStream(stream) });
    }
  });
  after(() => house.end());

  async function said(
    words: string[],
    code = 0,
    env: Record<string, string> = { ZKEEP_TOKEN: operator },
  ): Promise<Said> {
    const ran = await house.zkeep([...words, '--json'], { env });
    assert.equal(ran.code, code, `${words.join(' ')}: ${ran.stdout}${ran.stderr}`);
    return JSON.parse(ran.stdout.toString());
  }
  async function told(words: string[]): Promise<string> {
    const ran = await house.zkeep(words, { env: { ZKEEP_TOKEN: operator } });
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout.toString();
  }
  const fates = ({ rows }: PrunePlan) => rows.map(({ name, fate }) => `${name} ${fate}`);

  it('is said once by an operator, shown, kept for pins, and gone at last', async () => {
    assert.match(await told(['policy', 'list']), /there is no policy: everything is kept/);
    const keep = [
      'policy',
      'set',
      'usual',
      '--datasets',
      'tank/**',
      '--keep-last',
      '1',
      '--zone',
      'Europe/Berlin',
    ];
    assert.equal((await said(keep, 8, {})).error?.code, 'token.scope');
    assert.equal(
      (await said(['policy', 'set', 'all', '--keep-last', '1'], 2)).error?.code,
      'policy.for-nothing',
    );
    assert.equal((await said([...keep, '--zone', 'Nowhere'], 2)).error?.code, 'policy.wrong');
    await said([...keep, '--objective', '26h', '--chain-steps', '100']);
    assert.match(
      await told(['policy', 'show', 'usual']),
      /keeps +last 1\nzone +Europe\/Berlin\nobjective +26h\nchain +steps 100/,
    );
    assert.equal((await said(['policy', 'show', 'none'], 3)).error?.code, 'policy.missing');

    // A chain of three, of which the last one is wanted: the others stay because it hangs on them.
    const words = await told(['prune', DATASET, '--dry-run']);
    assert.match(words, /tank\/fs@c .* kept +the newest, last \(usual\)/);
    assert.match(words, /tank\/fs@a .* full .* needed +needed by tank\/fs@c/);
    assert.match(words, /tank\/fs@b .* @a .* needed +needed by tank\/fs@c/);
    assert.match(
      words,
      /2 backups, .*, stay only because others hang on them\nonly shown: nothing was changed$/m,
    );

    // A new full backup of another lineage lets them go.
    await house.document(['import', '--dataset', DATASET], 0, { stdin: recordedStream('compressed-c-lz4') });
    const file = join(house.folder, 'try.toml');
    writeFileSync(file, '[[policy]]\ndatasets = ["tank/**"]\nkeep = { last = 9 }\n');
    const shown = (await said(['prune', DATASET, '--dry-run'])).plan;
    const gone = shown.rows.filter(({ fate }) => fate === 'mark').length;
    const simulated = (await said(['prune', DATASET, '--policy', file], 0, {})).plan;
    assert.deepEqual(simulated.totals['mark'], undefined, 'another policy keeps all, and nothing is done');
    assert.ok(gone > 0, fates(shown).join());

    const oldest = shown.rows.findLast(({ fate }) => fate === 'mark');
    const snapshot = `${oldest?.dataset}@${oldest?.name}`;
    const { pin } = await said(['pin', snapshot, '--reason', 'case 4711', '--legal-hold']);
    assert.match(await told(['pins']), /legal hold +case 4711/);
    assert.equal((await said(['unpin', pin.pin, '--reason', 'over'], 4)).error?.code.split('.')[0], 'pin');
    await said(['prune']);
    const { done } = await said(['prune']);
    assert.equal(done.marked, 0);
    const left = (await said(['prune', DATASET, '--dry-run'])).plan;
    assert.ok(
      fates(left).some((row) => row.startsWith(`${oldest?.name} kept`)),
      fates(left).join(),
    );
    await said(['unpin', pin.pin, '--reason', 'over', '--legal-hold']);
    await said(['prune']);
    assert.match(await told(['prune']), /done: 0 marked, 0 unmarked, [1-9][0-9]* removed/);
    assert.deepEqual(fates((await said(['prune', DATASET, '--dry-run'])).plan).length, 1);
    const { problems } = (await said(['verify', '--deep'], 0)) as unknown as { problems: unknown[] };
    assert.deepEqual(problems, []);
    await said(['policy', 'remove', 'usual']);
    assert.deepEqual((await said(['policy', 'list'])).policies, []);
  });

  it('is seen to by jobs that can be asked for', async () => {
    const { jobs } = await said(['jobs'], 0, {});
    assert.deepEqual(jobs.map(({ job }) => job).sort(), ['copy', 'prune', 'sweep', 'verify', 'watch']);
    assert.equal((await said(['jobs', '--run', 'sweep'], 8, {})).error?.code, 'token.scope');
    await said(['jobs', '--run', 'sweep']);
    assert.match(await told(['jobs']), /^JOB +NOW +LAST/);
  });
});
