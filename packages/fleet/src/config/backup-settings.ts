import path from 'node:path';
import { SuiteError } from '@azora/db-core';

/** What the environment says of backups. */
export interface BackupSettings {
  /** A directory, or `s3://bucket/prefix`. */
  readonly location: string;
  /** What opens and makes encrypted sets: an age identity, or a passphrase. */
  readonly secret: { readonly identity: string } | { readonly passphrase: string } | undefined;
  /** Of the pseudonyms in masked sets; undefined for another key in each set. */
  readonly maskKey: string | undefined;
  /** How old the newest verified set may be. */
  readonly maxAgeMs: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const IDENTITY = /^AGE-SECRET-KEY-(PQ-)?1[A-Z0-9]+$/;
const AGE = /^(\d+)([hd])$/;
const HOUR_MS = 3_600_000;

/** Reads `AZORA_BACKUP_…` and `AZORA_MASK_KEY`; what is wrong is reported and left out. */
export function readBackupSettings(
  root: string,
  home: string,
  environment: Environment,
  report: (problem: SuiteError) => void,
): BackupSettings {
  const location = environment['AZORA_BACKUP_DIR'] ?? path.join(home, 'backups');
  return {
    location: location.includes('://') ? location : path.resolve(root, location),
    secret: readSecret(environment, report),
    maskKey: environment['AZORA_MASK_KEY'],
    maxAgeMs: readMaxAge(environment['AZORA_BACKUP_MAX_AGE'], report),
  };
}

function readSecret(environment: Environment, report: (problem: SuiteError) => void): BackupSettings['secret'] {
  const [identity, passphrase] = [environment['AZORA_BACKUP_KEY']?.trim(), environment['AZORA_BACKUP_PASSPHRASE']];
  if (identity === undefined) return passphrase === undefined ? undefined : { passphrase };
  if (IDENTITY.test(identity)) return { identity };
  report(
    new SuiteError('CONFIG.BAD_BACKUP_KEY', 'AZORA_BACKUP_KEY is not a key that backups can use', {
      kind: 'configuration',
      why: 'It must be an age identity, which begins with AGE-SECRET-KEY-1.',
      next: 'Make one with "age-keygen", or set AZORA_BACKUP_PASSPHRASE instead',
      meta: { source: 'AZORA_BACKUP_KEY' },
    }),
  );
  return undefined;
}

function readMaxAge(text: string | undefined, report: (problem: SuiteError) => void): number | undefined {
  if (text === undefined) return undefined;
  const [, number, unit] = AGE.exec(text) ?? [];
  if (number !== undefined) return Number(number) * (unit === 'd' ? 24 : 1) * HOUR_MS;
  report(
    new SuiteError('CONFIG.BAD_BACKUP_MAX_AGE', `AZORA_BACKUP_MAX_AGE cannot be ${text}`, {
      kind: 'configuration',
      why: 'It must be hours or days.',
      next: 'Set it to something like 36h or 7d',
      meta: { source: 'AZORA_BACKUP_MAX_AGE' },
    }),
  );
  return undefined;
}
