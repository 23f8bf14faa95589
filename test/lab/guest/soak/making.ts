/** Makes the pools and the sources of the soak, as a program in the guest: for `outside.ts`, which runs the rest. */
import { parseArgs } from 'node:util';
import { House } from './house.ts';
import { kindNamed, makeKind, poolSize } from './kinds.ts';

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: '/var/tmp/soak' },
    kinds: { type: 'string', default: '' },
    mebibytes: { type: 'string', default: '4' },
  },
});

const kinds = values.kinds.split(',').map(kindNamed);
const mebibytes = Number(values.mebibytes);
const pools = `${values.folder}/pools`;
const house = new House({ folder: values.folder, pools, port: 18_470, cutPower: () => Promise.reject() });
await house.makePools(poolSize(kinds, mebibytes));
for (const kind of kinds) await makeKind(kind, values.folder, mebibytes);
