import type { ClientBase } from 'pg';

/** The limits that pg_dump and pg_restore lift too, and the one that would end the session that holds a lock. */
const TIMEOUTS = [
  'statement_timeout',
  'lock_timeout',
  'transaction_timeout',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
];

/** Lifts all limits of the session that the server, the database or the role may set, as far as the server knows them. */
export async function withoutTimeouts(client: ClientBase): Promise<void> {
  await client.query(`SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY ($1) AND setting <> '0'`, [
    TIMEOUTS,
  ]);
}
