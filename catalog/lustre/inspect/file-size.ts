/**
 * How long a file is: its system attributes say so, by layouts that the dataset
 * itself describes (OpenZFS `include/sys/sa_impl.h`, `module/zfs/sa.c`).
 */
import { Fields } from './fields.ts';
import type { KeptObject } from './objects.ts';
import type { ZapEntry } from './zap/zap.ts';

/** `dmu_object_type` of the objects that hold the registry and the layouts, and of a bonus that follows them. */
export const SA_TYPES = { bonus: 44, master: 45, registry: 46, layouts: 47 } as const;

const SA_MAGIC = 0x2f505a;
const SIZE = 'ZPL_SIZE';

/** The attributes by number, and in which order each layout has them. */
export interface SystemAttributes {
  readonly attributes: ReadonlyMap<number, { readonly name: string; readonly length: number }>;
  readonly layouts: ReadonlyMap<number, readonly number[]>;
}

/**
 * What the two tables say.
 *
 * @param registry its values hold number (16 bits), byte order (8 bits) and length (16 bits; 0: it varies).
 */
export function systemAttributes(
  registry: readonly ZapEntry[],
  layouts: readonly ZapEntry[],
): SystemAttributes {
  const attributes = registry.map(({ name, values }) => {
    const [value = 0n] = values;
    return [Number(value & 0xffffn), { name, length: Number((value >> 24n) & 0xffffn) }] as const;
  });
  const orders = layouts.map(({ name, values }) => [Number(name), values.map(Number)] as const);
  return { attributes: new Map(attributes), layouts: new Map(orders) };
}

/**
 * The size of a file in bytes.
 *
 * @returns `undefined` where its attributes do not tell.
 * @throws {ZkeepError} `damaged` when they are cut.
 */
export function fileSize(object: KeptObject, known: SystemAttributes, little: boolean): number | undefined {
  if (object.bonusType !== SA_TYPES.bonus || object.bonus.length < 8) return undefined;
  const bonus = new Fields(object.bonus, little, `the attributes of object ${object.number}`);
  if (bonus.u32(0) !== SA_MAGIC) return undefined;
  const info = bonus.u16(4);
  const order = known.layouts.get(info & 0x3ff);
  let at = (info >> 10) * 8;
  let varying = 0;
  for (const number of order ?? []) {
    const attribute = known.attributes.get(number);
    if (!attribute) return undefined;
    if (attribute.name === SIZE) return bonus.count(at);
    const length = attribute.length || bonus.u16(6 + 2 * varying++);
    at += Math.ceil(length / 8) * 8;
  }
  return undefined;
}
