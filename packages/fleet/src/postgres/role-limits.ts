/** The limits that the server enforces on every session of an app role. A store can lower them for its own sessions. */
export const ROLE_LIMITS = {
  statement_timeout: '30s',
  lock_timeout: '10s',
  idle_in_transaction_session_timeout: '60s',
  client_connection_check_interval: '2s',
} as const;

/** The limits that exist from PostgreSQL 17 on. */
export const ROLE_LIMITS_FROM_17 = { transaction_timeout: '60s' } as const;
