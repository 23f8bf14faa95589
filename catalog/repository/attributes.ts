/**
 * The attribute manifest, format 1: what a stream does not carry, as the words
 * of the commands that told it. Stored once per content, by digest.
 */
import { type Static, Type } from 'typebox';
import { checker } from '../schema.ts';

/** Largest canonical JSON text of one attribute manifest, bytes. */
export const MAX_ATTRIBUTES = 64 * 1024 * 1024;

/** One command and what it printed. */
export const CommandOutputSchema = Type.Object({
  /** The command as it was run, an argument each. */
  command: Type.Array(Type.String(), { minItems: 1 }),
  exit: Type.Integer(),
  /** Standard output; base64 when it is not UTF-8 (user properties are arbitrary bytes). */
  output: Type.String(),
  encoding: Type.Union([Type.Literal('utf8'), Type.Literal('base64')]),
  /** Standard error, cut at 4,096 characters; there only when the command failed. */
  error: Type.Optional(Type.String()),
});
export type CommandOutput = Static<typeof CommandOutputSchema>;

export const AttributesSchema = Type.Object({
  format: Type.Literal(1),
  /** What the outputs speak of: `pool/dataset`. */
  dataset: Type.String({ maxLength: 255 }),
  outputs: Type.Array(CommandOutputSchema, { maxItems: 1000 }),
});
export type Attributes = Static<typeof AttributesSchema>;

export const parseAttributes = checker(AttributesSchema, 'the attribute manifest');
