import type { ClientBase, Connection } from 'pg';

/** Lacks in the types of \`pg\`. */
interface CopyConnection extends Connection {
  readonly sendCopyFail: (reason: string) => void;
}

/** What came of SQL that was sent: `completed` statements, and the error of the one after them, if any. */
export interface Outcome {
  readonly completed: number;
  readonly error?: unknown;
}

/**
 * Sends SQL as it is, as one simple query, and counts the statements that complete: many errors of PostgreSQL, such as
 * a table that is there already, have no position, and the count says which statement it was. Rows are dropped as
 * they come, so that a SELECT in a migration costs no memory.
 */
export function runScript(client: ClientBase, sql: string): Promise<Outcome> {
  return new Promise((resolve) => {
    let completed = 0;
    const ignore = () => undefined;
    // What `pg` asks of anything that is given to client.query(); pg-cursor and pg-copy-streams are made likewise.
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
