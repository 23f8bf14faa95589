/** Requests are held to the protocol's schemas, closed: a field that nobody reads is an error, not ignored. */
import type { FastifyInstance, FastifySchema, FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Value } from 'typebox/value';
import { ZkeepError } from '../../catalog/errors.ts';
import { ErrorAnswerSchema } from '../../catalog/protocol/protocol.ts';

/** Makes all routes that are added afterwards check their requests, and say how they answer failures. */
export function useShapes(app: FastifyInstance): void {
  app.setValidatorCompiler<TSchema>(checkShape);
  // The schemas of answers are for types and the OpenAPI page; what is answered is what was found.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  app.addHook('onRoute', (route) => {
    route.schema = shapesOf(route.schema ?? {});
  });
}

/**
 * The schema with `additionalProperties: false` in every object that lists its
 * properties, at any depth; the schema itself stays as it is.
 */
export function closed<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(closed) as T;
  if (typeof schema !== 'object' || schema === null) return schema;
  // TypeBox keeps what it knows of a schema in properties that are not enumerable.
  const copy: Record<string, unknown> = Object.create(
    Object.getPrototypeOf(schema),
    Object.getOwnPropertyDescriptors(schema),
  );
  for (const [key, value] of Object.entries(schema)) copy[key] = closed(value);
  if (copy['type'] === 'object' && 'properties' in copy) copy['additionalProperties'] ??= false;
  return copy as T;
}

/** A query is made of texts and is converted first; all else must be right as it is. */
const checkShape: FastifySchemaCompiler<TSchema> = ({ schema, httpPart = 'request' }) => {
  const compiled = Compile(schema);
  return (value) => {
    const converted = httpPart === 'querystring' ? Value.Convert(schema, value) : value;
    if (compiled.Check(converted)) return { value: converted };
    return { error: malformed(httpPart, compiled.Errors(converted)) };
  };
};

function malformed(part: string, errors: ReturnType<ReturnType<typeof Compile>['Errors']>): ZkeepError {
  // An unknown field gives two errors; the one that names it is not the first.
  const first = errors.find(({ keyword }) => keyword === 'additionalProperties') ?? errors[0];
  const place = `${part}${first?.instancePath ?? ''}`;
  const reason =
    first?.keyword === 'additionalProperties'
      ? `has a field that is not known: ${first.params.additionalProperties.join(', ').slice(0, 200)}`
      : first?.message;
  return new ZkeepError('usage', 'request.malformed', `${place} ${reason}`, {
    advice: 'GET /openapi.json has the shape of every request; agent and service should be of one version',
    facts: { place },
  });
}

function shapesOf(schema: FastifySchema): FastifySchema {
  const { body, querystring, params, response } = schema;
  return {
    ...schema,
    ...(body ? { body: closed(body) } : {}),
    ...(querystring ? { querystring: closed(querystring) } : {}),
    ...(params ? { params: closed(params) } : {}),
    response: { ...(response ?? {}), '4xx': ErrorAnswerSchema, '5xx': ErrorAnswerSchema },
  };
}
