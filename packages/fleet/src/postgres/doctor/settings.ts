import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import { missingLimits, type RoleSetting, roleLimitsSql } from '../role-limits';
import { type Check, type CheckContext, defineCheck, type Finding, type Level } from './check';

interface BadSetting {
  readonly value: string;
  readonly level: Level;
  readonly message: string;
  readonly next: string;
}

const DATA_LOSS = 'a crash of the machine can destroy all databases of the server';

const BAD_SETTINGS: ReadonlyMap<string, BadSetting> = new Map([
  ['fsync', { value: 'off', level: 'error', message: `is off: ${DATA_LOSS}`, next: turnOn('fsync') }],
  [
    'full_page_writes',
    { value: 'off', level: 'error', message: `is off: ${DATA_LOSS}`, next: turnOn('full_page_writes') },
  ],
  [
    'synchronous_commit',
    {
      value: 'off',
      level: 'warning',
      message: 'is off: a crash loses transactions that were reported as committed',
      next: turnOn('synchronous_commit'),
    },
  ],
  [
    'autovacuum',
    {
      value: 'off',
      level: 'warning',
      message: 'is off: tables bloat, and the server stops when transaction ids run out',
      next: turnOn('autovacuum'),
    },
  ],
  [
    'data_checksums',
    {
      value: 'off',
      level: 'note',
      message: 'is off: PostgreSQL does not detect pages that the disk damaged',
      next: 'Stop the server and run pg_checksums --enable',
    },
  ],
  [
    'idle_in_transaction_session_timeout',
    {
      value: '0',
      level: 'note',
      message: 'is 0: a session that leaves its transaction open holds its locks forever',
      next: "ALTER SYSTEM SET idle_in_transaction_session_timeout = '10min', then SELECT pg_reload_conf()",
    },
  ],
]);

function turnOn(name: string): string {
  return `ALTER SYSTEM SET ${name} = on, then SELECT pg_reload_conf()`;
}

interface SettingRow {
  readonly name: string;
  readonly value: string;
}

/** The sources of values for all sessions. A value of this session or role says nothing about the service's sessions. */
const SERVER_SOURCES = ['default', 'environment variable', 'configuration file', 'command line', 'global', 'override'];
const DATABASE_SOURCES = ['database', 'database user'];

/** Finds settings of the server that endanger committed data. */
export const checkServerSettings: Check = settingsFrom(SERVER_SOURCES);

/** Finds the same settings where the database overrides the server (ALTER DATABASE … SET). */
export const checkDatabaseSettings: Check = settingsFrom(DATABASE_SOURCES, (it) => ({
  ...it,
  object: `${it.object} of the database`,
  next: `ALTER DATABASE … RESET ${it.object}`,
}));

function settingsFrom(sources: readonly string[], adapt: (finding: Finding) => Finding = (it) => it): Check {
  const list = (items: Iterable<string>) => [...items].map((item) => `'${item}'`).join(', ');
  return defineCheck<SettingRow>({
    sql: `SELECT name, setting AS value FROM pg_settings
          WHERE name IN (${list(BAD_SETTINGS.keys())}) AND source IN (${list(sources)}) ORDER BY name`,
    judge: (rows, context) => rows.flatMap((row) => judgeSetting(row, context)).map(adapt),
  });
}

/** PGlite is one session in one process without a configuration, so notes about it would not help. */
function judgeSetting({ name, value }: SettingRow, { server }: CheckContext): readonly Finding[] {
  const bad = BAD_SETTINGS.get(name);
  if (bad === undefined || value !== bad.value || (server === 'companion' && bad.level === 'note')) return [];
  const { level, message, next } = bad;
  return [{ check: 'settings', level, object: name, message, next }];
}

interface ConnectionRow {
  readonly used: number;
  readonly most: number;
}

