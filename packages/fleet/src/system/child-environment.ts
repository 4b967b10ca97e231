import type { Environment } from '@azora/db-core';

/** In upper case, because Windows spells some of them differently: `Path`, `windir`. */
const PASSED_ON: ReadonlySet<string> = new Set([
  ...['PATH', 'HOME', 'USER', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'TZ'],
  ...['SYSTEMROOT', 'WINDIR', 'COMSPEC', 'PATHEXT', 'USERPROFILE', 'APPDATA', 'LOCALAPPDATA'],
]);

/**
 * The environment of a child process: what programs need to find files and to choose a language, and `extra`. Secrets
 * (AZORA_BACKUP_KEY, database URLs) and variables that change behavior (NODE_OPTIONS, PGDATA) are not inherited.
 */
export function childEnvironment(
  environment: Environment,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const inherited = Object.entries(environment).flatMap(([name, value]): [string, string][] => {
    const isPassedOn = PASSED_ON.has(name.toUpperCase()) || name.startsWith('LC_');
    return value === undefined || !isPassedOn ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(inherited), ...extra };
}
