import { type Inside, type Logger, openStore, type Store } from '@azora/db-core';
import type { Keyring } from './encryption/encryption';
import { CONSTRAINT_ERRORS } from './errors';
import { type Prisma, PrismaClient } from './generated/client';
import { type AuthOptions, type AuthSettings, keyringOf, readSettings } from './settings';

/** The columns that the schema marks as secret. A query returns them only if it selects them by name. */
export const SECRETS = {
  user: { passwordHash: true, legacyPasswordHash: true, passwordSalt: true },
  session: { tokenHash: true },
  token: { tokenHash: true, successorSalt: true },
  mFASettings: { totpSecret: true },
  recoveryCode: { codeHash: true },
  oneTimeCode: { codeHash: true },
  oAuthProvider: { accessToken: true, refreshToken: true },
  orgInvitation: { tokenHash: true },
} as const satisfies Prisma.GlobalOmitConfig;

/** The generated client, whose queries omit secrets. */
export type AuthClient = PrismaClient<'query', typeof SECRETS>;
type TransactionClient = Omit<AuthClient, '$connect' | '$disconnect' | '$on' | '$transaction' | '$extends'>;
export type AuthTransaction = Inside<TransactionClient>;

export interface Auth extends Store<AuthClient, TransactionClient> {
  readonly settings: AuthSettings;
  /** The keys of secrets that are encrypted at rest; undefined if none are set. */
  readonly keyring: Keyring | undefined;
  readonly logger: Logger;
}

/**
 * Opens the auth database; nothing connects before the first query.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.ENCRYPTION_KEY_INVALID`, `CONFIG.NO_URL`, `CONFIG.BAD_URL`,
 * `CONFIG.BAD_NUMBER`
 */
export function openAuth(options: AuthOptions = {}): Auth {
  const settings = readSettings(options);
  const keyring = keyringOf(options, process.env);
  const store = openStore<TransactionClient, AuthClient>(
    'auth',
    (prismaOptions) => new PrismaClient({ ...prismaOptions, omit: SECRETS }),
    options,
    process.env,
    CONSTRAINT_ERRORS,
  );
  return { ...store, settings, keyring, logger: options.logger ?? console };
}
