/**
 * A history of backups on a real service: datasets that live, an agent that backs them up as zkeep's does,
 * an operator who sets policies and pins, the service's jobs, damage, and deaths of the service.
 */
import assert from 'node:assert/strict';
import { chooseBase, type SourcePoint } from '../../../catalog/chain/base.ts';
import type { Keep, Policy } from '../../../catalog/chain/retention/policy.ts';
import type { JobName } from '../../../catalog/protocol/events.ts';
import { PinRowSchema } from '../../../catalog/protocol/keeping.ts';
import { KnownAnswerSchema, type OpenRequest, type Part } from '../../../catalog/protocol/protocol.ts';
import { segmentKey } from '../../../catalog/repository/names.ts';
import { FRAME_SIZE } from '../../../catalog/repository/segment/frames.ts';
import { type PackedSegment, packStream } from '../../../catalog/repository/segment/pack.ts';
import { checker } from '../../../catalog/schema.ts';
import { type BackupId, type Guid, parseBackupId, parseDigest } from '../../../catalog/words.ts';
import { someAttributes } from '../fixture/samples.ts';
import { Hosts, type Line, type Point, streamOf } from './hosts.ts';
import { type Death, type MortalService, Refused } from './mortal-service.ts';
import { Truth } from './truth.ts';

const readKnown = checker(KnownAnswerSchema, 'the answer');
const readPin = checker(PinRowSchema, 'the answer');

/** How far a backup goes before its agent dies; `null`: to its end. */
export type Left = 'opened' | 'sent' | null;

export class History {
  readonly service: MortalService;
  readonly hosts: Hosts;
  readonly truth: Truth;
  /** Of the agent's processes. */
  #process = 100;
  #pins: string[] = [];

  constructor(service: MortalService, datasets: number) {
    this.service = service;
    this.hosts = new Hosts(datasets);
    this.truth = new Truth(service);
  }

  get now(): number {
    return this.service.clock.now();
  }

  /** Takes a snapshot and backs it up on the base that the agent chooses. */
  async backUp(line: Line, death: Death | null = null, left: Left = null): Promise<void> {
    const to = this.hosts.snapshot(line, this.now);
    await this.service.dying(death, async () => await this.store(line, to, left));
  }

  /** Stores the newest snapshot of a dataset, which an earlier run may have begun to store. */
  async backUpAgain(line: Line): Promise<void> {
    const to = line.snapshots.at(-1);
    if (to) await this.store(line, to, null);
  }

  async store(line: Line, to: Point, left: Left): Promise<void> {
    const from = await this.#base(line, to);
    try {
      await this.#send(line, from, to, left);
    } catch (thrown) {
      if (!(thrown instanceof Refused) || thrown.code !== 'backup.base-leaving') throw thrown;
      await this.#send(line, undefined, to, left);
    }
  }

