import type { Finding, Limits } from './finding';

/** What a check knows besides the database. */
export interface Patient {
  /** Who runs the server; what the suite runs itself cannot be set up like any other. */
  readonly server: 'ordinary' | 'embedded' | 'companion';
  /** Extensions that the service's manifest names. */
  readonly extensions: readonly string[];
  readonly limits: Limits;
}

/** A question to the catalog, and what its answer means. The question changes nothing and takes no parameters. */
export interface Check {
  readonly sql: (patient: Patient) => string;
  readonly judge: (rows: readonly unknown[], patient: Patient) => readonly Finding[];
}

/** A check whose SELECT gives rows of that shape: the one place where the shape is believed. */
export function defineCheck<Row>(check: {
  readonly sql: string | ((patient: Patient) => string);
  readonly judge: (rows: readonly Row[], patient: Patient) => readonly Finding[];
}): Check {
  const { sql } = check;
  return {
    sql: typeof sql === 'string' ? () => sql : sql,
    judge: (rows, patient) => check.judge(rows as readonly Row[], patient),
  };
}
