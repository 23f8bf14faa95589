/** Stands in for catalog/attributes/difference.ts until that is there. */
import type { ParsedAttributes } from '../../attributes/attributes.ts';

export type Scope = 'dataset' | 'snapshot' | 'pool' | 'host';
export interface Setting {
  scope: Scope;
  name: string;
  property: string;
  value: string;
  source: string;
  from?: string;
}
export interface Change {
  scope: Scope;
  name: string;
  property: string;
  before: Setting | null;
  after: Setting | null;
}

export function settingsOf(parsed: ParsedAttributes, dataset: string): Setting[] {
  return parsed.objects
    .filter(({ name }) => name === dataset || name.startsWith(`${dataset}@`))
    .flatMap(({ name, kind, properties }) =>
      Object.entries(properties).map(([property, { value, source, from }]) => ({
        scope: kind === 'snapshot' ? ('snapshot' as const) : ('dataset' as const),
        name,
        property,
        value,
        source,
        ...(from === undefined ? {} : { from }),
      })),
    );
}

export function compareSettings(before: readonly Setting[], after: readonly Setting[]): Change[] {
  const key = ({ scope, property }: Setting) => `${scope} ${property}`;
  const [old, now] = [
    new Map(before.map((one) => [key(one), one])),
    new Map(after.map((one) => [key(one), one])),
  ];
  const keys = new Set([...old.keys(), ...now.keys()]);
  return [...keys].flatMap((one) => {
    const [was, is] = [old.get(one), now.get(one)];
    const any = is ?? was;
    if (!any || (was?.value === is?.value && was?.source === is?.source)) return [];
    const { scope, name, property } = any;
    return [{ scope, name, property, before: was ?? null, after: is ?? null }];
  });
}
