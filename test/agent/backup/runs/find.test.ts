import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { findOwed, type OwedQuestion } from '../../../../agent/backup/runs/find.ts';
import type { NotedRun } from '../../../../agent/backup/runs/notes.ts';
import { notedMembers } from '../../../../agent/backup/runs/owed.ts';
import type { BackupSummary, KnownSnapshot } from '../../../../catalog/protocol/protocol.ts';
import { type Guid, guidOf, newUuid7, type SetId } from '../../../../catalog/words.ts';
import { OWN, point, row, SET, source } from '../resume/facts.ts';

const guid = (number: number) => guidOf(BigInt(number));
const HELD = { references: 1, createtxg: 5n };
const signal = new AbortController().signal;

/** A service that has these snapshots, all of one set, and notes what it was asked. */
class Service {
  readonly asked: string[] = [];
  readonly #stored: readonly number[];
  readonly #set: SetId | null;

  constructor(stored: readonly number[], set: SetId | null = SET) {
    this.#stored = stored;
    this.#set = set;
  }

  async known(guids: readonly Guid[]): Promise<KnownSnapshot[]> {
    this.asked.push(`known ${guids.length}`);
    return this.#stored
      .map(guid)
      .filter((one) => guids.includes(one))
      .map((one) => ({ guid: one, restorable: true, flags: null }));
  }

  async *backups({ to }: { to?: Guid }): AsyncGenerator<BackupSummary> {
    this.asked.push(`backups ${to}`);
    if (this.#stored.map(guid).some((one) => one === to)) yield { set: this.#set } as BackupSummary;
  }
}

const three = [
  source('tank/a', [point('tank/a', OWN, 7, { createtxg: 5n })]),
  source('tank/b', [point('tank/b', OWN, 8, HELD)]),
  source('tank/c', [point('tank/c', OWN, 9, HELD)]),
];
const note = (members: NotedRun['members'], lives = false): NotedRun => {
  return { file: 'x', repository: 'here', lives, members };
};
const member = (dataset: string, number: number, name = OWN) => {
  return { snapshot: `${dataset}@${name}`, guid: guid(number), set: SET };
};

async function owed(question: Partial<OwedQuestion>, service = new Service([7])): Promise<string[]> {
  const found = await findOwed(
    { sources: three, rows: [], runs: [], isOneMoment: false, ...question },
    service as Parameters<typeof findOwed>[1],
    signal,
  );
  return found.owed.flatMap(({ set, snapshot, sources }) =>
    sources.map(({ dataset }) => `${dataset}@${snapshot === OWN ? 'X' : snapshot} ${set === SET}`),
  );
}

describe('what runs owe that were killed', () => {
  it('is not asked for where nothing is held and nothing is noted', async () => {
    const service = new Service([7]);
    const sources = three.map((one) => ({
      ...one,
      points: one.points.map((each) => ({ ...each, references: 0 })),
    }));
    assert.deepEqual(await owed({ sources }, service), []);
    assert.deepEqual(service.asked, []);
  });

  it('is what a note says, whatever the datasets are called by now', async () => {
    const runs = [note([member('tank/old', 8), member('tank/a', 7), member('tank/gone', 99)])];
    assert.deepEqual(await owed({ runs }, new Service([7], null)), ['tank/b@X true']);
  });

  it('is what was taken with something that is stored in a set, where no note is left', async () => {
    const service = new Service([7]);
    assert.deepEqual(await owed({}, service), ['tank/b@X true', 'tank/c@X true']);
    assert.deepEqual(service.asked, ['known 3', `backups ${guid(7)}`]);
  });

  it('is nothing where nothing of the moment is stored, or what is stored is in no set', async () => {
    assert.deepEqual(await owed({}, new Service([])), []);
    assert.deepEqual(await owed({}, new Service([7], null)), []);
  });

  it('is nothing that others named, took at another moment, or let go', async () => {
    const sources = [
      source('tank/a', [point('tank/a', OWN, 7, { createtxg: 5n }), point('tank/a', 'daily', 17, HELD)]),
      source('tank/b', [point('tank/b', OWN, 8, { createtxg: 5n })]),
      source('tank/c', [point('tank/c', OWN, 9, { references: 1, createtxg: 6n })]),
      source('other/d', [point('other/d', OWN, 10, HELD)]),
    ];
    assert.deepEqual(await owed({ sources }), []);
    assert.deepEqual(await owed({ sources, isOneMoment: true }), ['tank/c@X true', 'other/d@X true']);
  });

  it('is nothing that a run is at: by its note, by what it writes, or because it is open', async () => {
    assert.deepEqual(await owed({ runs: [note([member('tank/b', 8)], true)] }), ['tank/c@X true']);
    const open = row({ to: guid(9), writer: { host: 'far', process: 1 } });
    assert.deepEqual(await owed({ rows: [open] }), ['tank/b@X true']);
    const written = row({ to: guid(9), writer: { host: hostname(), process: process.pid } });
    assert.deepEqual(await owed({ rows: [written] }), []);
  });

  it('comes once, the oldest moment first, and by the note where both tell of it', async () => {
    const other = newUuid7(99) as SetId;
    const sources = [
      source('tank/a', [point('tank/a', 'new', 17, HELD), point('tank/a', OWN, 7, HELD)]),
      ...three.slice(1),
    ];
    const runs = [
      note([{ ...member('tank/a', 17, 'new'), set: other }]),
      note([member('tank/b', 8)]),
      note([member('tank/b', 8)]),
    ];
    assert.deepEqual(await owed({ sources, runs }), ['tank/b@X true', 'tank/a@new false', 'tank/c@X true']);
  });

  it('is never anything stored, open or at work, and nothing twice, whatever notes say', () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 12 }));
    fc.assert(
      fc.property(numbers, numbers, numbers, fc.array(fc.integer({ min: 1, max: 15 })), (...drawn) => {
        const [stored, open, atWork, noted] = drawn;
        const sources = [1, 2, 3].map((id) =>
          source(
            `tank/${id}`,
            [0, 3, 6, 9].map((more) => point(`tank/${id}`, `s${more}`, id + more)),
          ),
        );
        const all = sources.flatMap(({ points }) => points);
        const nameOf = (number: number) => all.find((one) => one.guid === guid(number));
        const facts = {
          sources,
          stored: new Set(stored.map(guid)),
          open: new Set(open.map(guid)),
          atWork: new Set(
            atWork.map((number) => `${nameOf(number)?.dataset ?? ''}@${nameOf(number)?.name ?? ''}`),
          ),
        };
        const found = notedMembers(
          noted.map((number) => member('tank/1', number)),
          facts,
        ).flatMap(({ snapshot, sources: those }) => those.map(({ dataset }) => `${dataset}@${snapshot}`));
        const wanted = all
          .filter((one) => noted.some((number) => guid(number) === one.guid))
          .filter((one) => !facts.stored.has(one.guid) && !facts.open.has(one.guid))
          .map(({ dataset, name }) => `${dataset}@${name}`)
          .filter((name) => !facts.atWork.has(name));
        assert.deepEqual(found.toSorted(), wanted.toSorted());
      }),
    );
  });
});
