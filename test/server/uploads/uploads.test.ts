/** The service loses its own database: what agents have begun is found again in the bucket. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { AttributesAnswerSchema, OpenBackupsAnswerSchema } from '../../../catalog/protocol/pages.ts';
import { OpenBackupSchema } from '../../../catalog/protocol/protocol.ts';
import { parseUploadNote, type UploadNote } from '../../../catalog/protocol/upload-note.ts';
import { verifyRepository } from '../../../catalog/repository/verify.ts';
import { type BackupId, parseDigest } from '../../../catalog/words.ts';
import { gone } from '../fixture/faulty-store.ts';
import { TestService } from '../fixture/running-service.ts';
import {
  bodyOf,
  commitRequest,
  lastPart,
  openRequest,
  PART_SIZE,
  part,
  partsOf,
  SECOND_WRITER,
  someAttributes,
  someBackup,
} from '../fixture/samples.ts';

const REQUEST = openRequest({ to: 1n });

describe('a service that has lost its own database', () => {
  let service: TestService;
  let backup: BackupId;
  beforeEach(async () => {
    service = await new TestService().start();
    backup = await service.open(REQUEST);
  });
  afterEach(() => service.end());

  const open = async () => (await service.ask(OpenBackupsAnswerSchema, 'GET', '/v1/backups/open')).open;
  const notes = async (of = backup): Promise<UploadNote[]> => {
    const { store } = await service.repository();
    const keys = await service.keys(`uploads/${of}/`);
    const texts = await Promise.all(keys.map((key) => store.get(key, { maxBytes: 100_000 })));
    return texts.map((text) => parseUploadNote(JSON.parse(text.toString())));
  };
  /** Waits until so many contents of parts are written down. */
  const areNoted = async (count: number, of = backup) => {
    const noted = async () =>
      new Set((await notes(of)).flatMap(({ parts }) => parts.map(({ segment }) => segment.sha256))).size;
    for (let left = 200; left > 0 && (await noted()) < count; left--) await setTimeout(10);
    assert.equal(await noted(), count);
  };
  const write = async (key: string, text: string) => {
    const { store } = await service.repository();
    await store.put(key, Buffer.from(text), { sha256: parseDigest(hash('sha256', text)) });
  };

  it('finds the open backups in the bucket, and they are gone on with where they stood', async () => {
    const { digest } = await service.ask(AttributesAnswerSchema, 'PUT', `/v1/backups/${backup}/attributes`, {
      body: someAttributes('pool/mdt0'),
    });
    await service.sendParts(backup, [part(0), part(1)]);
    await service.grant(backup, [part(2)]);
    const [before] = await open();
    await areNoted(3);
    await service.loseState();
    const [found] = await open();
    assert.deepEqual(found, { ...before, heard: found?.heard });
    const offer = await service.resume(backup);
    assert.deepEqual([offer.segments, offer.bytes, offer.attributes], [2, 2 * PART_SIZE, digest]);
    assert.deepEqual([offer.request, offer.after, offer.point], [REQUEST, part(1).after, part(1).point]);
    await service.sendParts(backup, [lastPart(2)]);
    await service.commit(backup, REQUEST, 3);
    assert.equal(await service.verifies(), 1);
    await service.comesToHave('uploads/', 0);
  });

  it('loses it again: what was found is written down anew, under the name of the new one', async () => {
    await service.sendParts(backup, [part(0)]);
    await areNoted(1);
    const [first] = await notes();
    service.clock.pass(1000);
    await service.loseState();
    for (let left = 200; left > 0 && (await notes()).length < 2; left--) await setTimeout(10);
    const [, second] = await notes();
    assert.notEqual(second?.service, first?.service);
    assert.deepEqual(second?.parts, first?.parts);
    await service.loseState();
    assert.equal((await service.resume(backup)).segments, 1);
  });

  it('finds of several contents of a part the one that is stored', async () => {
    await service.grant(backup, [part(0)]);
    await service.grant(backup, [part(0, 'anew')]);
    const { store } = await service.repository();
    await store.put(`segments/${backup}/00000000.zst`, bodyOf(0), { sha256: part(0).segment.sha256 });
    await areNoted(2);
    await service.loseState();
    assert.equal((await service.resume(backup)).segments, 1);
    await service.sendParts(backup, [lastPart(1)]);
    await service.commit(backup, REQUEST, 2);
    assert.equal(await service.verifies(), 1);
  });

  /** Part 0 is stored and written down, part 1 stored only: what it holds, nobody knows after the loss. */
  const loseWithAnUnknownPart = async () => {
    await service.sendParts(backup, [part(0)]);
    await areNoted(1);
    service.faults.decide = ({ key }) =>
      key.startsWith('uploads/') ? { when: 'before', error: gone() } : undefined;
    await service.sendParts(backup, [part(1)]);
    await service.stop();
    service.faults.heal();
    await service.loseState();
    assert.equal((await service.resume(backup)).segments, 1);
  };
  /** As a store would that takes a request which the lost database has signed. */
  const storeLate = async () => {
    const { store } = await service.repository();
    await store.put(`segments/${backup}/00000001.zst`, bodyOf(1), { sha256: part(1).segment.sha256 });
  };

  it('removes what it knows nothing of, so that it is sent again, as the manifest will tell it', async () => {
    await loseWithAnUnknownPart();
    assert.deepEqual(await service.keys('segments/'), [`segments/${backup}/00000000.zst`]);
    await service.sendParts(backup, [part(1, 'anew')], 'anew');
    await service.sendParts(backup, [lastPart(2)]);
    await service.commit(backup, REQUEST, 3);
    const { problems } = await verifyRepository(await service.repository(), { deep: false });
    assert.deepEqual(problems, []);
    const { store } = await service.repository();
    const stored = await store.get(`segments/${backup}/00000001.zst`, { maxBytes: 1000 });
    assert.equal(hash('sha256', stored), part(1, 'anew').segment.sha256);
  });

  it('takes a late write of which it knows nothing for nothing else, though it has the size of ours', async () => {
    await loseWithAnUnknownPart();
    await service.grant(backup, [part(1, 'anew')]);
    await storeLate();
    const body = { parts: [part(1, 'anew')] };
    assert.equal(
      (await service.refusal('POST', `/v1/backups/${backup}/grants`, { body })).code,
      'grant.stored',
    );
    await service.sendParts(backup, [lastPart(2)]);
    const refusal = await service.refusal('POST', `/v1/backups/${backup}/commit`, {
      body: commitRequest(REQUEST, 3),
    });
    assert.equal(refusal.code, 'commit.content');
    assert.equal((await service.resume(backup)).segments, 1);
  });

  it('need not read what is granted once no write can be late any more', async () => {
    await loseWithAnUnknownPart();
    service.clock.pass(24 * 60 * 60 * 1000);
    await service.resume(backup);
    await service.sendParts(backup, [part(1, 'anew')], 'anew');
    await service.sendParts(backup, [lastPart(2)]);
    service.faults.decide = ({ verb, key }) =>
      verb === 'get' && key.startsWith('segments/') ? { when: 'before', error: gone() } : undefined;
    await service.commit(backup, REQUEST, 3);
  });

  it('finds every content of a part that was granted with several: they are written down before', async () => {
    await service.grant(backup, [part(0)]);
    await areNoted(1);
    await service.grant(backup, [part(0, 'anew')]);
    const noted = (await notes()).flatMap(({ parts }) => parts);
    assert.ok(noted.some(({ segment }) => segment.sha256 === part(0, 'anew').segment.sha256));
    service.faults.decide = ({ key }) =>
      key.startsWith('uploads/') ? { when: 'before', error: gone() } : undefined;
    const body = { parts: [part(0, 'once more')] };
    assert.equal((await service.refusal('POST', `/v1/backups/${backup}/grants`, { body })).status, 503);
  });

  it('takes what is committed for what it is, not for open, and removes its notes', async () => {
    await service.send(backup, 2);
    await areNoted(2);
    service.faults.decide = ({ verb, key }) =>
      verb === 'delete' && key.startsWith('uploads/') ? { when: 'before', error: gone() } : undefined;
    await service.commit(backup, REQUEST, 2);
    await service.stop();
    service.faults.heal();
    await service.loseState();
    assert.deepEqual(await open(), []);
    await service.comesToHave('uploads/', 0);
    assert.equal(await service.verifies(), 1);
  });

  it('keeps to the newest of two backups of a dataset: the other one was replaced', async () => {
    await service.sendParts(backup, [part(0)]);
    await areNoted(1);
    const [old] = await notes();
    const second = await service.open(openRequest({ to: 2n, takeover: backup }));
    await service.sendParts(second, [part(0)]);
    await areNoted(1, second);
    await service.comesToHave(`uploads/${backup}/`, 0);
    const first = someBackup(1);
    await write(`uploads/${first}/${first}.json`, JSON.stringify({ ...old, backup: first }));
    await service.loseState();
    assert.deepEqual(
      (await open()).map((row) => row.backup),
      [second],
    );
  });

  it('removes what was left of a backup that it replaced itself, and what a late write brings', async () => {
    await service.sendParts(backup, [part(0)]);
    await areNoted(1);
    service.faults.decide = ({ verb }) => (verb === 'delete' ? { when: 'before', error: gone() } : undefined);
    // The clock was set back since.
    service.clock.pass(-3_600_000);
    const second = await service.open(openRequest({ to: 2n, takeover: backup }));
    assert.ok(second > backup);
    await service.sendParts(second, [part(0)]);
    await areNoted(1, second);
    await service.stop();
    service.faults.heal();
    await service.loseState();
    await service.comesToHave(`segments/${backup}/`, 0);
    await service.comesToHave(`uploads/${backup}/`, 0);
    await service.comesToHave(`segments/${second}/`, 1);
  });

  it('leaves what another service wrote down: that one may go on with it', async () => {
    await service.sendParts(backup, [part(0)]);
    await areNoted(1);
    const [note] = await notes();
    const older = someBackup(1);
    await write(
      `uploads/${older}/${older}.json`,
      JSON.stringify({ ...note, backup: older, service: 'another' }),
    );
    await write(`segments/${older}/00000000.zst`, 'what the other one goes on with');
    await service.loseState();
    await service.comesToHave(`segments/${older}/`, 1);
    await service.comesToHave(`uploads/${older}/`, 1);
  });

  it('starts when a note is damaged, or of a newer zkeep, and uses the others', async () => {
    await service.sendParts(backup, [part(0)]);
    await areNoted(1);
    await write(`uploads/${backup}/${someBackup(1)}.json`, '{"format": 1, "bac');
    await write(`uploads/${backup}/${someBackup(2)}.json`, '{"format": 2}');
    await service.loseState();
    assert.equal((await service.resume(backup)).segments, 1);
  });

  it('does not start while the store does not tell, and finds all when it does', async () => {
    await service.sendParts(backup, [part(0)]);
    await areNoted(1);
    service.faults.decide = ({ verb, key }) =>
      verb === 'get' && key.startsWith('uploads/') ? { when: 'before', error: gone() } : undefined;
    await assert.rejects(service.loseState(), { kind: 'unavailable' });
    service.faults.heal();
    await service.start();
    assert.equal((await service.resume(backup)).segments, 1);
  });
});

