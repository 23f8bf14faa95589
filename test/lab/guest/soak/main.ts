/** The soak as a program in the guest: events on standard output, a line of JSON each. `test/lab/soak --in-guest` runs it. */
import { writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Method } from './journal.ts';
import { inGuest, Soak } from './soak.ts';
import { summaryOf, tableOf } from './summary.ts';

const METHODS: readonly [Method, ...Method[]] = [
  'agent',
  'agent',
  'stop',
  'child',
  'service',
  'tcp',
  'store',
  'power',
];

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: '/var/tmp/soak' },
    seed: { type: 'string', default: '1' },
    mebibytes: { type: 'string', default: '80' },
    kinds: { type: 'string', default: '' },
    backups: { type: 'string', default: '1000000' },
    /** Of each backup. */
    restores: { type: 'string', default: '1' },
    /** Seconds since 1970. */
    until: { type: 'string', default: String(2 ** 40) },
  },
});

const tell = (event: object) =>
  void writeSync(1, `${JSON.stringify({ at: new Date().toISOString(), ...event })}\n`);
const usual = inGuest(values.folder);
const cutPower = async () => {
  tell({ event: 'power' });
  return await new Promise<never>(() => setInterval(() => undefined, 1000));
};
const soak = await Soak.open({
  ...usual,
  place: { ...usual.place, cutPower },
  seed: values.seed,
  mebibytes: Number(values.mebibytes),
  kinds: values.kinds.split(',').filter(Boolean),
  methods: METHODS,
  restores: Number(values.restores),
  tell,
});
while (soak.state.rounds < Number(values.backups) && Date.now() / 1000 < Number(values.until))
  await soak.round();
tell({ event: 'summary', ...summaryOf(soak.state), state: soak.state, table: tableOf(soak.state) });
await soak.destroy();
