/** The messages between the two threads that run pg_dump over one connection: PostgreSQL's wire protocol, version 3. */

const READY_FOR_QUERY = 0x5a;
const TERMINATE = 0x58;
const HEADER_BYTES = 5;

/** The request to the worker. */
export interface DumpRequest {
  /** Carries the worker's requests to the server, the server's answers, and at the end the outcome. */
  readonly port: import('node:worker_threads').MessagePort;
  /** One 32-bit word, an {@link ANSWER}, on which the worker sleeps. */
  readonly answered: SharedArrayBuffer;
  readonly serverVersion: string;
}

/** The values of {@link DumpRequest.answered}. */
export const ANSWER = { none: 0, posted: 1, lost: 2 } as const;

/** The worker's last message for a request. */
export type DumpOutcome = { readonly sql: string } | { readonly failed: string };

/** Whether the bytes are complete messages that end in ReadyForQuery. */
export function isWholeAnswer(bytes: Buffer): boolean {
  return lastMessageType(bytes) === READY_FOR_QUERY;
}

/** Whether the bytes are complete messages of a client. libpq may write a long message in several pieces. */
export function isWholeRequest(bytes: Buffer): boolean {
  return lastMessageType(bytes) !== undefined;
}

export function isTerminate(bytes: Buffer): boolean {
  return bytes[0] === TERMINATE;
}

/** The server's first messages to a client that needs no password. */
export function greeting(serverVersion: string): Buffer {
  const parameters = {
    server_version: serverVersion,
    server_encoding: 'UTF8',
    client_encoding: 'UTF8',
    standard_conforming_strings: 'on',
  };
  return Buffer.concat([
    message('R', Buffer.alloc(4)),
    ...Object.entries(parameters).map(([name, value]) => message('S', Buffer.from(`${name}\0${value}\0`))),
    message('K', Buffer.alloc(8)),
    message('Z', Buffer.from('I')),
  ]);
}

/** A client's message that runs a statement without parameters. */
export function query(sql: string): Buffer {
  return message('Q', Buffer.from(`${sql}\0`));
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.write(type, 0);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** The type of the last message; undefined when it is not complete. */
function lastMessageType(bytes: Buffer): number | undefined {
  let type: number | undefined;
  let at = 0;
  while (at + HEADER_BYTES <= bytes.length) {
    type = bytes[at];
    at += 1 + bytes.readInt32BE(at + 1);
  }
  return at === bytes.length ? type : undefined;
}
