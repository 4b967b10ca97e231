import { SuiteError } from '@azora/db-core';
import type { ClientBase, Connection, Submittable } from 'pg';
import { MAX_RESULT_BYTES, MAX_ROWS } from './limits';
import { parameterText, parserOf } from './values';

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export type Row = Readonly<Record<string, unknown>>;

export interface StatementResult {
  readonly rows: readonly Row[];
  /** Whether there were more rows than an answer holds. */
  readonly isCut: boolean;
  /** As the server names what was done: `UPDATE 1`. */
  readonly tag: string;
}

/** Rows that are asked for at a time, so that long ones are noticed before a thousand of them have come. */
const BATCH_ROWS = 100;

interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

/** What the driver has beyond its types. */
interface Wire extends Connection {
  sendCopyFail(reason: string): void;
}

/** The driver's own protocol for what it sends and is told; it names these. */
interface Portal extends Submittable {
  handleRowDescription(message: { readonly fields: readonly Field[] }): void;
  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void;
  handlePortalSuspended(connection: Wire): void;
  handleCommandComplete(message: { readonly text: string }, connection: Wire): void;
  handleEmptyQuery(connection: Wire): void;
  handleCopyInResponse(connection: Wire): void;
  handleCopyData(): void;
  handleError(error: Error, connection: Wire): void;
  handleReadyForQuery(): void;
}

/**
 * Runs one statement and reads no more rows than an answer holds. It goes by the extended protocol, in which the server
 * refuses a text with a second statement.
 * @throws {SuiteError} `STUDIO.RESULT_TOO_LARGE`, after which the session is gone; what PostgreSQL answers, as the driver has it
 */
export function runStatement(client: ClientBase, statement: Statement): Promise<StatementResult> {
  return submit(client, statement, (connection) => {
    connection.bind({ values: statement.parameters.map(parameterText) }, true);
    connection.describe({ type: 'P', name: '' }, true);
    connection.execute({ portal: '', rows: String(BATCH_ROWS) }, true);
    connection.flush();
  });
}

/** Lets the server parse a statement and look up its names, and does not run it. */
export async function checkStatement(client: ClientBase, sql: string): Promise<void> {
  await submit(client, { sql, parameters: [] }, (connection) => connection.sync());
}

function submit(
  client: ClientBase,
  { sql }: Statement,
  ask: (connection: Connection) => void,
): Promise<StatementResult> {
  return new Promise((resolve, reject) => {
    let connection: Connection | undefined;
    const stop = (): void => {
      connection?.stream.off('data', count);
    };
    let bytes = 0;
    const count = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= MAX_RESULT_BYTES) return;
      stop();
      reject(tooLarge());
      connection?.stream.destroy();
    };
    const portal = openPortal(
      (result) => {
        stop();
        resolve(result);
      },
      (error) => {
        stop();
        reject(error);
      },
    );
    client.query({
      ...portal,
      submit(given: Connection) {
        connection = given;
        given.stream.on('data', count);
        given.parse({ name: '', text: sql, types: [] }, true);
        ask(given);
      },
    });
  });
}

function openPortal(done: (result: StatementResult) => void, fail: (error: Error) => void): Omit<Portal, 'submit'> {
  const rows: Row[] = [];
  let read: (values: readonly (string | null)[]) => Row = () => ({});
  let isCut = false;
  let tag = '';
  return {
    handleRowDescription: ({ fields }) => {
      read = readerOf(fields);
    },
    handleDataRow: ({ fields }) => {
      if (rows.length < MAX_ROWS) rows.push(read(fields));
      else isCut = true;
    },
    handlePortalSuspended: (connection) => {
      if (isCut) {
        connection.close({ type: 'P', name: '' }, true);
        connection.sync();
        return;
      }
      connection.execute({ portal: '', rows: String(BATCH_ROWS) }, true);
      connection.flush();
    },
    handleCommandComplete: ({ text }, connection) => {
      tag = text;
      connection.sync();
    },
    handleEmptyQuery: (connection) => connection.sync(),
    handleCopyInResponse: (connection) => connection.sendCopyFail('There is nothing to copy from here'),
    handleCopyData: () => undefined,
    handleError: (error, connection) => {
      if (connection.stream.writable) connection.sync();
      fail(error);
    },
    handleReadyForQuery: () => done({ rows, isCut, tag }),
  };
}

function readerOf(fields: readonly Field[]): (values: readonly (string | null)[]) => Row {
  const columns = fields.map(({ name, dataTypeID }) => ({ name, parse: parserOf(dataTypeID) }));
  return (values) =>
    Object.fromEntries(
      columns.map(({ name, parse }, index) => {
        const value = values[index] ?? null;
        return [name, value === null ? null : parse(value)];
      }),
    );
}

function tooLarge(): SuiteError {
  return new SuiteError('STUDIO.RESULT_TOO_LARGE', 'The result is larger than 8 MB', {
    why: 'No more than that is read at a time.',
    next: 'Ask for fewer rows or columns, or for the beginning of a long value: left(column, 1000)',
  });
}
