import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { pino } from 'pino';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { manifestKey } from '../../../catalog/repository/names.ts';
import { DirectoryStore } from '../../../catalog/repository/store/directory-store.ts';
import { buildService, type RunningService } from '../../../server/app.ts';
import { parseConfiguration } from '../../../server/configuration/configuration.ts';
import { openState } from '../../../server/state/state.ts';
import { Tokens } from '../../../server/state/tokens.ts';
import { policy } from '../../catalog/index/journal/entries.ts';
import { gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';
import { openRequest } from '../fixture/samples.ts';

let service: TestService;
beforeEach(async () => {
  service = await new TestService().start();
});
afterEach(() => service.end());

/** What the index of a service that is stopped says. */
function dumpOf(folder: string): string[] {
  const index = new CatalogIndex(join(folder, 'index.db'));
  try {
    return [...index.dump()];
  } finally {
    index.close();
  }
}

const kinds = (index: CatalogIndex) => index.events().events.map(({ fact }) => fact.kind);

/** The index of a service that is stopped, for one look. */
function look<T>(folder: string, work: (index: CatalogIndex) => T): T {
  const index = new CatalogIndex(join(folder, 'index.db'));
  try {
    return work(index);
  } finally {
    index.close();
  }
}

describe('a service that is killed', () => {
  it('between the bucket and the index knows at its next start what the bucket has', async () => {
    service.faults.decide = ({ verb, key }) =>
      verb === 'putStream' && key.startsWith('journal/') ? { when: 'after', error: gone() } : undefined;
    const body = policy('nightly');
    const asking = { body, token: service.token('operator') };
    assert.equal((await service.refusal('PUT', '/v1/policies/nightly', asking)).code, 'test.gone');
    service.faults.heal();
    await service.restart();
    const { text } = await service.call('GET', '/v1/policies');
    assert.deepEqual(JSON.parse(text), { policies: [body] });
  });

  it('before the bucket took it knows of nothing', async () => {
    service.faults.decide = ({ key }) =>
      key.startsWith('journal/') ? { when: 'before', error: gone() } : undefined;
    const asking = { body: policy('nightly'), token: service.token('operator') };
    const refusal = await service.refusal('PUT', '/v1/policies/nightly', asking);
    assert.equal(refusal.code, 'test.gone');
    service.faults.heal();
    await service.restart();
    assert.deepEqual(JSON.parse((await service.call('GET', '/v1/policies')).text), { policies: [] });
  });

  it('writes what a command said of tokens while it was down', async () => {
    await service.stop();
    const state = openState(service.folder);
    new Tokens(state, service.clock, 'root (zkeep-server)').add('mds9', 'agent');
    state.close();
    await service.start();
    await service.running.journal.flush();
    await service.stop();
    const said = look(service.folder, (index) => index.events({ kinds: 'token.added' }).events);
    const entry = said.find(({ fact }) => fact.kind === 'token.added' && fact.name === 'mds9');
    assert.equal(entry?.by, 'root (zkeep-server)');
  });

  it('starts with an object in its journal that nobody can read', async () => {
    await service.stop();
    const store = new DirectoryStore(service.objects);
    const sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' as never;
    await store.put('journal/0199c3a5-6f00-7000-8000-000000000000.json', Buffer.alloc(0), { sha256 });
    await service.start();
    assert.equal((await service.call('GET', '/v1/health')).status, 200);
    assert.equal((await service.keys('journal/0199c3a5')).length, 1);
  });
});

describe('two services on one bucket', () => {
  let other: RunningService;
  let folder: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'zkeep-other-'));
    await service.backUp(openRequest({ to: 1n }));
    other = await startOther();
  });
  afterEach(async () => {
    await other.close();
    rmSync(folder, { recursive: true });
  });

  async function startOther(): Promise<RunningService> {
    const configuration = parseConfiguration('listen = "127.0.0.1:0"\n', 'server.toml', { data: folder });
    const store = new DirectoryStore(service.objects);
    const built = await buildService({
      configuration,
      clock: service.clock,
      logger: pino({ level: 'silent' }),
      store,
    });
    await built.listen();
    return built;
  }

  it('follow each other: what one says holds at both, and their indexes are the same', async () => {
    const { journal } = service.running;
    await journal.record('olga', { kind: 'policy.set', policy: policy('nightly', 1) });
    await other.journal.follow();
    await other.journal.record('omar', { kind: 'policy.set', policy: policy('nightly', 2) });
    await journal.follow();
    await journal.record('olga', { kind: 'policy.set', policy: policy('weekly') });
    await other.journal.flush();
    await journal.flush();
    await other.journal.follow();
    await journal.follow();
    await Promise.all([service.stop(), other.close()]);
    // What was written while the last one stopped comes with the next start.
    await service.start();
    await service.stop();
    other = await startOther();
    await other.close();
    assert.deepEqual(
      look(folder, (index) => index.policies().map(({ name, keep }) => [name, keep.last])),
      [
        ['nightly', 2],
        ['weekly', 7],
      ],
    );
    assert.deepEqual(look(folder, kinds), look(service.folder, kinds));
    assert.deepEqual(dumpOf(folder), dumpOf(service.folder));
  });

  it('drop both what one has removed', async () => {
    const summary = await service.backUp(openRequest({ to: 2n, dataset: 'pool/short' }));
    await other.close();
    other = await startOther();
    await new DirectoryStore(service.objects).delete(manifestKey(summary.to, summary.backup));
    const { backup, from, to, host, dataset, name, stored } = summary;
    const row = { backup, from, to, host, dataset, name, stored };
    await service.running.journal.record(null, { kind: 'backups.removed', backups: [row] });
    await other.journal.follow();
    await other.close();
    assert.equal(
      look(folder, (index) => index.backup(backup)),
      undefined,
    );
    other = await startOther();
  });
});