/** Finds servers that are short of connections. Every role sees numbackends; pg_stat_activity hides other roles' sessions. */
export const checkConnections = defineCheck<ConnectionRow>({
  sql: `SELECT coalesce(sum(numbackends), 0)::int AS used, current_setting('max_connections')::int AS most
        FROM pg_stat_database`,
  judge: (rows, { limits }) =>
    rows
      .filter(({ used, most }) => used > most * limits.connectionsShare)
      .map(({ used, most }) => ({
        check: 'connections',
        level: 'warning',
        object: 'max_connections',
        message: `is ${most}, and ${used} connections are in use`,
        next: 'Use smaller pools in the services, add a connection pooler, or raise max_connections',
      })),
});

/**
 * Finds app roles without the limits that the server enforces. A limit of the client alone leaves abandoned statements
 * running in the server. A role that does not exist has no finding: the service then connects as another one.
 */
export const checkRoleLimits = defineCheck<RoleSetting & { readonly database: string }>({
  sql: ({ role }) =>
    `SELECT current_database()::text AS database, limits.* FROM (${roleLimitsSql(role, 'current_database()')}) AS limits`,
  judge: (rows, { role, server }) => {
    // All connections of a companion are one superuser session, which no role setting reaches.
    const missing = server === 'companion' ? [] : missingLimits(rows, role, rows[0]?.database ?? '');
    if (missing.length === 0) return [];
    const names = [...new Set(missing.map(({ name }) => name))].sort();
    return [
      {
        check: 'role-limits',
        level: 'warning',
        object: role,
        message: `has no limit for ${names.join(', ')}, so abandoned statements keep running on the server`,
        next: `Run "npm run db:setup", or ${missing.map(({ statement }) => statement).join('; ')}`,
      },
    ];
  },
});

interface SearchPathRow {
  readonly path: string;
  readonly database: string;
  readonly isInDatabase: boolean;
  readonly isOfRole: boolean;
  /** The first schema of the path that exists. */
  readonly first: string | null;
}

/**
 * Finds search paths that are set for the app role, for the database or for all roles, and do not begin with schema public. Migrations
 * refuse such a path (MIGRATION.SEARCH_PATH), and the statements of a service would miss its tables, or find those of another schema.
 */
export const checkSearchPaths = defineCheck<SearchPathRow>({
  // A path is stored as a list of identifiers, quoted where necessary.
  sql: ({ role }) => `
    SELECT substr(setting, 13) AS path, current_database()::text AS database, setdatabase <> 0 AS "isInDatabase",
      setrole <> 0 AS "isOfRole", (
        SELECT nspname::text FROM unnest(string_to_array(substr(setting, 13), ',')) WITH ORDINALITY AS part (name, place)
        JOIN pg_namespace ON quote_ident(nspname) = btrim(name) OR (btrim(name) = '"$user"' AND nspname = ${quoteLiteral(role)})
        ORDER BY place LIMIT 1) AS first
    FROM pg_db_role_setting CROSS JOIN unnest(setconfig) AS setting
    WHERE setting LIKE 'search_path=%' AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = ${quoteLiteral(role)}))
    ORDER BY setrole, setdatabase`,
  judge: (rows, { role }) =>
    rows
      .filter(({ first }) => first !== 'public')
      .map(({ path, first, ...place }) => {
        const { object, statement } = placeOf(place, role);
        return {
          check: 'search-path',
          level: 'error',
          object,
          message: `has the search path ${path}, so ${first === null ? 'unqualified names have no schema' : `unqualified names mean the schema ${first}`}`,
          next: `Run ${statement} RESET search_path`,
        };
      }),
});

/** What a setting is for, and the beginning of the statement that changes it. */
function placeOf(
  { database, isInDatabase, isOfRole }: Pick<SearchPathRow, 'database' | 'isInDatabase' | 'isOfRole'>,
  role: string,
): { readonly object: string; readonly statement: string } {
  if (!isOfRole && isInDatabase) return { object: database, statement: `ALTER DATABASE ${quoteIdentifier(database)}` };
  const inDatabase = isInDatabase ? ` IN DATABASE ${quoteIdentifier(database)}` : '';
  return isOfRole
    ? { object: role, statement: `ALTER ROLE ${quoteIdentifier(role)}${inDatabase}` }
    : { object: 'every role', statement: 'ALTER ROLE ALL' };
}