describe('the notes on an open backup', () => {
  let service: TestService;
  let backup: BackupId;
  beforeEach(async () => {
    service = await new TestService().start();
    backup = await service.open(REQUEST);
  });
  afterEach(() => service.end());

  const noteThere = async () => {
    for (let left = 200; left > 0; left--) {
      const [key] = await service.keys('uploads/');
      if (key) return key;
      await setTimeout(10);
    }
    return assert.fail('there is no note');
  };

  it('hold no secret: neither the session nor the token', async () => {
    const { session } = await service.ask(OpenBackupSchema, 'POST', '/v1/backups', { body: REQUEST });
    await service.sendParts(await service.open(REQUEST), [part(0)]);
    const { store } = await service.repository();
    const text = (await store.get(await noteThere(), { maxBytes: 100_000 })).toString();
    assert.ok(!text.includes(session) && !text.includes(service.token('agent')));
    assert.match(text, /"token":"agent"/);
  });

  it('are removed when it is abandoned', async () => {
    await service.sendParts(backup, [part(0)]);
    await noteThere();
    await service.call('DELETE', `/v1/backups/${backup}`);
    await service.comesToHave('uploads/', 0);
  });

  it('are tried again after a store that had no answer, and the backup does not wait for them', async () => {
    service.faults.decide = ({ key }) =>
      key.startsWith('uploads/') ? { when: 'before', error: gone() } : undefined;
    await service.sendParts(backup, partsOf(2));
    service.faults.heal();
    await service.restart();
    await noteThere();
    await service.commit(backup, REQUEST, 2);
    await service.comesToHave('uploads/', 0);
  });

  it('that a killed service left behind are removed by its next start, those of another service are not', async () => {
    await service.sendParts(backup, [part(0)]);
    const { store } = await service.repository();
    const mine: UploadNote = parseUploadNote(
      JSON.parse((await store.get(await noteThere(), { maxBytes: 100_000 })).toString()),
    );
    const [left, theirs] = [someBackup(1), someBackup(2)];
    for (const [of, service] of [
      [left, mine.service],
      [theirs, 'another'],
    ] as const) {
      const text = JSON.stringify({ ...mine, backup: of, service });
      const sha256 = parseDigest(hash('sha256', text));
      await store.put(`uploads/${of}/${of}.json`, Buffer.from(text), { sha256 });
    }
    await service.restart();
    await service.comesToHave(`uploads/${left}/`, 0);
    await service.comesToHave(`uploads/${theirs}/`, 1);
    assert.equal((await service.resume(backup, { writer: SECOND_WRITER })).segments, 1);
  });
});
