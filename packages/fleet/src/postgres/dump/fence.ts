import { findDatabaseError } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { type DumpedTable, tableList } from './snapshot';

/**
 * How long one attempt may take for all tables of a database. Shorter than PostgreSQL's `deadlock_timeout` (one second),
 * so that a writer with which this waits in a circle is let go before the server would end its transaction.
 */
const ATTEMPT_MS = 500;
const CANCELED = '57014';

/**
 * Stops the writers of a database: those that have begun are waited for, new ones wait until `lowerFence`. False, and
 * nobody is stopped, when that could not be had at once.
 */
export async function raiseFence(client: ClientBase, tables: readonly DumpedTable[]): Promise<boolean> {
  if (tables.length === 0) return true;
  await client.query(`BEGIN; SET LOCAL statement_timeout = ${ATTEMPT_MS}`);
  try {
    await client.query(`LOCK TABLE ${tableList(tables)} IN SHARE MODE`);
    return true;
  } catch (error) {
    await lowerFence(client);
    if (findDatabaseError(error)?.sqlState === CANCELED) return false;
    throw error;
  }
}

export async function lowerFence(client: ClientBase): Promise<void> {
  await client.query('ROLLBACK');
}
