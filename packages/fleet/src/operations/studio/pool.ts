import type { DatabaseUrl } from '@azora/db-core';
import { Pool } from 'pg';

/** Questions that one database is asked at once. */
export const SESSIONS = 4;

const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 30_000;

/** A pool of sessions for the studio; the server may end them or go away at any time. */
export function openStudioPool(url: DatabaseUrl, sessions: 'one' | 'many'): Pool {
  const pool = new Pool({
    connectionString: url.href,
    max: sessions === 'one' ? 1 : SESSIONS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'azora-db studio',
  });
  // A session that ends while nobody uses it is left by the pool; without a listener it would end the process.
  pool.on('error', () => undefined);
  return pool;
}
