/** The version that the service names: the one in package.json. */
import { readFileSync } from 'node:fs';

const description: { version?: unknown } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
);

export const VERSION = String(description.version);
