import type { Socket } from 'node:net';
import { scanSql } from '@azora/db-migrate/sql';
import { type Frame, message, queryText, statementName, withQueryText, withStatementName } from './wire';

/** A client's connection. */
export interface Session {
  readonly id: number;
  readonly socket: Socket;
  /** The names of prepared statements in the database, by the client's own names. */
  readonly statements: Map<string, string>;
  /** The messages since the last one that requested an answer. */
  batch: Frame[];
  /** A COPY FROM STDIN with the data received so far. */
  copy: Buffer[] | undefined;
  /** The last Parse of the unnamed statement, which another session may replace. */
  unnamed: Buffer | undefined;
}

/** Messages that go to the database together. */
export interface Request {
  readonly session: Session;
  readonly messages: Buffer;
  /** Whether the session sends more before another session's turn. */
  readonly holds: boolean;
  /** The effect on the unnamed statement. */
  readonly unnamed: 'used' | 'set' | 'lost' | 'kept';
  /** Whether the answer begins with a CopyInResponse that the client has already received. */
  readonly isCopy: boolean;
}

export type Reaction =
  | { readonly action: 'wait' | 'hang-up' }
  | { readonly action: 'answer'; readonly answer: Buffer }
  | { readonly action: 'ask'; readonly request: Request };

const WAIT: Reaction = { action: 'wait' };
const SYNC = message('S');
/**
 * Follows every Query. PGlite ends when it has to wait for the data of a COPY FROM STDIN; this message ends the COPY
 * instead. It has no effect after any other statement.
 */
const COPY_FAIL = message('f', 'COPY FROM STDIN must be the only statement of its query here');
/** Text format. The number of columns is not known yet, and no client reads it. */
const COPY_IN_RESPONSE = message('G', Buffer.from([0, 0, 0]));
/** A COPY in the extended protocol cannot be answered; this statement fails with an error that says so. */
const NO_COPY = 'SELECT copy_from_stdin_needs_the_simple_query_protocol_here()';

export function openSession(id: number, socket: Socket): Session {
  return { id, socket, statements: new Map(), batch: [], copy: undefined, unnamed: undefined };
}

/** Handles one message of a client. */
export function receive(session: Session, frame: Frame): Reaction {
  switch (frame.type) {
    case 'P':
    case 'B':
    case 'D':
    case 'C':
    case 'E':
      session.batch.push(frame);
      return WAIT;
    case 'H':
    case 'S':
      session.batch.push(frame);
      return ask(session, { ...takeBatch(session), holds: frame.type === 'H' });
    case 'Q':
      return receiveQuery(session, frame);
    case 'd':
    case 'c':
    case 'f':
      return receiveCopy(session, frame);
    default:
      // Terminate, or a message that would end PGlite.
      return { action: 'hang-up' };
  }
}

/** Removes the state of a client that has disconnected; `isLast` when no other client is connected. */
export function farewell(session: Session, isLast: boolean): Request {
  const closes = [...session.statements.values()].map((name) => message('C', Buffer.from('S'), name));
  const end = isLast ? [message('Q', 'DISCARD ALL')] : [...closes, SYNC];
  return requestOf(session, { messages: Buffer.concat([SYNC, message('Q', 'ROLLBACK'), ...end]), unnamed: 'lost' });
}

function receiveQuery(session: Session, frame: Frame): Reaction {
  session.unnamed = undefined;
  if (isCopyFromStdin(queryText(frame))) {
    session.copy = [frame.bytes];
    return { action: 'answer', answer: COPY_IN_RESPONSE };
  }
  return ask(session, { messages: Buffer.concat([frame.bytes, COPY_FAIL]), unnamed: 'lost' });
}

/** Collects all of the data, because PGlite must find it right after the query. Data without a query is ignored. */
function receiveCopy(session: Session, frame: Frame): Reaction {
  session.copy?.push(frame.bytes);
  if (frame.type === 'd' || session.copy === undefined) return WAIT;
  const messages = Buffer.concat(session.copy);
  session.copy = undefined;
  return ask(session, { messages, unnamed: 'lost', isCopy: true });
}

/** Takes the session's messages, and gives its statements names that no other session uses. */
function takeBatch(session: Session): Pick<Request, 'messages' | 'unnamed'> {
  let unnamed: Request['unnamed'] = 'kept';
  const messages = session.batch.map((received) => {
    const frame = isCopyFromStdin(queryText(received)) ? withQueryText(received, NO_COPY) : received;
    const name = statementName(frame);
    if (name === undefined) return frame.bytes;
    if (name !== '') return withStatementName(frame, databaseName(session, name)).bytes;
    if (frame.type === 'P') {
      unnamed = 'set';
      session.unnamed = frame.bytes;
    } else if (unnamed === 'kept') unnamed = 'used';
    return frame.bytes;
  });
  session.batch = [];
  return { messages: Buffer.concat(messages), unnamed };
}

function databaseName(session: Session, name: string): string {
  const known = session.statements.get(name) ?? `c${session.id}s${session.statements.size}`;
  session.statements.set(name, known);
  return known;
}

function ask(session: Session, request: Partial<Request> & Pick<Request, 'messages'>): Reaction {
  return { action: 'ask', request: requestOf(session, request) };
}

function requestOf(session: Session, request: Partial<Request> & Pick<Request, 'messages'>): Request {
  return { session, holds: false, unnamed: 'kept', isCopy: false, ...request };
}

/** Whether the first statement is COPY … FROM STDIN. Reads no further than it must: queries can be long. */
function isCopyFromStdin(sql: string): boolean {
  let previous = '';
  let parentheses = 0;
  for (const { kind, start, end } of scanSql(sql)) {
    if (kind === 'space' || kind === 'comment') continue;
    const token = sql.slice(start, end).toLowerCase();
    if (token === ';' || (previous === '' && token !== 'copy')) return false;
    if (parentheses === 0 && previous === 'from') return token === 'stdin';
    if (token === '(') parentheses += 1;
    if (token === ')') parentheses -= 1;
    previous = token;
  }
  return false;
}
