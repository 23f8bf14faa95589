/** When the next backup is a full one, and that nobody has to wonder why. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import { knownOf } from '../../../agent/backup/sources.ts';
import type { ServiceClient } from '../../../agent/service/client.ts';
import type { StatusAnswer } from '../../../catalog/protocol/agents.ts';
import type { PrunePlan } from '../../../catalog/protocol/keeping.ts';
import type { Manifest } from '../../../catalog/repository/manifest.ts';
import { openRepository } from '../../../catalog/repository/repository.ts';
import { DirectoryStore } from '../../../catalog/repository/store/directory-store.ts';
import { guidOf } from '../../../catalog/words.ts';
import { point, source } from './resume/facts.ts';
import { backUp, eachAnew, host, house } from './resume/halfway.ts';

describe('what the repository knows', () => {
  it('is asked for each dataset by its name, and not at all where there is nothing', async () => {
    const asked: unknown[] = [];
    const known: ServiceClient['known'] = async (guids, _signal, of) => {
      asked.push([of, guids]);
      return guids.map((guid) => ({ guid, restorable: true, flags: null, renew: of?.dataset ?? null }));
    };
    const points = (dataset: string, id: number) => [
      point(dataset, 'one', id),
      point(dataset, 'one', id, { kind: 'bookmark' }),
    ];
    const sources = [source('t/a', points('t/a', 1)), source('t/none', []), source('t/b', points('t/b', 2))];
    const found = await knownOf(sources, { known }, new AbortController().signal);
    assert.deepEqual(asked, [
      [{ host: hostname(), dataset: 't/a' }, [guidOf(1n)]],
      [{ host: hostname(), dataset: 't/b' }, [guidOf(2n)]],
    ]);
    assert.deepEqual(
      found.map(({ renew }) => renew),
      ['t/a', 't/b'],
    );
  });
});

describe('a chain that a policy ends', () => {
  eachAnew();

  it('is begun anew by a full backup, with the reason in words and in the document', async () => {
    for (const id of [101, 102, 103, 104]) {
      host.makeStream('tank/a', id, 'full', 0.1);
      host.makeStream('tank/a', id, 'incremental', 0.1);
    }
    const ZKEEP_TOKEN = house.service.tokens.add('chief', 'operator');
    const words = ['policy', 'set', 'short', '--datasets', 'tank/**', '--chain-steps', '2'];
    const set = await house.zkeep(words, { env: { ZKEEP_TOKEN } });
    assert.equal(set.code, 0, set.stderr);
    const kinds: string[] = [];
    for (let turn = 0; turn < 2; turn++) {
      const { backups } = await backUp(['tank/a', '--refresh']);
      kinds.push(`${backups[0]?.kind}`);
    }
    const planned = await backUp(['tank/a', '--refresh', '--dry-run']);
    assert.match(planned.plan[0]?.reason ?? '', /^the chain to #zkeep-refresh-\S+ ends there: .*2/);
    const { stdout } = await house.zkeep(['backup', 'tank/a', '--refresh'], { env: host.env });
    assert.match(stdout.toString(), /tank\/a: full, because the chain to #\S+ ends there: /);
    const { backups } = await backUp(['tank/a', '--refresh']);
    assert.deepEqual([...kinds, backups[0]?.kind], ['full', 'incremental', 'incremental']);
    assert.equal(await house.isClean(), 4);
  });

  it('is begun anew where nothing is common any more, which is said', async () => {
    host.makeStream('tank/a', 101, 'full', 0.1);
    host.makeStream('tank/a', 102, 'full', 0.1);
    await backUp(['tank/a']);
    host.lose('zkeep-');
    const { stdout } = await house.zkeep(['backup', 'tank/a'], { env: host.env });
    assert.match(stdout.toString(), /tank\/a: full, because tank\/a has no snapshot or bookmark older than /);
  });

  it('leaves one dataset what it is, though a rename falls between: nothing waits for the old name', async () => {
    for (const id of [101, 102, 103]) host.makeStream('tank/a', id, id === 102 ? 'incremental' : 'full', 0.1);
    const env = { ZKEEP_TOKEN: house.service.tokens.add('chief', 'operator') };
    const rules = ['--datasets', 'tank/**', '--keep-last', '1', '--chain-steps', '2', '--objective', '1h'];
    const set = await house.zkeep(['policy', 'set', 'short', ...rules], { env });
    assert.equal(set.code, 0, set.stderr);
    for (let turn = 0; turn < 2; turn++) await backUp(['tank/a']);
    host.rename('tank/a', 'tank/new');
    const { backups } = await backUp(['tank/new']);
    assert.deepEqual([backups[0]?.kind, backups[0]?.dataset], ['full', 'tank/new']);
    const [{ source } = assert.fail('there is no manifest')] = await manifestsOf('tank/new');
    assert.deepEqual([source.pool_guid, source.dataset_guid], [guidOf(77n), guidOf(1n)]);
    const pruned = await house.zkeep(['prune', '--dry-run', '--all', '--json']);
    const { plan } = JSON.parse(pruned.stdout.toString()) as { plan: PrunePlan };
    assert.deepEqual(
      plan.rows.map(({ dataset, fate }) => `${dataset} ${fate}`),
      ['tank/a mark', 'tank/a mark', 'tank/new kept'],
    );
    const told = await house.zkeep(['status', '--json']);
    const { datasets } = JSON.parse(told.stdout.toString()) as StatusAnswer;
    assert.deepEqual(
      datasets.map(({ dataset }) => dataset),
      ['tank/new'],
    );
  });
});

async function manifestsOf(dataset: string): Promise<Manifest[]> {
  const repository = await openRepository(new DirectoryStore(house.repository));
  const manifests: Manifest[] = [];
  for await (const { to, backup } of repository.manifests())
    manifests.push(await repository.manifest(to, backup));
  return manifests.filter(({ source }) => source.dataset === dataset);
}
