import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Type } from 'typebox';
import { ZkeepError } from '../../catalog/errors.ts';
import { checkToml, parseToml, type TomlPlace, wrongKey } from '../../catalog/toml.ts';

const PLACE: TomlPlace = { file: 'agent.toml', reader: 'zkeep agent', page: 'AGENT.md' };
const Schema = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    pace: Type.Optional(
      Type.Object({ every: Type.String({ pattern: '^[0-9]+h$', description: 'hours such as 3h' }) }),
    ),
    code: Type.Optional(Type.String({ pattern: '^a+$' })),
    tags: Type.Optional(Type.Array(Type.String())),
    level: Type.Optional(Type.Union([Type.Literal('low'), Type.Literal('high')])),
    job: Type.Optional(
      Type.Array(Type.Object({ every: Type.Integer({ minimum: 1 }) }, { additionalProperties: false })),
    ),
  },
  { additionalProperties: false },
);

function refusal(work: () => unknown): ZkeepError {
  try {
    work();
  } catch (thrown) {
    assert.ok(thrown instanceof ZkeepError, String(thrown));
    return thrown;
  }
  assert.fail('it was taken');
}

describe('a file', () => {
  test('is read', () => {
    const value = parseToml('name = "a"\n[[job]]\nevery = 3\n', 'agent.toml');
    assert.deepEqual(structuredClone(checkToml(Schema, value, PLACE)), { name: 'a', job: [{ every: 3 }] });
  });

  test('that is no TOML is refused with line and column', () => {
    const { kind, code, message, facts } = refusal(() =>
      parseToml('name = "a"\nlevel = = 3\n', 'agent.toml'),
    );
    assert.deepEqual([kind, code, facts['line']], ['usage', 'configuration.malformed', 2]);
    assert.match(message, /^agent\.toml:2:\d+: /);
  });

  const wrong: [words: string, text: string, message: RegExp][] = [
    [
      'a key that nobody knows',
      'name = "a"\nnmae = "b"',
      /^agent\.toml: nmae is not a key that zkeep agent knows$/,
    ],
    ['such a key in a table', 'name = "a"\n[[job]]\nevery = 1\noften = 2', /: job\.0\.often is not a key/],
    ['a key that is missing', 'level = "low"', /: name is missing$/],
    ['a word that is no choice', 'name = "a"\nlevel = "middle"', /: level must be one of low, high$/],
    ['a value of another kind', 'name = 3', /: name must be a text in quotes$/],
    ['a text for a list', 'name = "a"\ntags = "b"', /: tags must be a list: /],
    ['a text of another form', 'name = "a"\n[pace]\nevery = "3x"', /: pace\.every must be hours such as 3h$/],
    ['one that nobody described', 'name = "a"\ncode = "b"', /: code must match pattern "\^a\+\$"$/],
    ['a number that is too small', 'name = "a"\n[[job]]\nevery = 0', /: job\.0\.every must be >= 1$/],
  ];
  for (const [words, text, message] of wrong) {
    test(`with ${words} is refused by its name`, () => {
      const error = refusal(() => checkToml(Schema, parseToml(text, 'agent.toml'), PLACE));
      assert.deepEqual([error.kind, error.code], ['usage', 'configuration.wrong']);
      assert.match(error.message, message);
      assert.match(error.advice ?? '', /AGENT\.md/);
    });
  }
});

test('a section stands before its key', () => {
  const error = wrongKey({ ...PLACE, section: 'job 2' }, 'every', 'is wrong');
  assert.equal(error.message, 'agent.toml: job 2.every is wrong');
  assert.equal(
    wrongKey({ ...PLACE, section: 'store' }, '', 'is missing').message,
    'agent.toml: store is missing',
  );
});
