/** Patterns for the names of datasets and hosts, as policies and jobs use them. */

/** Patterns that were met before: a policy's are asked of every dataset. Bounded, because they come from files. */
const made = new Map<string, (name: string) => boolean>();
const MOST_KEPT = 1000;
/** Stars up to which an expression is fast; with each further one it may try a name's length more ways. */
const FEW_STARS = 2;

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
    if (fits === excludes && matcherOf(excludes ? pattern.slice(1) : pattern)(name)) fits = !excludes;
  }
  return fits;
}

function matcherOf(pattern: string): (name: string) => boolean {
  const known = made.get(pattern);
  if (known) return known;
  if (made.size >= MOST_KEPT) made.clear();
  const stars = pattern.match(/\*+/g)?.length ?? 0;
  const matcher = stars <= FEW_STARS ? byExpression(pattern) : byWalk(pattern);
  made.set(pattern, matcher);
  return matcher;
}

function byExpression(pattern: string): (name: string) => boolean {
  const body = pattern.replace(/\/\*\*$|\*\*|\*|\?|[\\^$.+()[\]{}|]/g, (piece) => {
    if (piece === '/**') return '(?:/.*)?';
    if (piece === '**') return '.*';
    if (piece === '*') return '[^/]*';
    return piece === '?' ? '[^/]' : `\\${piece}`;
  });
  const expression = new RegExp(`^${body}$`, 's');
  return (name) => expression.test(name);
}

/** The same with any number of stars: all places in the pattern at which one may stand go through the name together. */
function byWalk(pattern: string): (name: string) => boolean {
  const top = pattern.endsWith('/**') ? piecesOf(pattern.slice(0, -3)) : undefined;
  const whole = piecesOf(pattern);
  return (name) => walks(whole, name) || (top !== undefined && walks(top, name));
}

function piecesOf(pattern: string): string[] {
  return pattern.match(/\*\*|./gs) ?? [];
}

function walks(pieces: readonly string[], name: string): boolean {
  // A star may stand for nothing.
  const withSkips = (places: Set<number>) => {
    for (const place of places) if (pieces[place]?.startsWith('*')) places.add(place + 1);
    return places;
  };
  let places = withSkips(new Set([0]));
  for (const letter of name.split('')) {
    const next = new Set<number>();
    for (const place of places) {
      const piece = pieces[place];
      if (piece === '**' || (piece === '*' && letter !== '/')) next.add(place);
      else if (piece === letter || (piece === '?' && letter !== '/')) next.add(place + 1);
    }
    places = withSkips(next);
  }
  return places.has(pieces.length);
}
