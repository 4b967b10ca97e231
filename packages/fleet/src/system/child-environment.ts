import type { Environment } from '@azora/db-core';

export type { Environment };

/** What a program needs to find other programs, its user's files, a temporary directory and the locale. */
const INHERITED = new Set([
  ...['PATH', 'HOME', 'USER', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'TZ'],
  ...['SystemRoot', 'windir', 'ComSpec', 'PATHEXT', 'USERPROFILE', 'APPDATA', 'LOCALAPPDATA'],
]);
const INHERITED_ON_WINDOWS = new Set([...INHERITED].map((name) => name.toUpperCase()));

/**
 * The environment of a child process: the few variables that every program needs, and `extra`. Everything else stays
 * with this process, because a child must not see backup keys and database URLs, or obey PGDATA and NODE_OPTIONS.
 */
export function childEnvironment(
  environment: Environment,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const inherited = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && isInherited(entry[0]),
  );
  return { ...Object.fromEntries(inherited), ...extra };
}

/** Windows compares the names of variables without regard to case. */
function isInherited(name: string): boolean {
  if (process.platform !== 'win32') return INHERITED.has(name) || name.startsWith('LC_');
  const upper = name.toUpperCase();
  return INHERITED_ON_WINDOWS.has(upper) || upper.startsWith('LC_');
}
