import type { ClientBase, Connection } from 'pg';

/** The types of `pg` lack this method. */
interface CopyConnection extends Connection {
  readonly sendCopyFail: (reason: string) => void;
}

/** The outcome of SQL that was sent: the number of completed statements, and the error of the next one, if any. */
export interface Outcome {
  readonly completed: number;
  readonly error?: unknown;
}

/**
 * Sends SQL unchanged, as one simple query, and counts the statements that complete. Many errors of PostgreSQL, such as
 * "relation already exists", have no position; the count then tells which statement failed. Rows are discarded on arrival,
 * so a SELECT in a migration costs no memory.
 */
export function runScript(client: ClientBase, sql: string): Promise<Outcome> {
  return new Promise((resolve) => {
    let completed = 0;
    const ignore = () => undefined;
    // The interface that `pg` expects of an object passed to client.query(); pg-cursor and pg-copy-streams use it too.
    client.query({
      submit: (connection: Connection) => {
        connection.query(sql);
      },
      handleCommandComplete: () => {
        completed += 1;
      },
      handleError: (error: unknown) => resolve({ completed, error }),
      handleReadyForQuery: () => resolve({ completed }),
      handleCopyInResponse: (connection: CopyConnection) => connection.sendCopyFail('a migration has no input'),
      handleCopyData: ignore,
      handleRowDescription: ignore,
      handleDataRow: ignore,
      handleEmptyQuery: ignore,
      handlePortalSuspended: ignore,
    });
  });
}
