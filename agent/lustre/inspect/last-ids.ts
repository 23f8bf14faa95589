/** `--last-id INDEX=ID`: where an OST's objects end. */
import { ZkeepError } from '../../../catalog/errors.ts';

/**
 * The ids by index.
 *
 * @throws {ZkeepError} `usage` for what is none, or an index that comes twice.
 * @example parseLastIds(['0=289', 'OST0001=0x104']) // Map { 0 => 289n, 1 => 260n }
 */
export function parseLastIds(texts: readonly string[]): Map<number, bigint> {
  const ids = new Map<number, bigint>();
  for (const text of texts) {
    const [, hex, decimal, id = ''] = FORM.exec(text) ?? [];
    const index = hex === undefined ? Number(decimal ?? -1) : Number.parseInt(hex, 16);
    if (id === '' || index > 0xffff || BigInt(id) >= 1n << 64n || ids.has(index)) throw malformed(text);
    ids.set(index, BigInt(id));
  }
  return ids;
}

const FORM = /^(?:OST([0-9a-f]{4})|([0-9]{1,5}))=([0-9]{1,20}|0x[0-9a-f]{1,16})$/i;

function malformed(text: string): ZkeepError {
  const message = `${JSON.stringify(text.slice(0, 80))} is not INDEX=ID, or its index came before`;
  return new ZkeepError('usage', 'inspect.last-id', message, {
    advice: 'e.g. --last-id 0=289, with what lctl get_param obdfilter.*.last_id says of that OST',
  });
}
