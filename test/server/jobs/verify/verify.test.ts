import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { pino } from 'pino';
import { ZkeepError } from '../../../../catalog/errors.ts';
import { CatalogIndex } from '../../../../catalog/index/catalog-index.ts';
import type { Fact } from '../../../../catalog/journal/entry.ts';
import type { Manifest } from '../../../../catalog/repository/manifest.ts';
import { manifestKey, segmentKey } from '../../../../catalog/repository/names.ts';
import { createRepository, type Repository } from '../../../../catalog/repository/repository.ts';
import { type BackupId, newUuid7 } from '../../../../catalog/words.ts';
import { InUse } from '../../../../server/jobs/in-use.ts';
import { VerifyLedger } from '../../../../server/jobs/verify/ledger.ts';
import { verifyJob } from '../../../../server/jobs/verify/verify.ts';
import { openState, type State } from '../../../../server/state/state.ts';
import { keepStream } from '../../../catalog/repository/kept.ts';
import { Faults, FaultyStore, gone } from '../../fixture/faulty-store.ts';
import { ManualClock } from '../../fixture/manual-clock.ts';

const HOUR = 3600_000;
const DAY = 24 * HOUR;
const MIB = 1024 * 1024;
const SETTINGS = {
  schedule: 'every hour',
  light: 7 * DAY,
  deep: 90 * DAY,
  bytesPerDay: 1000 * MIB,
  secondDecoder: 0.01,
  identityFile: undefined,
};

