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

/** The limits that a role lacks, with the values that it must have. A lower limit is an operator's choice and is kept. */
export async function findMissingLimits(client: ClientBase, role: string): Promise<Readonly<Record<string, string>>> {
  const { rows } = await client.query<{ version: string; number: number; settings: string[] | null }>(
    `SELECT version(), current_setting('server_version_num')::int AS number,
            (SELECT rolconfig FROM pg_roles WHERE rolname = $1) AS settings`,
    [role],
  );
  const [{ version = '', number = 0, settings = [] } = {}] = rows;
  const found = new Map((settings ?? []).map((setting) => splitSetting(setting)));
  const missing = Object.entries(roleLimitsFor(number, version)).filter(
    ([name, limit]) => !isAtMost(found.get(name), limit),
  );
  return Object.fromEntries(missing);
}

/** Gives a role the limits that it lacks. The caller holds the rights lock, or nobody else changes the role. */
export async function setRoleLimits(
  client: ClientBase,
  role: string,
  limits: Readonly<Record<string, string>>,
): Promise<void> {
  const statements = Object.entries(limits).map(
    ([name, limit]) => `ALTER ROLE ${quoteIdentifier(role)} SET ${quoteIdentifier(name)} = ${quoteLiteral(limit)}`,
  );
  if (statements.length > 0) await client.query(statements.join('; '));
}

function splitSetting(setting: string): [name: string, value: string] {
  const [name = '', ...value] = setting.split('=');
  return [name, value.join('=')];
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
