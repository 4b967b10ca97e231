import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { type DatabaseUrl, parseDatabaseUrl, SuiteError } from '@azora/db-core';
import type { Environment } from '../system/child-environment';
import { reasonOf } from '../system/system-errors';
import { MANIFEST_PREFIX, type Service } from './registry';

/** The settings of a command, parsed once from the environment and `.env`. */
export interface Settings {
  /** The checkout. */
  readonly root: string;
  /** The directory of the embedded server, its password and the app roles' credentials. */
  readonly home: string;
  /** The prefix of the names of databases and roles. */
  readonly prefix: string;
  /** The administrator's URL of a server for all services; undefined stands for the embedded server. */
  readonly serverUrl: DatabaseUrl | undefined;
  /** The administrator's URL of one service's own database, by service name. It takes precedence over `serverUrl`. */
  readonly serviceUrls: ReadonlyMap<string, DatabaseUrl>;
  readonly backups: BackupSettings;
  /** The environment that child processes get a part of. */
  readonly environment: Environment;
}

export interface BackupSettings {
  /** A directory, or `s3://bucket/prefix`. */
  readonly location: string;
  /** The key that encrypts and decrypts sets: an age identity or a passphrase. */
  readonly secret: { readonly identity: string } | { readonly passphrase: string } | undefined;
  /** The key of the pseudonyms in masked sets; undefined for a random key in each set. */
  readonly maskKey: string | undefined;
  /** The greatest age of the newest verified set. */
  readonly maxAgeMs: number | undefined;
}

type Report = (problem: SuiteError) => void;

const PREFIX = /^[a-z][a-z0-9_]{0,19}$/;
const IDENTITY = /^AGE-SECRET-KEY-(PQ-)?1[A-Z0-9]+$/;
const AGE = /^(\d+)([hd])$/;
const HOUR_MS = 3_600_000;

/** The variable with the URL of one service's database: `AUTH_DATABASE_URL`. */
export function urlVariable(service: string): string {
  return `${service.toUpperCase().replaceAll('-', '_')}_DATABASE_URL`;
}

/**
 * The variables of `.env` in the checkout and of the environment, which takes precedence. Empty variables are unset.
 * @throws {SuiteError} `CONFIG.UNREADABLE_ENV`
 */
export function readEnvironment(root: string, environment: Environment): Environment {
  const file = path.join(root, '.env');
  const fromFile = existsSync(file) ? parseEnv(readEnvFile(file)) : {};
  const set = Object.entries({ ...fromFile, ...environment }).filter(
    ([, value]) => value !== undefined && value !== '',
  );
  return Object.fromEntries(set);
}

function readEnvFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new SuiteError('CONFIG.UNREADABLE_ENV', `${file} cannot be read`, {
      kind: 'configuration',
      why: `${reasonOf(error)}.`,
      next: 'Make it a file that the user of this command can read, or remove it',
      meta: { file },
      cause: error,
    });
  }
}

/**
 * Parses the settings and reports all invalid ones in one error.
 * @throws {SuiteError} `CONFIG.BAD_URL`, `CONFIG.BAD_PREFIX`, `CONFIG.BAD_BACKUP_KEY`, `CONFIG.BAD_BACKUP_MAX_AGE`,
 * `CONFIG.INVALID` for several
 */
export function readSettings(root: string, services: readonly Service[], environment: Environment): Settings {
  const problems: SuiteError[] = [];
  const report: Report = (problem) => problems.push(problem);
  const serviceUrls = services.flatMap((service): [string, DatabaseUrl][] => {
    const variable = urlVariable(service.name);
    const url = readUrl(variable, environment[variable], report);
    return url === undefined ? [] : [[service.name, url]];
  });
  const home = path.resolve(root, environment['AZORA_HOME'] ?? '.azora');
  const settings = {
    root,
    home,
    prefix: readPrefix(environment['AZORA_DB_PREFIX'] ?? MANIFEST_PREFIX, report),
    serverUrl: readUrl('DATABASE_URL', environment['DATABASE_URL'], report),
    serviceUrls: new Map(serviceUrls),
    backups: readBackupSettings(root, home, environment, report),
    environment,
  };
  const [first, ...others] = problems;
  if (first === undefined) return settings;
  throw others.length === 0 ? first : invalid(problems);
}

function readUrl(variable: string, text: string | undefined, report: Report): DatabaseUrl | undefined {
  if (text === undefined) return undefined;
  try {
    return parseDatabaseUrl(text, variable);
  } catch (error) {
    if (!(error instanceof SuiteError)) throw error;
    report(error);
    return undefined;
  }
}

function readPrefix(prefix: string, report: Report): string {
  if (!PREFIX.test(prefix)) {
    report(
      new SuiteError('CONFIG.BAD_PREFIX', 'AZORA_DB_PREFIX cannot begin a database name', {
        kind: 'configuration',
        why: `It must match ${PREFIX.source}.`,
        next: 'Set it to a prefix such as azora_ or team1_',
        meta: { source: 'AZORA_DB_PREFIX' },
      }),
    );
  }
  return prefix;
}

function readBackupSettings(root: string, home: string, environment: Environment, report: Report): BackupSettings {
  const location = environment['AZORA_BACKUP_DIR'] ?? path.join(home, 'backups');
  return {
    location: location.includes('://') ? location : path.resolve(root, location),
    secret: readBackupKey(environment, report),
    maskKey: environment['AZORA_MASK_KEY'],
    maxAgeMs: readMaxAge(environment['AZORA_BACKUP_MAX_AGE'], report),
  };
}

function readBackupKey(environment: Environment, report: Report): BackupSettings['secret'] {
  const [identity, passphrase] = [environment['AZORA_BACKUP_KEY']?.trim(), environment['AZORA_BACKUP_PASSPHRASE']];
  if (identity === undefined) return passphrase === undefined ? undefined : { passphrase };
  if (IDENTITY.test(identity)) return { identity };
  report(
    new SuiteError('CONFIG.BAD_BACKUP_KEY', 'AZORA_BACKUP_KEY is not a valid key', {
      kind: 'configuration',
      why: 'It must be an age identity, which begins with AGE-SECRET-KEY-1.',
      next: 'Create one with "age-keygen", or set AZORA_BACKUP_PASSPHRASE instead',
      meta: { source: 'AZORA_BACKUP_KEY' },
    }),
  );
  return undefined;
}

function readMaxAge(text: string | undefined, report: Report): number | undefined {
  if (text === undefined) return undefined;
  const [, number, unit] = AGE.exec(text) ?? [];
  if (number !== undefined) return Number(number) * (unit === 'd' ? 24 : 1) * HOUR_MS;
  report(
    new SuiteError('CONFIG.BAD_BACKUP_MAX_AGE', `AZORA_BACKUP_MAX_AGE cannot be ${text}`, {
      kind: 'configuration',
      why: 'It must be a number of hours or days.',
      next: 'Set it to an age such as 36h or 7d',
      meta: { source: 'AZORA_BACKUP_MAX_AGE' },
    }),
  );
  return undefined;
}

function invalid(problems: readonly SuiteError[]): SuiteError {
  return new SuiteError('CONFIG.INVALID', problems.map((problem) => problem.message).join('; '), {
    kind: 'configuration',
    why: problems.map((problem) => problem.why).join(' '),
    next: problems.map((problem) => problem.next).join('; '),
    meta: { codes: problems.map((problem) => problem.code) },
  });
}
