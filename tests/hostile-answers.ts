/** What the database answers to a statement of the app role. */
export type Answer =
  /** An error with this SQLSTATE, or of this class of SQLSTATEs; nothing has changed. */
  | { readonly refused: string }
  /** Success, which breaks nothing for this reason; nothing has changed. */
  | { readonly harmless: string }
  /** Success, and a new entry in the audit log, which is right. */
  | { readonly logged: string };

export interface HostileStatement {
  /**
   * One or more statements for psql. `{audit}` is the audit log, `{service}` the service, `{app}` the app role, `{admin}` the
   * administrator, `{db}` the database. A statement with `{table}`, `{function}`, `{trigger}` or `{number}` runs once for each.
   */
  readonly sql: string;
  readonly answer: Answer;
}

export const NO_RIGHT = '42501';
/** The SQLSTATE of a rule of a service that a function refuses by name. */
export const RULE = 'AZ001';
/** The class of SQLSTATEs of constraints; triggers of some tables refuse the change first. */
export const INTEGRITY = '23';

export function refused(sqlState: string, statements: readonly string[]): readonly HostileStatement[] {
  return statements.map((sql) => ({ sql, answer: { refused: sqlState } }));
}

export function harmless(reason: string, statements: readonly string[]): readonly HostileStatement[] {
  return statements.map((sql) => ({ sql, answer: { harmless: reason } }));
}

export function logged(reason: string, statements: readonly string[]): readonly HostileStatement[] {
  return statements.map((sql) => ({ sql, answer: { logged: reason } }));
}
