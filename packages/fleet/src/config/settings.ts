import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { type DatabaseUrl, parseDatabaseUrl, SuiteError } from '@azora/db-core';
import type { Environment } from '../system/child-environment';
import { codeOf, reasonOf } from '../system/system-errors';
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
  /** The names of the services of this environment, from `AZORA_SERVICES`; undefined for all services of the checkout. */
  readonly selected: readonly string[] | undefined;
  /** The names of the services that `AZORA_COMPANION` puts on a companion, whatever server the others use. */
  readonly companions: ReadonlySet<string>;
  /** The names of the services that the caller asked for. A command must not leave them out. */
  readonly required: ReadonlySet<string>;
  readonly backups: BackupSettings;
  readonly audit: AuditSettings;
  /** How long a restore keeps the copies of replaced databases, besides the newest copy of each. */
  readonly keepReplacedMs: number;
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

export interface AuditSettings {
  /** How long audit entries are kept; undefined for the days of the `@retain` annotation. */
  readonly retentionDays: number | undefined;
  /** The directory, or `s3://bucket/prefix`, that keeps the anchors of audit logs. */
  readonly anchors: string;
  /** The key that signs the anchors. */
  readonly key: string | undefined;
}

type Report = (problem: SuiteError) => void;

const PREFIX = /^[a-z][a-z0-9_]{0,19}$/;
const IDENTITY = /^AGE-SECRET-KEY-(PQ-)?1[A-Z0-9]+$/;
const AGE = /^(\d+)([hd])$/;
const HOUR_MS = 3_600_000;
const KEEP_REPLACED_MS = 7 * 24 * HOUR_MS;

/** The variable with the URL of one service's database: `AUTH_DATABASE_URL`. */
export function urlVariable(service: string): string {
  return `${service.toUpperCase().replaceAll('-', '_')}_DATABASE_URL`;
}

/**
 * The variables of `.env` in the checkout and of the environment, which takes precedence. Empty variables are unset.
 * @throws {SuiteError} `CONFIG.BAD_ENV_FILE`
 */
export function readEnvironment(root: string, environment: Environment): Environment {
  const file = path.join(root, '.env');
  const fromFile = existsSync(file) ? parseEnv(readEnvFile(file)) : {};
  const set = Object.entries({ ...fromFile, ...environment }).filter(
    ([, value]) => value !== undefined && value !== '',
  );
  return Object.fromEntries(set);
}

/** A variable that is not read would silently select another server. */
function readEnvFile(file: string): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    const isText = codeOf(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA';
    throw badEnvFile(file, isText ? 'It is not UTF-8 text' : reasonOf(error));
  }
  if (text.includes('\0')) throw badEnvFile(file, 'It contains NUL, as text in UTF-16 does');
  return text;
}

function badEnvFile(file: string, reason: string): SuiteError {
  return new SuiteError('CONFIG.BAD_ENV_FILE', `${file} cannot be read`, {
    kind: 'configuration',
    why: `${reason}.`,
    next: 'Make it a readable file in UTF-8 with lines such as NAME=value, or remove it',
    meta: { file },
  });
}

/**
 * Parses the settings and reports all invalid ones in one error.
 * @throws {SuiteError} `CONFIG.BAD_URL`, `CONFIG.BAD_PREFIX`, `CONFIG.BAD_BACKUP_KEY`, `CONFIG.BAD_BACKUP_MAX_AGE`,
 * `CONFIG.APP_ROLE_URL`, `CONFIG.BAD_KEEP_REPLACED`, `CONFIG.BAD_AUDIT_RETENTION`, `CONFIG.BAD_SERVICES`, `CONFIG.SHARED_DATABASE`, `CONFIG.INVALID` for several
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
  const selected = readServiceNames('AZORA_SERVICES', environment['AZORA_SERVICES'], services, report);
  const companions = readServiceNames('AZORA_COMPANION', environment['AZORA_COMPANION'], services, report) ?? [];
  for (const name of companions) {
    if (environment[urlVariable(name)] !== undefined) report(placedTwice(name));
  }
  const settings: Settings = {
    root,
    home,
    prefix: readPrefix(environment['AZORA_DB_PREFIX'] ?? MANIFEST_PREFIX, report),
    serverUrl: readUrl('DATABASE_URL', environment['DATABASE_URL'], report),
    serviceUrls: new Map(serviceUrls),
    selected,
    companions: new Set(companions),
    required: new Set(selected),
    backups: readBackupSettings(root, home, environment, report),
    audit: readAuditSettings(root, home, environment, report),
    keepReplacedMs: readKeepReplaced(environment['AZORA_KEEP_REPLACED'], report),
    environment,
  };
  reportSharedDatabases(services, settings, report);
  reportAppRoles(services, settings, report);
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

/** The names in a variable, separated by commas. */
function readServiceNames(
  variable: string,
  text: string | undefined,
  services: readonly Service[],
  report: Report,
): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const names = text.split(',').map((name) => name.trim());
  const known = services.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    report(
      new SuiteError('CONFIG.BAD_SERVICES', `${variable} contains an unknown service`, {
        kind: 'configuration',
        why: `There is no service named ${unknown.map((name) => JSON.stringify(name)).join(', ')}.`,
        next: `Set ${variable} to names separated by commas, without others than: ${known.join(', ')}`,
        meta: { source: variable, unknown, known },
      }),
    );
  }
  return names;
}

