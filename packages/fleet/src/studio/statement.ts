import { SuiteError } from '@azora/db-core';
import { type ClientBase, type Connection, type Submittable, types } from 'pg';

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export type Row = Readonly<Record<string, unknown>>;

export interface StatementResult {
  readonly rows: readonly Row[];
  /** Whether there were more rows than {@link MAX_ROWS}. */
  readonly isCut: boolean;
  /** The server's command tag: `UPDATE 1`. */
  readonly tag: string;
}

/** Rows of an answer: a page shows a hundred at most, and typed SQL can use LIMIT and OFFSET. */
const MAX_ROWS = 1_000;
/** Bytes of an answer as the server sends them, which bounds the memory of this process and of the page. */
const MAX_RESULT_BYTES = 8 * 1024 * 1024;
/** Rows that are requested at a time, so that a result of long rows is noticed before a thousand of them arrive. */
const BATCH_ROWS = 100;

/**
 * Runs one statement and reads at most {@link MAX_ROWS} rows. It uses the extended protocol, in which the server rejects
 * a text with more than one statement.
 * @throws {SuiteError} `STUDIO.RESULT_TOO_LARGE`, after which the session is gone; PostgreSQL's error as the driver has it
 */
export function runStatement(client: ClientBase, statement: Statement): Promise<StatementResult> {
  return submit(client, statement, (connection) => {
    connection.bind({ values: statement.parameters.map(parameterText) }, true);
    connection.describe({ type: 'P', name: '' }, true);
    connection.execute({ portal: '', rows: String(BATCH_ROWS) }, true);
    connection.flush();
  });
}

/** Lets the server parse and analyze a statement without running it. */
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

function tooLarge(): SuiteError {
  return new SuiteError('STUDIO.RESULT_TOO_LARGE', 'The result is larger than 8 MB', {
    kind: 'usage',
    why: 'The studio reads at most 8 MB of one result.',
    next: 'Select fewer rows or columns, or the beginning of long values: left(column, 1000)',
  });
}

interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

/** Methods of the driver's connection that its types leave out. */
interface Wire extends Connection {
  sendCopyFail(reason: string): void;
}

/** The driver's interface for a query object that handles protocol messages itself. */
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
    handleCopyInResponse: (connection) => connection.sendCopyFail('The studio sends no COPY data'),
    handleCopyData: () => undefined,
    handleError: (error, connection) => {
      if (connection.stream.writable) connection.sync();
      fail(error);
    },
    handleReadyForQuery: () => done({ rows, isCut, tag }),
  };
}

function readerOf(fields: readonly Field[]): (values: readonly (string | null)[]) => Row {
  const names = distinct(fields.map(({ name }) => name));
  const columns = fields.map(({ dataTypeID }, index) => ({ name: names[index] ?? '', parse: parserOf(dataTypeID) }));
  return (values) =>
    Object.fromEntries(
      columns.map(({ name, parse }, index) => {
        const value = values[index] ?? null;
        return [name, value === null ? null : parse(value)];
      }),
    );
}

/** A row is an object, in which the second of two columns of one name would replace the first: `id`, `id (2)`. */
function distinct(names: readonly string[]): readonly string[] {
  const given = new Set(names);
  const taken = new Set<string>();
  return names.map((name) => {
    let own = name;
    for (let number = 2; taken.has(own) || (own !== name && given.has(own)); number += 1) own = `${name} (${number})`;
    taken.add(own);
    return own;
  });
}

/**
 * Types whose text and whose JavaScript value determine each other. Values of all other types go to the page as
 * PostgreSQL's text: JavaScript would round a number of a document, drop the sign of -0, or turn 1e400 into null.
 */
const PARSED: ReadonlySet<number> = new Set([
  types.builtins.BOOL,
  types.builtins.INT2,
  types.builtins.INT4,
  types.builtins.OID,
]);

function parserOf(typeId: number): (text: string) => unknown {
  return PARSED.has(typeId) ? types.getTypeParser(typeId) : (text) => text;
}

/** A parameter in text format; the server knows its type. */
function parameterText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return arrayText(value);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function arrayText(values: readonly unknown[]): string {
  const items = values.map((value) => {
    if (Array.isArray(value)) return arrayText(value);
    const text = parameterText(value);
    return text === null ? 'NULL' : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
  });
  return `{${items.join(',')}}`;
}
