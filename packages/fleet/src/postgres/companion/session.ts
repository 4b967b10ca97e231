import type { Socket } from 'node:net';
import { scanSql } from '@azora/db-migrate/sql';
import { type Frame, message, queryText, statementName, withQueryText, withStatementName } from './wire';

/** A client's connection. */
export interface Session {
  readonly id: number;
  readonly socket: Socket;
  /** The prepared statements' names in the database, by the client's own. */
  readonly statements: Map<string, string>;
  /** Messages since the last that asked for an answer. */
  batch: Frame[];
  /** A COPY FROM STDIN and the data that came for it so far. */
  copy: Buffer[] | undefined;
  /** The last Parse of the statement without a name, which other sessions' may replace. */
  unnamed: Buffer | undefined;
}

/** Messages that go to the database together. */
export interface Turn {
  readonly session: Session;
  readonly messages: Buffer;
  /** Whether the session has more to say before another one may. */
  readonly holds: boolean;
  /** What becomes of the statement without a name. */
  readonly unnamed: 'used' | 'set' | 'lost' | 'kept';
  /** Whether the answer begins with an invitation to copy that the client has had already. */
  readonly isCopy: boolean;
}

export type Reaction =
  | { readonly action: 'wait' | 'hang-up' }
  | { readonly action: 'answer'; readonly answer: Buffer }
  | { readonly action: 'ask'; readonly turn: Turn };

const WAIT: Reaction = { action: 'wait' };
const SYNC = message('S');
/**
 * Follows every Query. PGlite cannot wait for the data of a COPY FROM STDIN and ends; this ends the COPY instead, and
 * means nothing after any other statement.
 */
const COPY_FAIL = message('f', 'COPY FROM STDIN must be a query of its own here');
/** Text format; how many columns there are is not known yet, and no client asks. */
const COPY_IN_RESPONSE = message('G', Buffer.from([0, 0, 0]));
/** As there is no way to answer a COPY in the extended protocol, an error that tells so. */
const NO_COPY = 'SELECT copy_from_stdin_needs_the_simple_query_protocol_here()';

export function openSession(id: number, socket: Socket): Session {
  return { id, socket, statements: new Map(), batch: [], copy: undefined, unnamed: undefined };
}

/** Takes a client's message in. */
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
      // A goodbye, or something at which PGlite would end.
      return { action: 'hang-up' };
  }
}

/** What has to be said for a client that is gone, so that nothing of it stays; `isLast` when nobody is left. */
export function farewell(session: Session, isLast: boolean): Turn {
  const closes = [...session.statements.values()].map((name) => message('C', Buffer.from('S'), name));
  const end = isLast ? [message('Q', 'DISCARD ALL')] : [...closes, SYNC];
  return turnOf(session, { messages: Buffer.concat([SYNC, message('Q', 'ROLLBACK'), ...end]), unnamed: 'lost' });
}

function receiveQuery(session: Session, frame: Frame): Reaction {
  session.unnamed = undefined;
  if (isCopyFromStdin(queryText(frame))) {
    session.copy = [frame.bytes];
    return { action: 'answer', answer: COPY_IN_RESPONSE };
  }
  return ask(session, { messages: Buffer.concat([frame.bytes, COPY_FAIL]), unnamed: 'lost' });
}

/** Gathers all of the data, because PGlite has to find it behind the query; what comes without a query is ignored. */
function receiveCopy(session: Session, frame: Frame): Reaction {
  session.copy?.push(frame.bytes);
  if (frame.type === 'd' || session.copy === undefined) return WAIT;
  const messages = Buffer.concat(session.copy);
  session.copy = undefined;
  return ask(session, { messages, unnamed: 'lost', isCopy: true });
}

/** The session's messages so far, its statements' names changed to ones that no other session has. */
function takeBatch(session: Session): Pick<Turn, 'messages' | 'unnamed'> {
  let unnamed: Turn['unnamed'] = 'kept';
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

function ask(session: Session, turn: Partial<Turn> & Pick<Turn, 'messages'>): Reaction {
  return { action: 'ask', turn: turnOf(session, turn) };
}

function turnOf(session: Session, turn: Partial<Turn> & Pick<Turn, 'messages'>): Turn {
  return { session, holds: false, unnamed: 'kept', isCopy: false, ...turn };
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
