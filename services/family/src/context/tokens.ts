/**
 * How many tokens a text takes at most, without the vocabulary of a model: an estimate that is above what the tokenizers of the common
 * models count for prose. A word has a token for each four letters, each digit and each mark is one, and other scripts have one for
 * each two bytes of UTF-8.
 */
export function estimateTokens(text: string): number {
  let tokens = 0;
  for (const [piece] of text.matchAll(/[A-Za-z]+|\n+|[^A-Za-z\s]/gu)) {
    if (/^[A-Za-z]/.test(piece)) tokens += piece.length <= 3 ? 1 : Math.ceil(piece.length / 3.5);
    else tokens += /^[\p{ASCII}]/u.test(piece) ? 1 : Math.ceil(Buffer.byteLength(piece) / 2);
  }
  return tokens;
}

/** What a role and its marks add to a message of a chat. */
export const MESSAGE_TOKENS = 4;

/** The beginning of a text that takes at most this many tokens. A cut text ends with an ellipsis, at a space if there is one. */
export function cutToTokens(text: string, tokens: number, count: (text: string) => number): string {
  if (count(text) <= tokens) return text;
  const characters = [...text];
  let [fits, tooLong] = [0, characters.length];
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (count(`${characters.slice(0, middle).join('')}…`) <= tokens) fits = middle;
    else tooLong = middle;
  }
  const cut = characters.slice(0, fits).join('');
  return fits === 0 ? '' : `${cut.replace(/\s+\S*$/u, '') || cut}…`;
}
