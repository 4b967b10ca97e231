import type { Direction } from './finding';

/** What squawk 2.61 looks for and this suite wants to know. */
export const SQUAWK_RULES: readonly string[] = [
  'adding-field-with-default',
  'adding-foreign-key-constraint',
  'adding-not-nullable-field',
  'adding-required-field',
  'adding-serial-primary-key-field',
  'ban-alter-domain-with-add-constraint',
  'ban-create-domain-with-constraint',
  'ban-drop-column',
  'ban-drop-database',
  'ban-drop-not-null',
  'ban-drop-table',
  'ban-truncate-cascade',
  'ban-uncommitted-transaction',
  'changing-column-type',
  'constraint-missing-not-valid',
  'disallowed-unique-constraint',
  'identifier-too-long',
  'prefer-repack',
  'prefer-timestamp-tz',
  'renaming-column',
  'renaming-table',
  'require-concurrent-index-deletion',
  'require-concurrent-partition-detach',
  'require-concurrent-reindex',
  'transaction-nesting',
];

/** What squawk says about a file that its own parser cannot read, in which its rules see nothing. */
export const SQUAWK_SYNTAX_ERROR = 'syntax-error';

export const EXCLUDED_SQUAWK_RULES: readonly string[] = [
  // A migration runs in one transaction with its history row: IF NOT EXISTS would only hide that something is not as it
  // should be. Outside of a transaction the history tells a half-done one.
  'prefer-robust-stmts',
  // Rows are changed for as long as it takes; what must not last is the waiting, which lock-timeout-missing looks at.
  'require-statement-timeout',
  // Ours, lock-timeout-missing, sees which tables are new and knows who runs down.sql.
  'require-lock-timeout',
  // Ours, index-not-concurrent and concurrent-in-transaction: squawk lets a file of one statement pass as outside of a
  // transaction, and believes that every table made IF NOT EXISTS is new.
  'require-concurrent-index-creation',
  'ban-concurrent-index-creation-in-transaction',
  // Which type a column has is decided in schema.prisma and read there; Prisma writes Int, VarChar(n) and autoincrement()
  // as these.
  'prefer-bigint-over-int',
  'prefer-bigint-over-smallint',
  'prefer-identity',
  'prefer-text-field',
  // Hashes and country codes have one length, and CHECKs that a value padded with blanks would fail.
  'ban-char-field',
  // Prisma writes a new value of an enum without a place, wherever schema.prisma names it.
  'require-enum-value-ordering',
];

/** These protect programs that use what is taken away or changed; a down takes away what its up brought. */
const NOT_IN_DOWN: ReadonlySet<string> = new Set([
  'ban-drop-column',
  'ban-drop-not-null',
  'ban-drop-table',
  'renaming-column',
  'renaming-table',
  // What a down brings back was judged when it was made.
  'ban-create-domain-with-constraint',
  'prefer-timestamp-tz',
  // It restores what was, in the transaction of the whole step.
  'constraint-missing-not-valid',
]);

/** These mean tables with rows and users; squawk itself does not always see that a table is new. */
const EXISTING_TABLES_ONLY: ReadonlySet<string> = new Set([
  'adding-field-with-default',
  'adding-foreign-key-constraint',
  'adding-not-nullable-field',
  'adding-required-field',
  'adding-serial-primary-key-field',
  'ban-drop-column',
  'ban-drop-not-null',
  'ban-drop-table',
  'ban-truncate-cascade',
  'changing-column-type',
  'constraint-missing-not-valid',
  'disallowed-unique-constraint',
  'renaming-column',
  'renaming-table',
  'require-concurrent-index-deletion',
]);

/** Where squawk leaves it open. */
const HELP: Readonly<Record<string, string>> = {
  'ban-drop-column': 'Drop it in a release after the one that stops using it, and say so above the statement.',
  'ban-drop-table': 'Drop it in a release after the one that stops using it, and say so above the statement.',
  'ban-drop-not-null': 'Release the code that reads NULL first, and say so above the statement.',
  'changing-column-type': 'Add a column of the new type, fill it, move the code to it, then drop the old one.',
  'renaming-column': 'Keep the name in the database and use @map, or add a column, fill it and move the code to it.',
  'renaming-table': 'Keep the name in the database and use @@map.',
  [SQUAWK_SYNTAX_ERROR]: 'PostgreSQL can read it, squawk cannot: check its locks yourself, and say so above it.',
};

export function concerns(rule: string, direction: Direction, onlyNew: boolean): boolean {
  return !(direction === 'down' && NOT_IN_DOWN.has(rule)) && !(onlyNew && EXISTING_TABLES_ONLY.has(rule));
}

export function helpFor(rule: string, help: string | null): string {
  return help ?? HELP[rule] ?? 'See the rule in the documentation of squawk.';
}
