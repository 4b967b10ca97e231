declare module 'pg/lib/utils' {
  /** The text or the bytes that PostgreSQL receives for a value, as every query of pg sends it. */
  export function prepareValue(value: unknown): string | Buffer | null;
}
