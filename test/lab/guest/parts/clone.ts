/** Where the clone lies in the guest, and what its commands are given. */
import { join } from 'node:path';

export const CLONE = join(import.meta.dirname, '../../../..');

/** The compile cache spares a slow, emulated machine the parsing of the same files at each start. */
export const ENVIRONMENT = { NODE_COMPILE_CACHE: '/var/tmp/node-compile-cache' };
