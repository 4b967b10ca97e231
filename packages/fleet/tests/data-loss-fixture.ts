import { SuiteError } from '@azora/db-core';
import type { Script } from '@azora/db-migrate';
import type { Client } from 'pg';
import { guardData } from '../src/postgres/data-loss/guard';
import { openClient, useEmptyDatabase } from './migrations-fixture';

/** A table with five rows; its column w has no values. */
export const NOTES = `CREATE TABLE notes (id int PRIMARY KEY, v text, w text);
  INSERT INTO notes SELECT n, 'v' || n, NULL FROM generate_series(1, 5) AS n;`;

/** Runs each down.sql under the guard on an empty database, which stays empty. */
export function useDataLossGuard() {
  const url = useEmptyDatabase();
  let client: Client;
  beforeEach(async () => {
    client = await openClient(url());
  });
  afterEach(() => client.end());

  /** Runs a down.sql in a transaction with the given objects, as the runner does, and rolls all of it back. */
  const revert = async (given: string, sql: string) => {
    const script: Script = { file: 'down.sql', sql, transactional: true };
    await client.query(`BEGIN; ${given}`);
    try {
      const check = await guardData(client, script, 'reverted');
      await client.query(sql);
      await client.query('RESET ALL');
      await check?.();
    } finally {
      await client.query('ROLLBACK; RESET ALL');
    }
  };

  return {
    /** The losses that the guard reports; none when it lets the script pass. */
    lossesOf: async (given: string, sql: string): Promise<unknown> => {
      try {
        await revert(given, sql);
        return [];
      } catch (error) {
        if (error instanceof SuiteError && error.code === 'MIGRATION.DATA_LOSS') return error.meta['losses'];
        throw new Error(`${sql}: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
    /** Whether the guard refuses a file that runs outside of a transaction, before it runs. */
    isRefused: async (sql: string): Promise<boolean> => {
      try {
        await guardData(client, { file: 'down.sql', sql, transactional: false }, 'reverted');
        return false;
      } catch (error) {
        if (error instanceof SuiteError && error.code === 'MIGRATION.DATA_LOSS') return true;
        throw error;
      }
    },
  };
}
