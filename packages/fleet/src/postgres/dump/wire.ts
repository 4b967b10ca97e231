/** What the two threads that run pg_dump over one connection say to each other, in PostgreSQL's wire protocol (version 3). */

const READY_FOR_QUERY = 0x5a;
const TERMINATE = 0x58;
const HEADER_BYTES = 5;

/** What the worker is asked to do. */
export interface DumpRequest {
  /** Requests for the server and, at the end, the outcome come from it; the server's answers go to it. */
  readonly port: import('node:worker_threads').MessagePort;
  /** One 32-bit word. */
  readonly answered: SharedArrayBuffer;
  readonly serverVersion: string;
}

/** What the word says. */
export const ANSWER = { none: 0, posted: 1, lost: 2 } as const;

/** What the worker posts at the end of a request. */
export type DumpOutcome = { readonly sql: string } | { readonly failed: string };

/** Whether the bytes are whole messages, the last of which says that the server waits for the next query. */
export function isWholeAnswer(bytes: Buffer): boolean {
  const last = lastMessageType(bytes);
  return last === READY_FOR_QUERY;
}

/** Whether the bytes are whole messages of a client; libpq may write a long one in pieces. */
export function isWholeRequest(bytes: Buffer): boolean {
  return lastMessageType(bytes) !== undefined;
}

export function isTerminate(bytes: Buffer): boolean {
  return bytes[0] === TERMINATE;
}

/** What a server says to a client that it lets in without a password. */
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

/** A client's message that asks for a statement without parameters. */
export function query(sql: string): Buffer {
  return message('Q', Buffer.from(`${sql}\0`));
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.write(type, 0);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** The type of the last message when nothing is missing of it. */
function lastMessageType(bytes: Buffer): number | undefined {
  let type: number | undefined;
  let at = 0;
  while (at + HEADER_BYTES <= bytes.length) {
    type = bytes[at];
    at += 1 + bytes.readInt32BE(at + 1);
  }
  return at === bytes.length ? type : undefined;
}
