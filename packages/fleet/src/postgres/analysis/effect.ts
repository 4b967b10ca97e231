/** Lock modes of tables, weakest first, as PostgreSQL's «Explicit Locking» names them; weaker ones stop nobody. */
export const LOCK_MODES = [
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;

export type LockMode = (typeof LOCK_MODES)[number];

/** What a statement takes away from people: a table, one of its columns, values, rows. */
export interface Loss {
  readonly what: 'table' | 'column' | 'type' | 'rows' | 'objects';
  readonly table: string;
  readonly column?: string;
  /** The type that its values get. */
  readonly type?: string;
}

/** What a statement does to one table. */
export interface Effect {
  readonly table: string;
  readonly lock: LockMode;
  /** It reads every row under the lock, or writes each anew. */
  readonly work?: 'scan' | 'rewrite' | undefined;
  readonly loss?: Loss | undefined;
  /** Rows that are there make it fail. */
  readonly needsNoRows?: string | undefined;
}
