/** Patterns for the names of datasets and hosts, as policies and jobs use them. */

/** Patterns that were met before: a policy's are asked of every dataset. Bounded, because they come from files. */
const made = new Map<string, RegExp>();
const MOST_KEPT = 1000;

/**
 * Whether a name fits a pattern: `*` is any text without a slash, `**` any text,
 * `?` one character that is no slash; `/**` at the end also fits the dataset itself.
 * A pattern that begins with `!` excludes: the last one that fits decides.
 *
 * @example
 * matches(['tank/**', '!tank/scratch/**'], 'tank/home') // true
 * matches(['tank/**', '!tank/scratch/**'], 'tank/scratch') // false
 */
export function matches(patterns: readonly string[], name: string): boolean {
  let fits = false;
  for (const pattern of patterns) {
    const excludes = pattern.startsWith('!');
    if (fits === excludes && expressionOf(excludes ? pattern.slice(1) : pattern).test(name)) fits = !excludes;
  }
  return fits;
}

function expressionOf(pattern: string): RegExp {
  const known = made.get(pattern);
  if (known) return known;
  if (made.size >= MOST_KEPT) made.clear();
  const body = pattern.replace(/\/\*\*$|\*\*|\*|\?|[\\^$.+()[\]{}|]/g, (piece) => {
    if (piece === '/**') return '(?:/.*)?';
    if (piece === '**') return '.*';
    if (piece === '*') return '[^/]*';
    return piece === '?' ? '[^/]' : `\\${piece}`;
  });
  const expression = new RegExp(`^${body}$`, 's');
  made.set(pattern, expression);
  return expression;
}
