import { type Inside, openStore, type Store, type StoreOptions } from '@azora/db-core';
import { type Keyring, readKeyring } from './encryption';
import { CONSTRAINT_ERRORS } from './errors';
import { StreamFeed } from './feed';
import { type Prisma, PrismaClient } from './generated/client';

/** The columns that the schema marks as secret. A query returns them only if it selects them by name. */
const SECRETS = {
  shareLink: { token: true },
  webhookConfig: { secret: true },
} as const satisfies Prisma.GlobalOmitConfig;

/** The generated client, whose queries omit secrets. */
export type DebateClient = PrismaClient<'query', typeof SECRETS>;
type TransactionClient = Omit<DebateClient, '$connect' | '$disconnect' | '$on' | '$transaction' | '$extends'>;
export type DebateTransaction = Inside<TransactionClient>;

export interface DebateOptions extends StoreOptions {
  /** Keys that encrypt the secrets of webhooks, as `v2:<key>,v1:<key>`, newest first; AZORA_ENCRYPTION_KEY when absent. */
  readonly encryptionKeys?: string;
  /** Milliseconds after which tailEvents() looks for events even if nothing woke it, as behind a pooler; 1000 when absent. */
  readonly streamPollMs?: number;
}

export interface Debate extends Store<DebateClient, TransactionClient> {
  /** The keys of the secrets of webhooks; undefined if none are set. */
  readonly keyring: Keyring | undefined;
  /** Wakes those who tail the events of a cycle. */
  readonly feed: StreamFeed;
}

const DEFAULT_STREAM_POLL_MS = 1_000;

/**
 * Opens the debate database; nothing connects before the first query.
 * @throws {SuiteError} `DEBATE.ENCRYPTION_KEY_INVALID`, `CONFIG.NO_URL`, `CONFIG.BAD_URL`, `CONFIG.BAD_NUMBER`
 */
export function openDebate(options: DebateOptions = {}): Debate {
  const { encryptionKeys, streamPollMs = DEFAULT_STREAM_POLL_MS, ...storeOptions } = options;
  const keyring = readKeyring(encryptionKeys ?? process.env['AZORA_ENCRYPTION_KEY']);
  const store = openStore<TransactionClient, DebateClient>(
    'debate',
    (prismaOptions) => new PrismaClient({ ...prismaOptions, omit: SECRETS }),
    storeOptions,
    process.env,
    CONSTRAINT_ERRORS,
  );
  const feed = new StreamFeed(store.pool, streamPollMs);
  const close = () => {
    feed.close();
    return store.close();
  };
  return { ...store, close, keyring, feed };
}
