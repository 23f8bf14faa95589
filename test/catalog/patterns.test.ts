import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { matches } from '../../catalog/patterns.ts';

const CASES: readonly [patterns: string[], name: string, fits: boolean][] = [
  [['tank/home'], 'tank/home', true],
  [['tank/home'], 'tank/home/a', false],
  [['tank/*'], 'tank/home', true],
  [['tank/*'], 'tank/home/a', false],
  [['tank/*'], 'tank', false],
  [['tank/**'], 'tank', true],
  [['tank/**'], 'tank/home/a', true],
  [['tank/**'], 'tanker', false],
  [['**'], 'any/thing', true],
  [['**/data'], 'a/b/data', true],
  [['tank/**/data'], 'tank/x/data', true],
  [['mds?'], 'mds1', true],
  [['mds?'], 'mds12', false],
  [['a?b'], 'a/b', false],
  [['ta*'], 'tank', true],
  [['*.example.org'], 'mds1.example.org', true],
  [['a.b'], 'axb', false],
  [['a+b(c)[d]{e}|f^g$'], 'a+b(c)[d]{e}|f^g$', true],
  [[], 'tank', false],
  [['tank/**', '!tank/scratch/**'], 'tank/scratch', false],
  [['tank/**', '!tank/scratch/**'], 'tank/scratch/a', false],
  [['tank/**', '!tank/scratch/**'], 'tank/home', true],
  [['tank/**', '!tank/scratch/**', 'tank/scratch/keep'], 'tank/scratch/keep', true],
  [['!tank'], 'home', false],
  [['!tank', '**'], 'tank', true],
];

describe('patterns', () => {
  for (const [patterns, name, fits] of CASES) {
    test(`${JSON.stringify(patterns)} ${fits ? 'fit' : 'do not fit'} ${name}`, () => {
      assert.equal(matches(patterns, name), fits);
    });
  }

  test('fit names with a line break in them', () => assert.equal(matches(['tank/**'], 'tank/a\nb'), true));

  const word = fc.stringMatching(/^[a-z.()+$^|-]{1,4}$/);
  const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

  test('without * and ? are names themselves', () => {
    fc.assert(fc.property(name, name, (one, other) => assert.equal(matches([one], other), one === other)));
  });

  test('with /** at the end fit what is at or below, as its path says', () => {
    fc.assert(
      fc.property(name, name, (top, other) => {
        const expected = other === top || other.startsWith(`${top}/`);
        assert.equal(matches([`${top}/**`], other), expected);
        assert.equal(matches([`${top}/**`], `${top}/${other}`), true);
      }),
    );
  });

  test('are the same however many others were asked for', () => {
    for (let number = 0; number < 3000; number++)
      assert.equal(matches([`tank/${number}/*`], `tank/${number}/a`), true);
    assert.equal(matches(['tank/1/*'], 'tank/2/a'), false);
  });

  test('with many stars are answered as those with few, and without trying every way', () => {
    const piece = fc.constantFrom('a', 'b', '/', '*', '**', '?', '/**', '.');
    const pattern = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
    const text = fc
      .array(fc.constantFrom('a', 'b', '/', '*', '.'), { maxLength: 8 })
      .map((all) => all.join(''));
    fc.assert(
      fc.property(pattern, text, (one, name) => {
        assert.equal(matches([`x${one}`], `x${name}`), expected(`x${one}`, `x${name}`));
      }),
      { numRuns: 3000 },
    );
    const cruel = `${'*b'.repeat(60)}x`;
    assert.equal(matches([cruel], 'b'.repeat(255)), false);
    assert.equal(matches([cruel], `${'b'.repeat(254)}x`), true);
  });
});

/** The words of the docstring, tried letter by letter. */
function expected(pattern: string, name: string): boolean {
  if (pattern === '/**') return name === '' || name.startsWith('/');
  if (pattern === '') return name === '';
  if (pattern.startsWith('**')) {
    return Array.from({ length: name.length + 1 }, (_, at) => at).some((at) =>
      expected(pattern.slice(2), name.slice(at)),
    );
  }
  const [piece = ''] = pattern;
  const rest = pattern.slice(1);
  if (piece === '*') {
    const end = name.indexOf('/');
    const most = end < 0 ? name.length : end;
    return Array.from({ length: most + 1 }, (_, at) => at).some((at) => expected(rest, name.slice(at)));
  }
  if (name === '') return false;
  return (piece === '?' ? name[0] !== '/' : name[0] === piece) && expected(rest, name.slice(1));
}
