/** The candidates that a person probably meant by a mistyped word, at most three, best first. */
export function similarNames(word: string, candidates: readonly string[]): readonly string[] {
  // Longer words are not a typing error, and their distance takes quadratic time.
  if (word.length > 60) return [];
  const near = candidates.map((name) => ({ name, distance: distanceOf(word.toLowerCase(), name.toLowerCase()) }));
  return near
    .filter(({ name, distance }) => distance <= Math.max(1, Math.floor(Math.max(word.length, name.length) / 3)))
    .sort((a, b) => a.distance - b.distance || a.name.localeCompare(b.name))
    .slice(0, 3)
    .map(({ name }) => name);
}

/** `Did you mean mint or story?`; empty without names. */
export function didYouMean(names: readonly string[]): string {
  return names.length === 0 ? '' : `Did you mean ${names.join(' or ')}?`;
}

/** The number of insertions, deletions, replacements and swaps of neighbors that turn one word into the other. */
function distanceOf(a: string, b: string): number {
  let [before, previous] = [[] as number[], Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const swap =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? 0) + 1 : Infinity;
      row[j] = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost, swap);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length] ?? 0;
}