function placedTwice(service: string): SuiteError {
  const variable = urlVariable(service);
  return new SuiteError('CONFIG.BAD_SERVICES', `AZORA_COMPANION and ${variable} contradict each other`, {
    kind: 'configuration',
    why: `AZORA_COMPANION puts ${service} on a companion, and ${variable} puts it on another server.`,
    next: `Remove ${service} from AZORA_COMPANION, or unset ${variable}`,
    meta: { source: 'AZORA_COMPANION', service },
  });
}

/** The login role of a service's store. */
export function appRole(prefix: string, service: string): string {
  return `${prefix}${service.replaceAll('-', '_')}_app`;
}

/** A store reads the app role's URL from the variable from which the toolkit reads the administrator's. */
function reportAppRoles(services: readonly Service[], { prefix, serviceUrls }: Settings, report: Report): void {
  for (const { name } of services) {
    if (serviceUrls.get(name)?.user !== appRole(prefix, name)) continue;
    const variable = urlVariable(name);
    report(
      new SuiteError('CONFIG.APP_ROLE_URL', `${variable} contains the URL of the app role`, {
        kind: 'configuration',
        why: "A store connects as the app role; the toolkit needs the administrator's URL.",
        next: `Unset ${variable} for this command, or set it to the administrator's URL`,
        meta: { source: variable, service: name },
      }),
    );
  }
}

const LOOPBACK = ['localhost', '127.0.0.1', '::1'];

/** Two services in one database would overwrite each other's history, rights and rows. */
function reportSharedDatabases(services: readonly Service[], settings: Settings, report: Report): void {
  const owners = new Map<string, string>();
  for (const { name, databaseSuffix } of services) {
    const own = settings.serviceUrls.get(name);
    const url = own ?? settings.serverUrl;
    if (url === undefined) continue;
    const database = own === undefined || own.database === '' ? `${settings.prefix}${databaseSuffix}` : own.database;
    const host = LOOPBACK.includes(url.host.toLowerCase()) ? 'localhost' : url.host.toLowerCase();
    const place = `${host}:${url.port}/${database}`;
    const other = owners.get(place);
    if (other === undefined) owners.set(place, name);
    else report(sharedDatabase(other, name, database, settings));
  }
}

function sharedDatabase(first: string, second: string, database: string, { serviceUrls }: Settings): SuiteError {
  const variables = [first, second].filter((name) => serviceUrls.has(name)).map(urlVariable);
  return new SuiteError('CONFIG.SHARED_DATABASE', `${first} and ${second} have the same database ${database}`, {
    kind: 'configuration',
    why: 'Every service needs a database of its own.',
    next: `Correct ${variables.join(' or ')}`,
    meta: { services: [first, second], variables },
  });
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

function readAuditSettings(root: string, home: string, environment: Environment, report: Report): AuditSettings {
  const anchors = environment['AZORA_AUDIT_ANCHORS'] ?? path.join(home, 'audit-anchors');
  return {
    retentionDays: readAuditRetention(environment['AZORA_AUDIT_RETENTION_DAYS'], report),
    anchors: anchors.includes('://') ? anchors : path.resolve(root, anchors),
    key: environment['AZORA_AUDIT_KEY'],
  };
}

/** The databases refuse to delete an audit entry that is younger. */
const LEAST_AUDIT_DAYS = 90;
const MOST_AUDIT_DAYS = 36_500;

function readAuditRetention(text: string | undefined, report: Report): number | undefined {
  if (text === undefined) return undefined;
  const days = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (days >= LEAST_AUDIT_DAYS && days <= MOST_AUDIT_DAYS) return days;
  report(
    new SuiteError('CONFIG.BAD_AUDIT_RETENTION', `AZORA_AUDIT_RETENTION_DAYS cannot be ${text}`, {
      kind: 'configuration',
      why: `It must be a whole number of days from ${LEAST_AUDIT_DAYS} to ${MOST_AUDIT_DAYS}.`,
      next: 'Set it to a number such as 365, or remove it to keep audit entries for 90 days',
      meta: { source: 'AZORA_AUDIT_RETENTION_DAYS' },
    }),
  );
  return undefined;
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
  const age = parseAge(text);
  if (age !== undefined) return age;
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

function readKeepReplaced(text: string | undefined, report: Report): number {
  if (text === undefined) return KEEP_REPLACED_MS;
  const age = parseAge(text);
  if (age !== undefined) return age;
  report(
    new SuiteError('CONFIG.BAD_KEEP_REPLACED', `AZORA_KEEP_REPLACED cannot be ${text}`, {
      kind: 'configuration',
      why: 'It must be a number of hours or days.',
      next: 'Set it to an age such as 12h or 7d',
      meta: { source: 'AZORA_KEEP_REPLACED' },
    }),
  );
  return KEEP_REPLACED_MS;
}

/** Hours or days: `36h`, `7d`. */
function parseAge(text: string): number | undefined {
  const [, number, unit] = AGE.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * (unit === 'd' ? 24 : 1) * HOUR_MS;
}

function invalid(problems: readonly SuiteError[]): SuiteError {
  return new SuiteError('CONFIG.INVALID', problems.map((problem) => problem.message).join('; '), {
    kind: 'configuration',
    why: problems.map((problem) => problem.why).join(' '),
    next: problems.map((problem) => problem.next).join('; '),
    meta: { codes: problems.map((problem) => problem.code) },
  });
}
