/** What must hold of a service and its bucket, whatever happened: found out past the service, in its bucket and its index. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { isFor, type Policy } from '../../../catalog/chain/retention/policy.ts';
import { ZkeepError } from '../../../catalog/errors.ts';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { readJournal } from '../../../catalog/index/read-journal.ts';
import { refresh } from '../../../catalog/index/refresh.ts';
import type { Manifest } from '../../../catalog/repository/manifest.ts';
import { readSegmentKey, segmentKey } from '../../../catalog/repository/names.ts';
import { type BackupId, type Guid, parseDigest } from '../../../catalog/words.ts';
import type { Line } from './hosts.ts';
import type { MortalService } from './mortal-service.ts';
import { type Kept, lastPlaces, together } from './places.ts';
import { wantedOf } from './wanted.ts';

const HOUR = 3_600_000;
export const GRACE = 24 * HOUR;

export class Truth {
  readonly #service: MortalService;
  /** What was sent as each backup, and of which dataset. */
  readonly #sent = new Map<BackupId, { readonly stream: Buffer; readonly line: Line }>();
  /** Backups of whose commit the agent heard. */
  readonly #committed = new Set<BackupId>();
  /** Those that prune removed. */
  readonly #removed = new Set<BackupId>();
  /** Objects that are not as they were written, with what was in them. */
  readonly #damaged = new Map<string, Buffer>();
  readonly #manifests = new Map<BackupId, Manifest>();
  /** Decoded segments, by digest. */
  readonly #decoded = new Map<string, Buffer>();
  /** How often streams were compared, so that a test sees that it did something. */
  compared = 0;

  /** How many backups went. */
  get removed(): number {
    return this.#removed.size;
  }

  constructor(service: MortalService) {
    this.#service = service;
  }

  sent(backup: BackupId, stream: Buffer, line: Line): void {
    this.#sent.set(backup, { stream, line });
  }

  committed(backup: BackupId): void {
    this.#committed.add(backup);
  }

  /** All that must hold after each step. */
  async holds(): Promise<void> {
    // What was noted would be written at some moment between the looks.
    await this.#service.running.journal.flush();
    const kept = await this.#kept();
    const stored = new Set(await this.#service.keys('segments/'));
    for (const { manifest } of kept.values()) {
      for (const number of manifest.segments.keys()) {
        const key = segmentKey(manifest.backup, number, false);
        assert.ok(stored.has(key) || this.#damaged.has(key), `${key} of a manifest is not there`);
      }
    }
    for (const backup of this.#committed) {
      assert.ok(kept.has(backup) || this.#removed.has(backup), `${backup} was committed and is gone`);
    }
    await this.#withIndex(async (index) => {
      assert.deepEqual(
        [...index.dump()],
        await this.#rebuilt(),
        'what is rebuilt is the index that is there',
      );
      const damaged = new Set(index.damage().map(({ backup }) => backup));
      const needed = new Map<BackupId, Manifest>();
      for (const guid of guidsIn(index)) {
        for (const manifest of this.#isRestorable(index, guid, kept, damaged)) {
          needed.set(manifest.backup, manifest);
        }
      }
      // What all plans take is what was sent, each backup read once: so each of them restores byte for byte.
      for (const manifest of needed.values()) if (!this.#isSpoilt(manifest)) await this.#isWhole(manifest);
    });
  }

  /** What the bucket alone gives. */
  async #rebuilt(): Promise<string[]> {
    const index = new CatalogIndex(':memory:');
    try {
      const repository = await this.#service.repository();
      await readJournal(repository.store, index, { again: true });
      const { problems } = await refresh(repository, index);
      assert.deepEqual(problems, []);
      return [...index.dump()];
    } finally {
      index.close();
    }
  }

  /** That the plan for a snapshot leads there, and that it has one, or a reason not to; gives what the plan takes. */
  #isRestorable(
    index: CatalogIndex,
    guid: Guid,
    kept: ReadonlyMap<BackupId, Kept>,
    damaged: ReadonlySet<BackupId>,
  ): Manifest[] {
    const steps = planned(index, guid);
    if (!steps) {
      const whole = [...kept.values()].filter(({ manifest }) => !damaged.has(manifest.backup));
      assert.ok(!isReachable(whole, guid), `${guid} is restorable, and no plan says so`);
      assert.ok(damaged.size > 0, `${guid} is listed, and cannot be restored without any damage`);
      return [];
    }
    const taken: Manifest[] = [];
    let at: Guid | null = null;
    for (const { backup } of steps) {
      const { manifest } = kept.get(backup) ?? assert.fail(`${backup} of a plan has no manifest`);
      assert.equal(manifest.from?.guid ?? null, at, 'the steps of a plan go on in each other');
      at = manifest.to.guid;
      assert.ok(!damaged.has(backup), 'no plan takes what is known to be damaged');
      taken.push(manifest);
    }
    assert.equal(at, guid, 'a plan leads to what was wanted');
    return taken;
  }

  async #isWhole(manifest: Manifest): Promise<void> {
    const { backup } = manifest;
    const pieces: Buffer[] = [];
    for (const number of manifest.segments.keys()) {
      const key = segmentKey(backup, number, false);
      const body = await this.#service.plainStore().get(key, { maxBytes: 2 ** 26 });
      const digest = hash('sha256', body);
      const raw = this.#decoded.get(digest) ?? zstdDecompressSync(body);
      this.#decoded.set(digest, raw);
      pieces.push(raw);
    }
    const sent = this.#sent.get(backup)?.stream ?? assert.fail(`nobody sent ${backup}`);
    assert.ok(Buffer.concat(pieces).equals(sent), `${backup} is what was sent`);
    this.compared += 1;
  }

  #isSpoilt({ backup, segments }: Manifest): boolean {
    return [...segments.keys()].some((number) => this.#damaged.has(segmentKey(backup, number, false)));
  }

  /** A step that prunes removes only what was marked for as long as the grace, and nothing that is wanted. */
  async mayRemove(work: () => Promise<void>): Promise<void> {
    const before = await this.#kept();
    const { due, wanted } = await this.#withIndex(async (index) => ({
      due: this.#due(index),
      wanted: this.#wanted(index, before),
    }));
    await work();
    const after = await this.#kept();
    for (const backup of before.keys()) {
      if (after.has(backup)) continue;
      assert.ok(due.has(backup), `${backup} went before its grace was over`);
      this.#removed.add(backup);
    }
    await this.#withIndex(async (index) => {
      for (const [guid, why] of wanted) assert.ok(planned(index, guid), `${guid} is gone; ${why}`);
    });
  }

  #due(index: CatalogIndex): ReadonlySet<BackupId> {
    // While the job waits for a lease that runs out, some minutes pass.
    const latest = this.#service.clock.now() + HOUR - GRACE;
    return new Set(index.marks().flatMap(({ backup, at }) => (at <= latest ? backup : [])));
  }

  /** At least these may not go: what policies and pins keep of the datasets as they really went on. */
  #wanted(index: CatalogIndex, kept: ReadonlyMap<BackupId, Kept>): Map<Guid, string> {
    const now = this.#service.clock.now();
    const wanted = new Map<Guid, string>();
    for (const { guid } of index.pins(now + HOUR)) {
      if (planned(index, guid)) wanted.set(guid, 'it is pinned');
    }
    for (const [line, backups] of this.#lines(kept)) {
      const dated = backups.flatMap(({ manifest, created }) =>
        planned(index, manifest.to.guid) ? { guid: manifest.to.guid, created } : [],
      );
      // When nothing is left under an old name, the policies of that name hold no more: whatever is left then counts.
      const byPlaces = lastPlaces(backups)
        .map((left) => index.policies().filter((policy) => left.some((one) => isOf(policy, one))))
        .map((policies) => wantedOf(unique(dated), policies, now));
      for (const { guid } of dated) {
        if (byPlaces.every((guids) => guids.has(guid))) wanted.set(guid, `dataset ${line.id} keeps it`);
      }
    }
    return wanted;
  }

  #lines(kept: ReadonlyMap<BackupId, Kept>): Map<Line, Kept[]> {
    const lines = new Map<Line, Kept[]>();
    for (const [backup, one] of kept) {
      const { line } = this.#sent.get(backup) ?? assert.fail(`nobody sent ${backup}`);
      lines.set(line, [...(lines.get(line) ?? []), one]);
    }
    return lines;
  }

  /**
   * Whether the policies keep exactly what they say: what is listed is wanted, or a chain to what is wanted
   * passes it. To be asked when prune has removed all that may go.
   */
  async keepsExactly(): Promise<{ listed: number; wanted: number }> {
    const kept = await this.#kept();
    return await this.#withIndex(async (index) => {
      const wanted = new Set<Guid>();
      for (const backups of together([...kept.values()])) {
        const policies = index.policies().filter((policy) => backups.some((one) => isOf(policy, one)));
        const dated = unique(backups.map(({ manifest, created }) => ({ guid: manifest.to.guid, created })));
        const guids = wantedOf(dated, policies, this.#service.clock.now());
        for (const { guid } of dated) if (guids.has(guid)) wanted.add(guid);
      }
      const needed = new Set([...wanted].flatMap((guid) => planned(index, guid) ?? []).map(({ to }) => to));
      const listed = guidsIn(index);
      assert.deepEqual(listed.toSorted(), [...needed].sort());
      return { listed: listed.length, wanted: wanted.size };
    });
  }

  /** How many backups of one host hang on what was backed up on another one. */
  async countMoved(): Promise<number> {
    const kept = [...(await this.#kept()).values()].map(({ manifest }) => manifest);
    const hosts = new Map(kept.map(({ to, source }) => [to.guid, source.host]));
    return kept.filter(({ from, source }) => {
      const host = from && hosts.get(from.guid);
      return host && host !== source.host;
    }).length;
  }

  /** What lies under segments/ belongs to a backup. */
  async hasNoOrphans(): Promise<void> {
    const kept = await this.#kept();
    const { open } = (await this.#service.question('GET', '/v1/backups/open')) as {
      open: { backup: BackupId }[];
    };
    const known = new Set([...kept.keys(), ...open.map(({ backup }) => backup)]);
    const orphans = (await this.#service.keys('segments/')).filter((key) => {
      const { backup } = readSegmentKey(key) ?? assert.fail(key);
      return !known.has(backup);
    });
    assert.deepEqual(orphans, []);
  }

  /** Damage that the service knows. */
  async knownDamage(): Promise<BackupId[]> {
    return await this.#withIndex(async (index) => index.damage().map(({ backup }) => backup));
  }

  /** Backups of which objects are damaged. */
  async realDamage(): Promise<BackupId[]> {
    const kept = await this.#kept();
    return [...kept.values()]
      .flatMap(({ manifest }) => (this.#isSpoilt(manifest) ? manifest.backup : []))
      .sort();
  }

  /** Spoils an object of one of the backups: its bytes, or all of it. */
  async spoil(number: number, how: 'flip' | 'lose'): Promise<void> {
    const keys = (await this.#service.keys('segments/')).filter((key) => !this.#damaged.has(key));
    const key = keys[number % Math.max(1, keys.length)];
    if (key === undefined) return;
    const store = this.#service.plainStore();
    const body = await store.get(key, { maxBytes: 2 ** 26 });
    this.#damaged.set(key, body);
    await store.delete(key);
    if (how === 'lose') return;
    const spoilt = Buffer.from(body);
    const at = Math.floor(body.length / 2);
    spoilt[at] = (spoilt[at] ?? 0) ^ 1;
    await store.put(key, spoilt, { sha256: parseDigest(hash('sha256', spoilt)) });
  }

  /** Puts everything back as it was, as far as its backups are still there. */
  async mend(): Promise<void> {
    const kept = await this.#kept();
    const store = this.#service.plainStore();
    for (const [key, body] of this.#damaged) {
      const { backup } = readSegmentKey(key) ?? assert.fail(key);
      if (!kept.has(backup)) continue;
      await store.delete(key);
      await store.put(key, body, { sha256: parseDigest(hash('sha256', body)) });
    }
    this.#damaged.clear();
  }

  /** The whole index. */
  async dump(): Promise<string[]> {
    return await this.#withIndex(async (index) => [...index.dump()]);
  }

  async policies(): Promise<Policy[]> {
    return await this.#withIndex(async (index) => index.policies());
  }

  async listed(): Promise<Guid[]> {
    return await this.#withIndex(async (index) => guidsIn(index));
  }

  /** Of a dataset, the snapshots that a plan leads to. */
  async restorableOf(line: Line): Promise<Guid[]> {
    return await this.#withIndex(async (index) =>
      line.snapshots.map(({ guid }) => guid).filter((guid) => planned(index, guid)),
    );
  }

  /** What a restore of a snapshot leaves on the target. */
  async stepsTo(guid: Guid): Promise<Guid[]> {
    return await this.#withIndex(async (index) => (planned(index, guid) ?? []).map(({ to }) => to));
  }

  async #kept(): Promise<Map<BackupId, Kept>> {
    const repository = await this.#service.repository();
    const kept = new Map<BackupId, Kept>();
    for await (const { to, backup } of repository.manifests()) {
      // No manifest is ever changed.
      const manifest = this.#manifests.get(backup) ?? (await repository.manifest(to, backup));
      this.#manifests.set(backup, manifest);
      kept.set(backup, { manifest, created: manifest.stream.begin.created });
    }
    return kept;
  }

  async #withIndex<T>(work: (index: CatalogIndex) => Promise<T>): Promise<T> {
    const index = new CatalogIndex(join(this.#service.folder, 'index.db'));
    try {
      return await work(index);
    } finally {
      index.close();
    }
  }
}

function isOf(policy: Policy, { manifest }: Kept): boolean {
  return isFor(policy, manifest.source);
}

function unique<T extends { readonly guid: string }>(rows: readonly T[]): T[] {
  return [...new Map(rows.map((row) => [row.guid, row])).values()];
}

/** Snapshots that are listed, each once. */
function guidsIn(index: CatalogIndex): Guid[] {
  const guids: Guid[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const page = index.snapshots({ limit: 1000, ...(after ? { after } : {}) });
    guids.push(...page.snapshots.map(({ guid }) => guid));
    after = page.next;
  }
  return guids;
}

/** What a restore of a snapshot takes; `undefined`: no plan leads there. */
function planned(index: CatalogIndex, guid: Guid): readonly { backup: BackupId; to: Guid }[] | undefined {
  try {
    return index.plan({ wanted: { guids: [guid] }, have: [], rollback: false }).steps;
  } catch (thrown) {
    if (thrown instanceof ZkeepError && thrown.code.startsWith('chain.')) return undefined;
    throw thrown;
  }
}

/** Whether a chain leads from nothing to a snapshot: by walking, as the planner does not. */
function isReachable(kept: readonly Kept[], guid: Guid): boolean {
  const reached = new Set<Guid | null>([null]);
  for (let before = 0; before < reached.size; ) {
    before = reached.size;
    for (const { manifest } of kept) {
      if (reached.has(manifest.from?.guid ?? null)) reached.add(manifest.to.guid);
    }
  }
  return reached.has(guid);
}
