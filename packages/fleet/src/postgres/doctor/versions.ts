import { quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { defineCheck, type Finding } from './check';

const OLDEST_MAJOR = 15;
const NEWEST_MAJOR = 18;

interface KnownBug {
  readonly major: number;
  /** The minor release with the fix. */
  readonly fixedIn: number;
  readonly what: string;
}

/** Source: section "Migration to Version …" of https://www.postgresql.org/docs/<major>/release-<major>-<minor>.html. */
const KNOWN_BUGS: readonly KnownBug[] = [
  { major: 15, fixedIn: 6, what: 'concurrent updates can corrupt GIN indexes' },
  { major: 16, fixedIn: 2, what: 'concurrent updates can corrupt GIN indexes' },
  { major: 17, fixedIn: 5, what: 'self-referential foreign keys of partitioned tables are not fully enforced' },
  { major: 18, fixedIn: 7, what: 'several bugs can corrupt indexes and incremental backups' },
];

interface VersionRow {
  /** 180004 means 18.4. */
  readonly number: number;
}

/** Finds server versions that the suite does not support, and versions with a known bug that damages data. */
export const checkVersion = defineCheck<VersionRow>({
  sql: `SELECT current_setting('server_version_num')::int AS number`,
  judge: ([row], { server }) => (row === undefined ? [] : versionFindings(row.number, server !== 'ordinary')),
});

/** The findings about a version. The embedded server can only be as new as its npm package. */
export function versionFindings(number: number, isBundled: boolean): readonly Finding[] {
  const [major, minor] = [Math.floor(number / 10_000), number % 10_000];
  const common = { check: 'server-version', object: `PostgreSQL ${major}.${minor}` } as const;
  if (major < OLDEST_MAJOR || major > NEWEST_MAJOR) {
    const message = `is not supported; the suite supports ${OLDEST_MAJOR} to ${NEWEST_MAJOR}`;
    return [{ ...common, level: 'error', message, next: `Upgrade to PostgreSQL ${NEWEST_MAJOR}` }];
  }
  return KNOWN_BUGS.filter((bug) => bug.major === major && minor < bug.fixedIn).map(({ fixedIn, what }) => ({
    ...common,
    level: isBundled ? 'note' : 'warning',
    message: `has a known bug: ${what}`,
    next: isBundled
      ? `Update the npm package of the embedded server once it contains ${major}.${fixedIn}`
      : `Update to ${major}.${fixedIn} or newer, and see its release notes for the indexes to rebuild`,
  }));
}

/** pgvector before 0.8.3 corrupts HNSW indexes during VACUUM, and 0.8.4 fixes the fix (CHANGELOG.md of pgvector). */
const MINIMUM_VERSIONS: ReadonlyMap<string, { readonly version: string; readonly why: string }> = new Map([
  ['vector', { version: '0.8.4', why: 'vacuuming can corrupt HNSW indexes' }],
]);

interface ExtensionRow {
  readonly name: string;
  readonly installed: string | null;
  /** The version that CREATE EXTENSION would install; null when the server lacks the extension. */
  readonly offered: string | null;
}

const EXTENSIONS = `
  SELECT coalesce(extname, name)::text AS name, extversion AS installed, default_version AS offered
  FROM pg_extension FULL JOIN pg_available_extensions ON name = extname ORDER BY 1`;

/** Finds missing extensions, versions with known bugs, and versions older than the server offers. */
export const checkExtensions = defineCheck<ExtensionRow>({
  sql: EXTENSIONS,
  judge: (rows, { extensions }) => {
    const known = new Map(rows.map((row) => [row.name, row]));
    const missing = extensions.filter((name) => (known.get(name)?.installed ?? null) === null);
    return [
      ...missing.map((name) => missingFinding(name, known.get(name)?.offered ?? null)),
      ...rows.flatMap(outdatedFindings),
    ];
  },
});

function missingFinding(name: string, offered: string | null): Finding {
  return {
    check: 'extension-missing',
    level: 'error',
    object: name,
    message: 'is required by the service but not installed',
    next:
      offered === null
        ? 'Install the package of the extension on the server, then run "npm run db:migrate"'
        : `CREATE EXTENSION ${quoteIdentifier(name)}, or run "npm run db:migrate" if its migration is pending`,
  };
}

function outdatedFindings({ name, installed, offered }: ExtensionRow): readonly Finding[] {
  if (installed === null) return [];
  const minimum = MINIMUM_VERSIONS.get(name);
  const update = `ALTER EXTENSION ${quoteIdentifier(name)} UPDATE`;
  if (minimum !== undefined && isOlder(installed, minimum.version)) {
    const helps = offered !== null && !isOlder(offered, minimum.version);
    const next = helps ? update : `Install ${name} ${minimum.version} or newer on the server, then ${update}`;
    const message = `has version ${installed}; before ${minimum.version}, ${minimum.why}`;
    return [{ check: 'extension-version', level: 'error', object: name, message, next: `${next}, and REINDEX` }];
  }
  if (offered === null || !isOlder(installed, offered)) return [];
  const message = `has version ${installed}, and the server offers ${offered}`;
  return [{ check: 'extension-version', level: 'note', object: name, message, next: update }];
}

/** The extensions of a database whose version can damage data, each as a line with what to do. */
export async function dangerousExtensions(client: ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<ExtensionRow>(EXTENSIONS);
  const errors = rows.flatMap(outdatedFindings).filter(({ level }) => level === 'error');
  return errors.map(({ object, message, next }) => `extension ${object} ${message}. ${next}`);
}

/** Compares versions number by number: 0.8.10 is newer than 0.8.4. */
function isOlder(version: string, other: string): boolean {
  const [mine, theirs] = [version, other].map((text) => (text.match(/\d+/g) ?? []).map(Number));
  for (const [index, number] of (theirs ?? []).entries()) {
    const own = mine?.[index] ?? 0;
    if (own !== number) return own < number;
  }
  return false;
}
