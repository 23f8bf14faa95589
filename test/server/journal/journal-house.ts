/** A bucket in a folder, and journals of services over it, each with its own index and state. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { CatalogIndex } from '../../../catalog/index/catalog-index.ts';
import { DirectoryStore } from '../../../catalog/repository/store/directory-store.ts';
import { Journal } from '../../../server/journal/journal.ts';
import { Outbox } from '../../../server/journal/outbox.ts';
import { openState, type State } from '../../../server/state/state.ts';
import { Faults, FaultyStore } from '../fixture/faulty-store.ts';
import { ManualClock } from '../fixture/manual-clock.ts';

/** A service's part in the journal. */
export interface Writer {
  readonly journal: Journal;
  readonly index: CatalogIndex;
  readonly outbox: Outbox;
  readonly state: State;
  readonly clock: ManualClock;
  readonly faults: Faults;
}

export class JournalHouse {
  readonly folder = mkdtempSync(join(tmpdir(), 'zkeep-journal-'));
  readonly #ends: (() => void)[] = [];
  #count = 0;

  get bucket(): DirectoryStore {
    return new DirectoryStore(join(this.folder, 'bucket'));
  }

  /** A service. @param data its folder's name: one that was there before goes on. */
  writer(data = `service-${this.#count++}`, clock = new ManualClock()): Writer {
    const faults = new Faults();
    const bucket = new DirectoryStore(join(this.folder, 'bucket'));
    const store = new FaultyStore(bucket.location, faults);
    const state = openState(join(this.folder, data));
    const index = new CatalogIndex(join(this.folder, data, 'index.db'));
    const outbox = new Outbox(state);
    const log = pino({ level: process.env['LOG'] ?? 'silent' });
    const journal = new Journal({ store, index, outbox, clock, log, service: data });
    this.#ends.push(() => {
      index.close();
      state.close();
    });
    return { journal, index, outbox, state, clock, faults };
  }

  async keys(): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.bucket.list('')) keys.push(key);
    return keys;
  }

  end(): void {
    for (const end of this.#ends) end();
    rmSync(this.folder, { recursive: true });
  }
}
