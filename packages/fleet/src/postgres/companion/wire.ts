/** A message of PostgreSQL's protocol and its type. The messages that open a connection have no type. */
export interface Frame {
  readonly type: string;
  readonly bytes: Buffer;
}

/** The position of a text in a message, without its final zero byte. */
interface Place {
  readonly begin: number;
  readonly end: number;
}

export type OpeningRequest = 'start' | 'encrypt' | 'cancel' | 'unknown';

const TYPE_BYTES = 1;
const LENGTH_BYTES = 4;
const BODY = TYPE_BYTES + LENGTH_BYTES;
const STATEMENT = 'S'.charCodeAt(0);
const KEY_DATA = 'K'.charCodeAt(0);
/** PostgreSQL's own limit: a longer opening message does not come from one of its clients. */
const OPENING_LIMIT_BYTES = 10_000;
const PROTOCOL_3 = 3;
const CANCEL_REQUEST = 80877102;
const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;

/** Cuts the bytes of a client into messages; undefined when the client speaks another protocol. */
export function frameReader(): (chunk: Buffer) => readonly Frame[] | undefined {
  let chunks: Buffer[] = [];
  let size = 0;
  let wanted = LENGTH_BYTES;
  let isOpen = false;
  return (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    // A message of many chunks is joined once, when it is complete.
    if (size < wanted) return [];
    let rest = Buffer.concat(chunks);
    const frames: Frame[] = [];
    for (wanted = wantedBytes(rest, isOpen); wanted <= rest.length; wanted = wantedBytes(rest, isOpen)) {
      const frame = { type: rest.toString('latin1', 0, isOpen ? TYPE_BYTES : 0), bytes: rest.subarray(0, wanted) };
      isOpen ||= openingRequest(frame) === 'start';
      frames.push(frame);
      rest = rest.subarray(wanted);
    }
    chunks = [rest];
    size = rest.length;
    return Number.isNaN(wanted) ? undefined : frames;
  };
}

/** The length of the first message as far as the bytes show it; NaN when it is not a message. */
function wantedBytes(bytes: Buffer, isOpen: boolean): number {
  const head = isOpen ? TYPE_BYTES : 0;
  if (bytes.length < head + LENGTH_BYTES) return head + LENGTH_BYTES;
  const length = bytes.readInt32BE(head);
  const isPossible = length >= LENGTH_BYTES && (isOpen || length <= OPENING_LIMIT_BYTES);
  return isPossible ? head + length : Number.NaN;
}

export function openingRequest({ bytes }: Frame): OpeningRequest {
  const code = bytes.length < 2 * LENGTH_BYTES ? 0 : bytes.readInt32BE(LENGTH_BYTES);
  if (code === SSL_REQUEST || code === GSS_REQUEST) return 'encrypt';
  if (code === CANCEL_REQUEST) return 'cancel';
  return code >>> 16 === PROTOCOL_3 ? 'start' : 'unknown';
}

export function message(type: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)));
  const head = Buffer.alloc(BODY);
  head.write(type, 'latin1');
  head.writeInt32BE(LENGTH_BYTES + body.length, TYPE_BYTES);
  return Buffer.concat([head, body]);
}

/** An error after which the server ends the connection. */
export function fatalError(sqlState: string, text: string): Buffer {
  const fields = [
    ['S', 'FATAL'],
    ['V', 'FATAL'],
    ['C', sqlState],
    ['M', text],
  ].map(([key, value]) => `${key}${value}\0`);
  return message('E', Buffer.from(`${fields.join('')}\0`));
}

/** What a client sends to cancel a statement of its session. */
export interface SessionKey {
  readonly processId: number;
  readonly secret: number;
}

/** The greeting of a database with the key of one session: PGlite gives the same key to all. */
export function greetingFor(greeting: Buffer, { processId, secret }: SessionKey): Buffer {
  const parts: Buffer[] = [];
  for (let rest = greeting; rest.length > 0; ) {
    const bytes = rest.subarray(0, TYPE_BYTES + rest.readInt32BE(TYPE_BYTES));
    parts.push(bytes[0] === KEY_DATA ? message('K', integers(processId, secret)) : bytes);
    rest = rest.subarray(bytes.length);
  }
  return Buffer.concat(parts);
}

/** The key in a request to cancel. */
export function canceledKey({ bytes }: Frame): SessionKey | undefined {
  if (bytes.length !== 4 * LENGTH_BYTES) return undefined;
  return { processId: bytes.readInt32BE(2 * LENGTH_BYTES), secret: bytes.readInt32BE(3 * LENGTH_BYTES) };
}

function integers(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(values.length * LENGTH_BYTES);
  for (const [index, value] of values.entries()) buffer.writeInt32BE(value, index * LENGTH_BYTES);
  return buffer;
}

/** The message that opens a connection. */
export function startupMessage(): Buffer {
  return openingMessage(Buffer.from('\0\x03\0\0user\0postgres\0database\0postgres\0\0', 'latin1'));
}

/** Asks whether the server encrypts. A companion answers before the client has logged in. */
export function encryptionRequest(): Buffer {
  const code = Buffer.alloc(LENGTH_BYTES);
  code.writeInt32BE(SSL_REQUEST);
  return openingMessage(code);
}

function openingMessage(body: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeInt32BE(LENGTH_BYTES + body.length);
  return Buffer.concat([length, body]);
}

/** The prepared statement that a Parse, Bind, Describe or Close names; undefined for other messages and for portals. */
export function statementName(frame: Frame): string | undefined {
  const place = namePlace(frame);
  return place === undefined ? undefined : frame.bytes.toString('utf8', place.begin, place.end);
}

/** The same message with another statement name. */
export function withStatementName(frame: Frame, name: string): Frame {
  return withText(frame, namePlace(frame), name);
}

function namePlace({ type, bytes }: Frame): Place | undefined {
  if (type === 'P') return textAt(bytes, BODY);
  // A Bind names its portal first; a Describe or Close has a letter for the kind of its name.
  if (type === 'B') return textAt(bytes, bytes.indexOf(0, BODY) + 1);
  return (type === 'D' || type === 'C') && bytes[BODY] === STATEMENT ? textAt(bytes, BODY + 1) : undefined;
}

/** The text of a Query or a Parse; empty for other messages. */
export function queryText(frame: Frame): string {
  const place = queryPlace(frame);
  return place === undefined ? '' : frame.bytes.toString('utf8', place.begin, place.end);
}

/** The same Parse with another query text. */
export function withQueryText(frame: Frame, text: string): Frame {
  return withText(frame, queryPlace(frame), text);
}

function queryPlace({ type, bytes }: Frame): Place | undefined {
  if (type === 'Q') return textAt(bytes, BODY);
  return type === 'P' ? textAt(bytes, bytes.indexOf(0, BODY) + 1) : undefined;
}

function textAt(bytes: Buffer, begin: number): Place {
  return { begin, end: bytes.indexOf(0, begin) };
}

function withText({ type, bytes }: Frame, place: Place | undefined, text: string): Frame {
  if (place === undefined) return { type, bytes };
  const [before, after] = [bytes.subarray(BODY, place.begin), bytes.subarray(place.end)];
  return { type, bytes: message(type, before, Buffer.from(text), after) };
}
