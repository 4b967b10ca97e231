/** An escape of NUL or of an unpaired surrogate: its backslash is not itself escaped. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/** PostgreSQL reads JSON on its stack, which ends after some thousand levels. */
const MAX_DEPTH = 500;

/**
 * Why PostgreSQL cannot store a value as JSON of at most this size, as the end of a sentence; undefined if it can. It rejects NUL
 * and unpaired surrogates, which JSON.stringify writes as escapes.
 */
export function jsonProblem(value: unknown, mostBytes: number): string | undefined {
  const json = jsonOf(value);
  if (json === undefined) return 'cannot be written as JSON';
  if (UNSTORABLE.test(json)) return 'contains NUL or an unpaired surrogate';
  if (Buffer.byteLength(json) > mostBytes) return `is larger than ${mostBytes} bytes`;
  return isDeeperThan(MAX_DEPTH, value) ? `is nested more than ${MAX_DEPTH} levels deep` : undefined;
}

/** Undefined for a function, a symbol, a bigint and a circle. */
function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(levels - 1, inner));
}
