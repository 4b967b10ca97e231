import { defineCheck } from './check';
import type { Finding } from './finding';

const OLDEST_MAJOR = 15;
const NEWEST_MAJOR = 18;

interface KnownBug {
  readonly major: number;
  /** The minor release that corrects it. */
  readonly fixedIn: number;
  readonly what: string;
}

/** From the section "Migration to Version …" of https://www.postgresql.org/docs/<major>/release-<major>-<minor>.html. */
const KNOWN_BUGS: readonly KnownBug[] = [
  { major: 15, fixedIn: 6, what: 'concurrent updates can corrupt GIN indexes' },
  { major: 16, fixedIn: 2, what: 'concurrent updates can corrupt GIN indexes' },
  { major: 17, fixedIn: 5, what: 'self-referential foreign keys of partitioned tables are not fully enforced' },
  { major: 18, fixedIn: 7, what: 'several bugs can corrupt indexes and incremental backups' },
];

interface VersionRow {
  /** 180004 is 18.4. */
  readonly number: number;
}

/** The server is of a version that the suite supports, without a known bug that damages data. */
export const checkVersion = defineCheck<VersionRow>({
  sql: `SELECT current_setting('server_version_num')::int AS number`,
  judge: ([row], { server }) => (row === undefined ? [] : versionFindings(row.number, server !== 'ordinary')),
});

/** What is wrong with that version; a server that the suite brings along can only be as new as npm has it. */
export function versionFindings(number: number, isBrought: boolean): readonly Finding[] {
  const [major, minor] = [Math.floor(number / 10_000), number % 10_000];
  const common = { check: 'server-version', object: `PostgreSQL ${major}.${minor}` } as const;
  if (major < OLDEST_MAJOR || major > NEWEST_MAJOR) {
    const message = `is not supported: the suite needs ${OLDEST_MAJOR} to ${NEWEST_MAJOR}`;
    return [{ ...common, level: 'error', message, next: `Move to PostgreSQL ${NEWEST_MAJOR}` }];
  }
  return KNOWN_BUGS.filter((bug) => bug.major === major && minor < bug.fixedIn).map(({ fixedIn, what }) => ({
    ...common,
    level: isBrought ? 'note' : 'warning',
    message: `has a known bug: ${what}`,
    next: isBrought
      ? `Update the npm package that brings the server, once it carries ${major}.${fixedIn}`
      : `Update to ${major}.${fixedIn} or newer, and read in its release notes which indexes to rebuild`,
  }));
}
