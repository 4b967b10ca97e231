import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { ClientBase } from 'pg';

/**
 * The limits that the server enforces for every session of an app role, also when the client is gone. PostgreSQL applies
 * a role's settings at login, so they work behind PgBouncer. A store may set a lower limit for its own session.
 */
export const ROLE_LIMITS = {
  statement_timeout: '30s',
  lock_timeout: '10s',
  idle_in_transaction_session_timeout: '60s',
  client_connection_check_interval: '2s',
} as const;

/** The limits that only PostgreSQL 17 and later know. */
export const ROLE_LIMITS_FROM_17 = { transaction_timeout: '60s' } as const;
const VERSION_17 = 170_000;

/** The limits that this server knows. Only some platforms can check whether a client is still connected. */
function roleLimitsFor(versionNumber: number, version: string): Readonly<Record<string, string>> {
  const { client_connection_check_interval: checkInterval, ...limits } = ROLE_LIMITS;
  return {
    ...limits,
    ...(/linux|darwin|bsd/.test(version) ? { client_connection_check_interval: checkInterval } : {}),
    ...(versionNumber >= VERSION_17 ? ROLE_LIMITS_FROM_17 : {}),
  };
}

/** A row of {@link roleLimitsSql}. */
export interface RoleSetting {
  readonly version: string;
  readonly number: number;
  /** `lock_timeout=10s`; null when the role has no setting. */
  readonly setting: string | null;
  /** Whether the setting holds in this database only, where it takes precedence. */
  readonly isInDatabase: boolean;
}

/** A limit that a role lacks, and the statement that sets it. */
export interface MissingLimit {
  readonly name: string;
  readonly statement: string;
}

/** The settings of a role, for all databases and for this one. No row when the role does not exist. */
export function roleLimitsSql(role: string, database: string): string {
  return `
    SELECT version() AS version, current_setting('server_version_num')::int AS number, setting,
           coalesce(setdatabase <> 0, false) AS "isInDatabase"
    FROM pg_roles LEFT JOIN (pg_db_role_setting CROSS JOIN unnest(setconfig) AS setting)
      ON setrole = pg_roles.oid AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = ${database}))
    WHERE rolname = ${quoteLiteral(role)}`;
}

/**
 * Compares the rows of {@link roleLimitsSql} with the limits that the role must have. A lower limit is an operator's choice and
 * is kept.
 */
export function missingLimits(rows: readonly RoleSetting[], role: string, database: string): readonly MissingLimit[] {
  const [first] = rows;
  if (first === undefined) return [];
  const name = quoteIdentifier(role);
  const settings = rows.flatMap(({ setting, isInDatabase }) =>
    setting === null ? [] : [{ ...splitSetting(setting), isInDatabase }],
  );
  return Object.entries(roleLimitsFor(first.number, first.version)).flatMap(([limit, value]) => {
    const found = settings.filter((it) => it.name === limit);
    const everywhere = found.find(({ isInDatabase }) => !isInDatabase);
    const here = found.find(({ isInDatabase }) => isInDatabase);
    const statements = [
      ...(isAtMost(everywhere?.value, value) ? [] : [`ALTER ROLE ${name} SET ${limit} = ${quoteLiteral(value)}`]),
      ...(here === undefined || isAtMost(here.value, value)
        ? []
        : [`ALTER ROLE ${name} IN DATABASE ${quoteIdentifier(database)} RESET ${limit}`]),
    ];
    return statements.map((statement) => ({ name: limit, statement }));
  });
}

/** The limits that a role lacks in a database. */
export async function findMissingLimits(
  client: ClientBase,
  role: string,
  database: string,
): Promise<readonly MissingLimit[]> {
  const { rows } = await client.query<RoleSetting>(roleLimitsSql(role, quoteLiteral(database)));
  return missingLimits(rows, role, database);
}

/** Gives a role the limits that it lacks. The caller holds the rights lock, or nobody else changes the role. */
export async function setRoleLimits(client: ClientBase, limits: readonly MissingLimit[]): Promise<void> {
  if (limits.length > 0) await client.query(limits.map(({ statement }) => statement).join('; '));
}

function splitSetting(setting: string): { readonly name: string; readonly value: string } {
  const [name = '', ...value] = setting.split('=');
  return { name, value: value.join('=') };
}

/** Whether a limit is set and not above the other one. PostgreSQL takes 0 for no limit at all. */
function isAtMost(found: string | undefined, limit: string): boolean {
  const milliseconds = millisecondsOf(found ?? '');
  return milliseconds > 0 && milliseconds <= millisecondsOf(limit);
}

const UNITS_MS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** The value of a setting that PostgreSQL measures in milliseconds; NaN for any other text. */
function millisecondsOf(text: string): number {
  const [, number, unit = 'ms'] = /^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*$/.exec(text) ?? [];
  return Number(number) * (UNITS_MS[unit] ?? Number.NaN);
}
