/** What an older service left in `service.db`: nothing of it is lost, and nothing is taken for what it may not be. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import Database from 'better-sqlite3';
import type { BackupId } from '../../../catalog/words.ts';
import { TestService } from '../fixture/running-service.ts';
import { commitRequest, openRequest } from '../fixture/samples.ts';

const REQUEST = openRequest({ to: 1n });
const OF_VERSION_2 = new Set(['kept', 'token', 'open_backup', 'part', 'abandoned', 'snapshot_set']);

describe('a service.db of version 2', () => {
  let service: TestService;
  let backup: BackupId;
  beforeEach(async () => {
    service = await new TestService().start();
    backup = await service.open(REQUEST);
    await service.send(backup, 2);
    await service.stop();
  });
  afterEach(() => service.end());

  /** Takes the database of this service back to what version 2 wrote. */
  function goBack(committing: string | null): void {
    const state = new Database(join(service.folder, 'service.db'));
    state.exec(`
      CREATE TABLE part (
        backup TEXT NOT NULL REFERENCES open_backup ON DELETE CASCADE,
        number INTEGER NOT NULL,
        segment TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        expires INTEGER NOT NULL,
        contested INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (backup, number)
      ) STRICT, WITHOUT ROWID;
      INSERT INTO part SELECT backup, number, segment, sha256, expires, 0 FROM candidate;
      DROP TABLE candidate;
      ALTER TABLE open_backup DROP COLUMN session;
      ALTER TABLE open_backup DROP COLUMN writer;
      ALTER TABLE open_backup DROP COLUMN attributes;
      ALTER TABLE open_backup DROP COLUMN noted_attributes;
      ALTER TABLE open_backup DROP COLUMN adopted;
      DELETE FROM kept WHERE name IN ('uploads', 'service');
      PRAGMA user_version = 2;`);
    // What later steps made.
    const tables = state.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck();
    for (const name of tables.all()) if (!OF_VERSION_2.has(name)) state.exec(`DROP TABLE ${name}`);
    state.prepare('UPDATE open_backup SET committing = ?').run(committing);
    state.close();
  }

  it('has its open backups ended: nobody knows how their streams stood behind what is stored', async () => {
    goBack(null);
    await service.start();
    const refusal = await service.refusal('POST', `/v1/backups/${backup}/alive`);
    assert.equal(refusal.code, 'backup.not-open');
    await service.comesToHave('segments/', 0);
    assert.notEqual(await service.open(REQUEST), backup);
  });

  it('with a commit that has begun has it finished', async () => {
    goBack(JSON.stringify({ request: commitRequest(REQUEST, 2), at: 1_800_000_000_000 }));
    await service.start();
    assert.equal(await service.verifies(), 1);
    const { segments } = await (await service.repository()).manifest(REQUEST.to.guid, backup);
    assert.equal(segments.length, 2);
  });
});