describe('the verify job', () => {
  let folder: string;
  let state: State;
  let index: CatalogIndex;
  let clock: ManualClock;
  let faults: Faults;
  let repository: Repository;
  let inUse: InUse;
  let facts: Fact[];
  let told: string[];
  let settings: Parameters<typeof verifyJob>[0]['settings'];
  beforeEach(async () => await open([]));
  afterEach(() => {
    index.close();
    state.close();
    rmSync(folder, { recursive: true });
  });

  async function open(recipients: string[]) {
    folder = mkdtempSync(join(tmpdir(), 'zkeep-verify-job-'));
    mkdirSync(join(folder, 'repository'));
    state = openState(folder);
    index = new CatalogIndex(':memory:');
    clock = new ManualClock();
    faults = new Faults();
    inUse = new InUse();
    facts = [];
    told = [];
    settings = SETTINGS;
    repository = await createRepository(new FaultyStore(join(folder, 'repository'), faults), { recipients });
  }

  const record = async (by: string | null, ...some: Fact[]) => {
    for (const fact of some) {
      clock.pass(1);
      facts.push(fact);
      index.apply([{ id: newUuid7(clock.now()), at: new Date(clock.now()).toISOString(), by, fact }]);
    }
  };

  async function run(signal = new AbortController().signal): Promise<string | null> {
    facts = [];
    const job = verifyJob({
      repository,
      index,
      journal: { record, follow: async () => undefined },
      ledger: new VerifyLedger(state),
      inUse,
      clock,
      log: pino({ level: 'silent' }),
      settings,
      zone: 'UTC',
    });
    const words = await job.run({ signal, tell: (text) => told.push(text) });
    assert.deepEqual(inUse.all(), [], 'nothing is held afterwards');
    return words;
  }

  async function keep(to: number, from: number | null = null, blocks = 1): Promise<Manifest> {
    const bytes = Array.from({ length: blocks }, () => randomBytes(128 * 1024));
    const made = { toGuid: BigInt(to), ...(from === null ? {} : { fromGuid: BigInt(from) }), blocks: bytes };
    const { manifest } = await keepStream(repository, made);
    index.add(manifest);
    return manifest;
  }

  const encrypted = () => repository.marker.recipients.length > 0;
  const fileOf = ({ backup }: Manifest, number = 0) =>
    join(folder, 'repository', segmentKey(backup, number, encrypted()));
  const damaged = () => index.damage().map(({ backup }) => backup);
  const flip = (file: string) => {
    const bytes = readFileSync(file);
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    writeFileSync(file, bytes);
  };
  const proven = () =>
    facts
      .flatMap((fact) => (fact.kind === 'proven' ? fact.proofs : []))
      .map(({ backup, depth }) => [backup, depth]);

  it('proves every backup lightly, then deeply, and is done until the proofs are old', async () => {
    const { backup: one } = await keep(1);
    const { backup: two } = await keep(2, 1);
    const words = await run();
    assert.match(words ?? '', /^2 light proofs \(by size\); 2 deep proofs \(1 MiB read, \d frames? by/);
    assert.deepEqual(proven(), [
      [one, 'light'],
      [two, 'light'],
      [one, 'deep'],
      [two, 'deep'],
    ]);
    assert.equal(facts.length, 2, 'proofs are written down together');
    assert.equal(await run(), null);
    clock.pass(8 * DAY);
    assert.match((await run()) ?? '', /^2 light proofs \(by size\)$/);
    clock.pass(90 * DAY);
    assert.match((await run()) ?? '', /2 light proofs .*; 2 deep proofs/);
  });

  it('does not wait a year because a clock was a year ahead when a backup was proven', async () => {
    const { backup } = await keep(1);
    await keep(2, 1);
    await run();
    const at = new Date(clock.now() + 365 * DAY).toISOString();
    const proofs = [{ backup, depth: 'deep' as const, bytes: 1, frames: 0 }];
    index.apply([{ id: newUuid7(clock.now() + 1), at, by: null, fact: { kind: 'proven', proofs } }]);
    clock.pass(DAY);
    assert.match((await run()) ?? '', /^1 light proof .*; 1 deep proof /);
    assert.equal(await run(), null);
  });

  it('says how far it is', async () => {
    await keep(1);
    await run();
    assert.match(told[0] ?? '', /^light: h:made\/stream@one \(/);
    assert.match(told.at(-1) ?? '', /^deep: h:made\/stream@one \(.*\), segment 1 of 1; so far 1 light proof/);
  });

  it('holds a backup against removal while it reads it', async () => {
    const { backup } = await keep(1);
    const held: boolean[] = [];
    const job = run(); // until its first wait
    held.push(inUse.has(backup));
    await job;
    assert.deepEqual(held, [true]);
  });

  it('records damage with the object that has it, once, and looks at the others all the same', async () => {
    const one = await keep(1);
    const two = await keep(2);
    flip(fileOf(one));
    const words = await run();
    assert.match(words ?? '', new RegExp(`damaged: h:made/stream@one \\(${one.backup}\\)`));
    assert.deepEqual(damaged(), [one.backup]);
    const [damage] = index.damage();
    assert.deepEqual(
      [damage?.depth, damage?.count, damage?.problems[0]?.key, damage?.by],
      ['deep', 1, segmentKey(one.backup, 0, false), null],
    );
    assert.ok(proven().some(([backup, depth]) => backup === two.backup && depth === 'deep'));
    assert.equal(await run(), null, 'it is not read again, nor said again');
    assert.deepEqual(facts, []);
  });

  it('records what a light look finds at once, and does not read on', async () => {
    const one = await keep(1);
    rmSync(fileOf(one));
    assert.match((await run()) ?? '', /^damaged: h:made\/stream@one \([0-9a-f-]+\)$/);
    assert.deepEqual(
      index.damage().map(({ depth, problems }) => [depth, problems[0]?.code]),
      [['light', 'verify.gone']],
    );
    await run();
    assert.deepEqual(facts, [], 'what is known is not said again');
  });

  it('finds a manifest that cannot be read, and one that is gone', async () => {
    const one = await keep(1);
    const two = await keep(2);
    const file = ({ backup, to }: Manifest) => join(folder, 'repository', manifestKey(to.guid, backup));
    writeFileSync(file(one), '{}');
    rmSync(file(two));
    await run();
    assert.deepEqual(damaged().sort(), [one.backup, two.backup].sort());
  });

  it('calls nothing damaged when the store is away, and goes on when it is back', async () => {
    const { backup } = await keep(1);
    faults.decide = ({ verb }) => (verb === 'list' ? { when: 'before', error: gone() } : undefined);
    await assert.rejects(run(), { kind: 'unavailable' });
    assert.deepEqual([facts, damaged()], [[], []]);
    faults.heal();
    await run();
    assert.deepEqual(proven().at(-1), [backup, 'deep']);
  });

  it('calls nothing damaged when the whole repository is not there: a file system is not mounted', async () => {
    await keep(1);
    const place = join(folder, 'repository');
    renameSync(place, `${place}.mounted`);
    mkdirSync(place);
    await assert.rejects(run(), { code: 'verify.store-gone' });
    assert.deepEqual([facts, damaged()], [[], []]);
    rmSync(place, { recursive: true });
    renameSync(`${place}.mounted`, place);
    assert.match((await run()) ?? '', /1 light proof/);
  });

  it('clears a light damage in the next run after the object was put back', async () => {
    const one = await keep(1);
    renameSync(fileOf(one), `${folder}/aside`);
    await run();
    assert.deepEqual(damaged(), [one.backup]);
    renameSync(`${folder}/aside`, fileOf(one));
    assert.match((await run()) ?? '', new RegExp(`whole again: ${one.backup}`));
    assert.deepEqual(damaged(), []);
  });

  it('clears a deep one by a deep proof, a day later, and not while the object is still wrong', async () => {
    const one = await keep(1);
    flip(fileOf(one));
    await run();
    clock.pass(DAY + 1);
    assert.match((await run()) ?? '', /0 deep proofs \(1 MiB read/);
    assert.deepEqual(damaged(), [one.backup]);
    flip(fileOf(one));
    assert.equal(await run(), null, 'not twice in a day');
    clock.pass(DAY + 1);
    assert.match((await run()) ?? '', new RegExp(`whole again: ${one.backup}`));
    assert.deepEqual(damaged(), []);
  });

  it('stops when the budget of the day is used up, in a restarted service, too, and goes on the next day', async () => {
    const one = await keep(1, null, 4);
    await keep(2, null, 4);
    settings = { ...SETTINGS, bytesPerDay: 1000 };
    assert.match((await run()) ?? '', /1 deep proof .*the day's budget is used up/);
    assert.deepEqual(proven().at(-1), [one.backup, 'deep']);
    state.close();
    state = openState(folder);
    await run();
    assert.deepEqual(proven(), []);
    clock.pass(DAY);
    await run();
    assert.equal(proven().length, 1);
  });

  it('goes on in the middle of a backup that was cut off', async () => {
    const { backup } = await keep(1, null, 320);
    await keep(2);
    new VerifyLedger(state).keep(backup, { segments: 2, frames: 0, chance: 0 });
    const read: string[] = [];
    faults.decide = ({ verb, key }) => {
      if (verb === 'get') read.push(key);
      return undefined;
    };
    await run();
    assert.deepEqual(
      read.filter((key) => key.startsWith(`segments/${backup}`)),
      [segmentKey(backup, 2, false)],
    );
    assert.deepEqual(new VerifyLedger(state).begun(), []);
    assert.ok(proven().some(([id, depth]) => id === backup && depth === 'deep'));
  });

  it('ends at once when it is told to, and writes down what it has proven until then', async () => {
    const { backup } = await keep(1);
    await keep(2);
    const stop = new AbortController();
    faults.decide = ({ verb, key }) => {
      const isNext = verb === 'get' && key.startsWith('segments/') && !key.includes(backup);
      if (isNext) stop.abort(new Error('the service stops'));
      return undefined;
    };
    await assert.rejects(run(stop.signal), /the service stops/);
    assert.ok(proven().some(([id, depth]) => id === backup && depth === 'deep'));
    assert.deepEqual(damaged(), []);
  });

  it('comes to the same when the store goes away after any of its calls', async () => {
    const { backup: whole } = await keep(1);
    const broken = await keep(2);
    flip(fileOf(broken));
    for (let calls = 0; ; calls++) {
      faults.calls = 0;
      faults.dieAfter(calls);
      const away = await run().then(
        () => false,
        (thrown: unknown) => thrown instanceof ZkeepError && thrown.kind === 'unavailable',
      );
      assert.ok(
        damaged().every((backup) => backup === broken.backup),
        'nothing else is called damaged',
      );
      if (!away) break;
      assert.ok(calls < 100, 'it comes to an end');
    }
    assert.deepEqual(damaged(), [broken.backup]);
    assert.notEqual(index.proofOf(whole).deep, null);
    assert.equal(index.proofOf(broken.backup).deep, null);
  });

  it('reports what cannot be read for want of rights, and goes on with the others', async () => {
    const one = await keep(1);
    const two = await keep(2);
    const error = new ZkeepError('denied', 'store.denied', 'no right');
    faults.decide = ({ verb, key }) =>
      verb === 'get' && key === segmentKey(one.backup, 0, false) ? { when: 'before', error } : undefined;
    await assert.rejects(run(), { code: 'verify.unread', message: /could not be read: .*no right/ });
    assert.deepEqual(damaged(), []);
    assert.ok(proven().some(([id, depth]) => id === two.backup && depth === 'deep'));
  });

  it('writes proofs down before it reads on for long', async () => {
    const { backup } = await keep(1);
    const { backup: next } = await keep(2);
    settings = { ...SETTINGS, light: 1000 * DAY };
    await record(null, { kind: 'proven', proofs: [proofOf(backup), proofOf(next)] });
    const written: unknown[] = [];
    faults.decide = ({ verb, key }) => {
      clock.pass(40_000);
      if (verb === 'get' && key.startsWith(`segments/${next}`)) written.push(...proven());
      return undefined;
    };
    await run();
    assert.deepEqual(written, [[backup, 'deep']]);
  });
  const proofOf = (backup: BackupId) => ({ backup, depth: 'light' as const, bytes: 0, frames: 0 });

  const found = (backup: BackupId): Fact => {
    const problems = [{ code: 'segment.digest', key: segmentKey(backup, 0, false), message: 'm' }];
    return { kind: 'damaged', damage: { backup, depth: 'deep', problems, count: 1 } };
  };

  it('does not refute what an operator finds while it looks', async () => {
    const { backup } = await keep(1);
    let reported = false;
    faults.decide = ({ verb, key }) => {
      if (verb === 'get' && key.startsWith('segments/') && !reported) {
        reported = true;
        void record('alice', found(backup));
      }
      return undefined;
    };
    await run();
    assert.deepEqual(damaged(), [backup]);
  });

  it('reads a damaged backup from its beginning, wherever it stood before the damage was found', async () => {
    const { backup } = await keep(1, null, 320);
    new VerifyLedger(state).keep(backup, { segments: 2, frames: 0, chance: 0 });
    await record('alice', found(backup));
    clock.pass(DAY + 1);
    const read = new Set<string>();
    faults.decide = ({ verb, key }) => {
      if (verb === 'get' && key.startsWith(`segments/${backup}`)) read.add(key);
      return undefined;
    };
    assert.match((await run()) ?? '', /whole again/);
    assert.equal(read.size, 3);
    assert.deepEqual(damaged(), []);
  });

  it('forgets where it stood in a backup that somebody else has proven since', async () => {
    const { backup } = await keep(1);
    const proofs = [{ backup, depth: 'deep' as const, bytes: 1, frames: 0 }];
    await record('alice', { kind: 'proven', proofs });
    new VerifyLedger(state).keep(backup, { segments: 1, frames: 0, chance: 0 });
    assert.equal(await run(), null);
    assert.deepEqual(new VerifyLedger(state).begun(), []);
  });

  it('forgets where it stood in a backup that is gone', async () => {
    const removed = '019a0000-0000-7000-8000-000000000000' as BackupId;
    new VerifyLedger(state).keep(removed, { segments: 2, frames: 0, chance: 0 });
    await run();
    assert.deepEqual(new VerifyLedger(state).begun(), []);
  });

  it('proves an encrypted repository lightly, and deeply with an identity', async () => {
    index.close();
    state.close();
    rmSync(folder, { recursive: true });
    const identity = await generateIdentity();
    await open([await identityToRecipient(identity)]);
    const one = await keep(1);
    assert.match((await run()) ?? '', /^1 light proof \(by size\)$/);
    const file = join(folder, 'identity');
    writeFileSync(file, 'nothing');
    settings = { ...SETTINGS, identityFile: file };
    await assert.rejects(run(), { code: 'verify.identity' });
    writeFileSync(file, `# a comment\n${identity}\n`);
    assert.match((await run()) ?? '', /1 deep proof/);
    writeFileSync(file, `${await generateIdentity()}\n`);
    clock.pass(91 * DAY);
    await assert.rejects(run(), { code: 'verify.unread' });
    assert.deepEqual(damaged(), []);
    assert.ok(index.proofOf(one.backup).light);
  });
});
