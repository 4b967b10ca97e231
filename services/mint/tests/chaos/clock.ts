import { withClient } from '@azora/db-fleet';
import type { Mint } from '../../src';
import type { Ledger } from './server';

/**
 * Gives the database a time that advances by twelve seconds with each reading, so that holds expire and locks end during a
 * run, and that sometimes goes back by up to half a minute, as after a failover to a server with another clock.
 */
export async function startChaosClock({ admin }: Ledger): Promise<void> {
  await withClient(admin, (client) =>
    client.query(`
      CREATE SEQUENCE IF NOT EXISTS chaos_ticks;
      CREATE OR REPLACE FUNCTION database_time() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE SECURITY DEFINER AS $$
        SELECT timestamptz '2026-01-01T00:00:00Z' + nextval('public.chaos_ticks') * interval '12 seconds'
          - CASE WHEN random() < 0.01 THEN floor(random() * 30) ELSE 0 END * interval '1 second'
      $$`),
  );
}

/** The time of the database, in milliseconds since 1970; undefined when the connection is lost. */
export async function databaseTime(mint: Mint): Promise<number | undefined> {
  try {
    const [row] = await mint.query<{ now: Date }>({ text: 'SELECT database_time() AS now', values: [] });
    return row?.now.getTime();
  } catch {
    return undefined;
  }
}
