/** An escape of NUL or of an unpaired surrogate: its backslash is not itself escaped. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/**
 * Why PostgreSQL cannot store a value as JSON of at most this size, as the end of a sentence; undefined if it can. It rejects NUL
 * and unpaired surrogates, which JSON.stringify writes as escapes.
 */
export function jsonProblem(value: unknown, mostBytes: number): string | undefined {
  const json = jsonOf(value);
  if (json === undefined) return 'cannot be written as JSON';
  if (UNSTORABLE.test(json)) return 'contains NUL or an unpaired surrogate';
  return Buffer.byteLength(json) > mostBytes ? `is larger than ${mostBytes} bytes` : undefined;
}

/** Undefined for a function, a symbol, a bigint and a circle. */
function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
