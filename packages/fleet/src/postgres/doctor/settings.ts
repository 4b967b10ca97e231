import { type Check, defineCheck, type Patient } from './check';
import type { Finding, Level } from './finding';

interface BadSetting {
  readonly value: string;
  readonly level: Level;
  readonly message: string;
  readonly next: string;
}

const DATA_LOSS = 'a crash of the machine can destroy the whole server';

const BAD_SETTINGS: ReadonlyMap<string, BadSetting> = new Map([
  ['fsync', { value: 'off', level: 'error', message: `is off: ${DATA_LOSS}`, next: onAgain('fsync') }],
  [
    'full_page_writes',
    { value: 'off', level: 'error', message: `is off: ${DATA_LOSS}`, next: onAgain('full_page_writes') },
  ],
  [
    'synchronous_commit',
    {
      value: 'off',
      level: 'warning',
      message: 'is off: a crash loses transactions that were reported as committed',
      next: onAgain('synchronous_commit'),
    },
  ],
  [
    'autovacuum',
    {
      value: 'off',
      level: 'warning',
      message: 'is off: tables bloat, and the server stops when transaction ids run out',
      next: onAgain('autovacuum'),
    },
  ],
  [
    'data_checksums',
    {
      value: 'off',
      level: 'note',
      message: 'is off: pages that the disk damaged are read as if they were whole',
      next: 'Stop the server and run pg_checksums --enable',
    },
  ],
  [
    'idle_in_transaction_session_timeout',
    {
      value: '0',
      level: 'note',
      message: 'is 0: a session that forgets its transaction holds its locks for ever',
      next: "ALTER SYSTEM SET idle_in_transaction_session_timeout = '10min', then SELECT pg_reload_conf()",
    },
  ],
]);

function onAgain(name: string): string {
  return `ALTER SYSTEM SET ${name} = on, then SELECT pg_reload_conf()`;
}

interface SettingRow {
  readonly name: string;
  readonly value: string;
}

/** Sources whose values hold for this session or role only say nothing about the service's sessions. */
const SERVER_SOURCES = ['default', 'environment variable', 'configuration file', 'command line', 'global', 'override'];
const DATABASE_SOURCES = ['database', 'database user'];

/** The server's settings keep what was committed. */
export const checkServerSettings: Check = settingsFrom(SERVER_SOURCES);

/** Nor does the database's own setting (ALTER DATABASE … SET) give that up. */
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
    judge: (rows, patient) => rows.flatMap((row) => judgeSetting(row, patient)).map(adapt),
  });
}

/** PGlite is one session in one process that nobody can set up, so advice about it would only be noise. */
function judgeSetting({ name, value }: SettingRow, { server }: Patient): readonly Finding[] {
  const bad = BAD_SETTINGS.get(name);
  if (bad === undefined || value !== bad.value || (server === 'companion' && bad.level === 'note')) return [];
  const { level, message, next } = bad;
  return [{ check: 'settings', level, object: name, message, next }];
}

interface ConnectionRow {
  readonly used: number;
  readonly most: number;
}

/** There is room for more connections. numbackends is shown to every role; pg_stat_activity hides other roles' kinds. */
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
        message: `is ${most}, and ${used} are in use`,
        next: 'Make the pools of the services smaller, put a pooler in front, or raise max_connections',
      })),
});