  /** As the agent chooses it, of what the service knows; `undefined`: the backup is to be full. */
  async #base({ host, dataset, snapshots, bookmarks }: Line, to: Point): Promise<Point | undefined> {
    const source = [...asSource(snapshots, 'snapshot'), ...asSource(bookmarks, 'bookmark')];
    const older = source.filter(({ created }) => created < to.created);
    const body = { guids: older.map(({ guid }) => guid), of: { host, dataset } };
    const { known } = readKnown(await this.service.question('POST', '/v1/known', body));
    const wants = { raw: false, large_blocks: false };
    return chooseBase({ dataset, source, target: to.guid, known, wants, full: false }).base ?? undefined;
  }

  async #send(line: Line, from: Point | undefined, to: Point, left: Left): Promise<void> {
    const stream = streamOf(line, from, to);
    const parts: PackedSegment[] = [];
    const summary = await packStream(pieces(stream), {
      recipients: [],
      send: async (part) => void parts.push(part),
    });
    const request: OpenRequest = {
      source: {
        host: line.host,
        dataset: line.dataset,
        pool_guid: line.guids.pool,
        dataset_guid: line.guids.dataset,
        zfs: 'zfs-2.3.0',
      },
      writer: { host: line.host, process: ++this.#process },
      set: null,
      from: from ? { guid: from.guid, name: from.name } : null,
      to: { guid: to.guid, name: to.name },
      begin: summary.begin,
      send_flags: ['-L', '-c'],
      compression: { method: 'zstd', level: 3, frame: FRAME_SIZE },
      takeover: null,
    };
    const backup = await this.#open(request);
    if (backup === undefined) return;
    this.truth.sent(backup, stream, line);
    if (left === 'opened') return;
    const said: Part[] = parts.map(({ body: _, ...part }) => part);
    for (const [number, answer] of (await this.service.answers(backup, said)).entries()) {
      if ('stored' in answer) continue;
      const { body = Buffer.alloc(0) } = parts[number] ?? {};
      await this.service.put(answer, { key: segmentKey(backup, number, false), body });
    }
    if (left === 'sent') return;
    const { digest } = (await this.service.question('PUT', `/v1/backups/${backup}/attributes`, {
      ...someAttributes(line.dataset),
    })) as { digest: string };
    await this.service.question('POST', `/v1/backups/${backup}/commit`, {
      stream: summary,
      attributes: parseDigest(digest),
      segments: parts.length,
    });
    this.hosts.bookmark(line, to);
    this.truth.committed(backup);
  }

  /** Opens it, instead of what a process that is dead left open; `undefined`: it is stored already. */
  async #open(request: OpenRequest): Promise<BackupId | undefined> {
    let asked = request;
    for (let tries = 0; tries < 5; tries++) {
      try {
        return await this.service.openOrRefuse(asked);
      } catch (thrown) {
        if (!(thrown instanceof Refused)) throw thrown;
        if (thrown.code === 'backup.already') return undefined;
        if (thrown.code !== 'backup.busy') throw thrown;
        asked = { ...request, takeover: parseBackupId(String(thrown.facts['backup'])) };
      }
    }
    return assert.fail('its dataset stays busy');
  }

  /** The pool is gone; on another host it is restored up to a kept snapshot, and goes on there. */
  async move(line: Line, newest: number): Promise<void> {
    const kept = await this.truth.restorableOf(line);
    const points = line.snapshots.filter(({ guid }) => kept.includes(guid));
    const wanted = points.at(-1 - (newest % Math.max(1, points.length)));
    if (!wanted) return;
    const steps = await this.truth.stepsTo(wanted.guid);
    // What the steps lead to is there afterwards, if the source's names of it are known still.
    this.hosts.move(
      line,
      points.filter(({ guid }) => steps.includes(guid)),
    );
  }

  async setPolicy(policy: Policy, death: Death | null = null): Promise<void> {
    await this.service.dying(death, async () => {
      await this.service.question('PUT', `/v1/policies/${policy.name}`, policy);
    });
  }

  async dropPolicy(name: string): Promise<void> {
    const held = await this.truth.policies();
    if (held.some((policy) => policy.name === name)) {
      await this.service.question('DELETE', `/v1/policies/${name}`);
    }
  }

  /** Pins one of the snapshots that are listed. */
  async pin(number: number, hours: number | null, death: Death | null): Promise<void> {
    const listed = await this.truth.listed();
    const guid: Guid | undefined = listed[number % Math.max(1, listed.length)];
    if (guid === undefined) return;
    const until = hours === null ? null : new Date(this.now + hours * 3_600_000).toISOString();
    await this.service.dying(death, async () => {
      const body = { guid, reason: 'a test', until, legal: hours === null };
      this.#pins.push(readPin(await this.service.question('POST', '/v1/pins', body)).pin);
    });
  }

  async unpin(): Promise<void> {
    const pin = this.#pins.pop();
    if (pin === undefined) return;
    try {
      await this.service.question('DELETE', `/v1/pins/${pin}`, { reason: 'over', legal: true });
    } catch (thrown) {
      if (!(thrown instanceof Refused) || thrown.code !== 'pin.missing') throw thrown;
    }
  }

  /** Runs a job; what prune removes must have been marked for long enough, and nothing wanted goes. */
  async run(job: JobName, death: Death | null = null): Promise<void> {
    const work = async () => {
      await this.service.dying(death, async () => {
        const { last } = await this.service.job(job);
        if (!death) assert.equal(last?.outcome, 'done', `${job}: ${last?.words}`);
      });
    };
    if (job === 'prune') await this.truth.mayRemove(work);
    else await work();
  }

  /** An agent plans a restore: what it needs is unmarked. */
  async planRestore(number: number): Promise<void> {
    const listed = await this.truth.listed();
    const guid = listed[number % Math.max(1, listed.length)];
    if (guid === undefined) return;
    const body = { wanted: { guids: [guid] }, have: [], rollback: false };
    await this.service.question('POST', '/v1/plans', body).catch((thrown: unknown) => {
      if (!(thrown instanceof Refused) || thrown.code !== 'chain.damaged') throw thrown;
    });
  }
}

/** As the choice of a base sees them: what was made later has the higher number. */
function asSource<Kind extends SourcePoint['kind']>(points: readonly Point[], kind: Kind) {
  return points.map((point) => ({ ...point, kind, createtxg: point.number }));
}

/** A policy of one name for all datasets that a pattern means. */
export function policyOf(name: string, datasets: string, keep: Keep, zone: string, steps?: number): Policy {
  const chain = steps === undefined ? {} : { chain: { steps } };
  return { name, datasets: [datasets], hosts: [], lineages: [], keep, zone, ...chain };
}

async function* pieces(stream: Buffer): AsyncGenerator<Uint8Array> {
  yield stream;
}
