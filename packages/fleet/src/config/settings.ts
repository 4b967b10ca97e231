import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { type DatabaseUrl, parseDatabaseUrl, SuiteError } from '@azora/db-core';
import type { Environment } from '../system/child-environment';
import { type BackupSettings, readBackupSettings } from './backup-settings';
import type { Service } from './registry';
import { MANIFEST_PREFIX } from './registry';

/** What the environment and `.env` decide, parsed once where a command starts. */
export interface Settings {
  /** The checkout. */
  readonly root: string;
  /** Where the embedded server, its password and the app roles' credentials are kept. */
  readonly home: string;
  /** Starts the names of databases and roles. */
  readonly prefix: string;
  /** The administrator's URL of a server for all services; without it they live on the embedded server. */
  readonly serverUrl: DatabaseUrl | undefined;
  /** The administrator's URL of one service's own database, by service name; wins over `serverUrl`. */
  readonly serviceUrls: ReadonlyMap<string, DatabaseUrl>;
  readonly backups: BackupSettings;
  /** The variables of `.env` and the process, for child processes and clients that are configured by variables. */
  readonly environment: Environment;
}

const PREFIX = /^[a-z][a-z0-9_]{0,19}$/;

/** `AUTH_DATABASE_URL`: the variable that names one service's database outright. */
export function urlVariable(service: string): string {
  return `${service.toUpperCase().replaceAll('-', '_')}_DATABASE_URL`;
}

/** The environment over what `.env` in the checkout says; an empty variable counts as unset. */
export function readEnvironment(root: string, environment: Environment): Environment {
  const file = path.join(root, '.env');
  const fromFile = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
  const set = Object.entries({ ...fromFile, ...environment }).filter(
    ([, value]) => value !== undefined && value !== '',
  );
  return Object.fromEntries(set);
}

/**
 * Parses the settings and reports every bad one together.
 * @throws {SuiteError} `CONFIG.BAD_URL`, `CONFIG.BAD_PREFIX`, `CONFIG.INVALID` for several
 */
export function readSettings(root: string, services: readonly Service[], environment: Environment): Settings {
  const problems: SuiteError[] = [];
  const parse = (variable: string): DatabaseUrl | undefined => {
    const text = environment[variable];
    if (text === undefined) return undefined;
    try {
      return parseDatabaseUrl(text, variable);
    } catch (error) {
      if (!(error instanceof SuiteError)) throw error;
      problems.push(error);
      return undefined;
    }
  };
  const serviceUrls = services.flatMap((service): [string, DatabaseUrl][] => {
    const url = parse(urlVariable(service.name));
    return url === undefined ? [] : [[service.name, url]];
  });
  const home = path.resolve(root, environment['AZORA_HOME'] ?? '.azora');
  const settings = {
    root,
    home,
    backups: readBackupSettings(root, home, environment, (problem) => problems.push(problem)),
    prefix: environment['AZORA_DB_PREFIX'] ?? MANIFEST_PREFIX,
    serverUrl: parse('DATABASE_URL'),
    serviceUrls: new Map(serviceUrls),
    environment,
  };
  if (!PREFIX.test(settings.prefix)) problems.push(badPrefix());
  if (problems.length > 0) throw inOne(problems);
  return settings;
}

function badPrefix(): SuiteError {
  return new SuiteError('CONFIG.BAD_PREFIX', 'AZORA_DB_PREFIX cannot start a database name', {
    kind: 'configuration',
    why: `It must match ${PREFIX.source}.`,
    next: 'Set it to something like azora_ or team1_',
    meta: { source: 'AZORA_DB_PREFIX' },
  });
}

function inOne(problems: readonly SuiteError[]): SuiteError {
  const [first] = problems;
  if (problems.length === 1 && first !== undefined) return first;
  return new SuiteError('CONFIG.INVALID', problems.map((problem) => problem.message).join('; '), {
    kind: 'configuration',
    why: problems.map((problem) => problem.why).join(' '),
    next: problems.map((problem) => problem.next).join('; '),
    meta: { codes: problems.map((problem) => problem.code) },
  });
}
