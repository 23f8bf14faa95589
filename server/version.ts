/** The version that the service names: the one in package.json. */
import { readFileSync } from 'node:fs';
import { Type } from 'typebox';
import { checker } from '../catalog/schema.ts';

const parsePackage = checker(Type.Object({ version: Type.String() }), 'package.json');

export const VERSION = parsePackage(
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')),
).version;
