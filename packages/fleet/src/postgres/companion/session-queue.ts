import { setImmediate as nextTick } from 'node:timers/promises';
import type { PGlite } from '@electric-sql/pglite';
import type { Request, Session } from './session';
import { message, startupMessage } from './wire';

/** Passes the requests of several clients to the one session of a PGlite, one after another. */
export interface SessionQueue {
  /** The messages with which the database greets a new client. */
  readonly greeting: Buffer;
  add(request: Request): void;
  /** Waits for the end of the current request and starts no other. */
  stop(): Promise<void>;
}

const PARSE_COMPLETE = message('1');

/** Opens the queue. While a client is in a transaction, the requests of the others wait until it ends. */
export async function openSessionQueue(database: PGlite, onFatal: (error: unknown) => void): Promise<SessionQueue> {
  const waiting: Request[] = [];
  let owner: Session | undefined;
  let unnamedOwner: Session | undefined;
  let working: Promise<void> | undefined;
  let isWorking = false;
  let isStopped = false;

  function next(): Request | undefined {
    const index = owner === undefined ? 0 : waiting.findIndex(({ session }) => session === owner);
    return index === -1 || isStopped ? undefined : waiting.splice(index, 1)[0];
  }

  async function work(): Promise<void> {
    isWorking = true;
    for (let request = next(); request !== undefined; request = next()) {
      await perform(request);
      // Sockets send and receive only between two requests.
      await nextTick();
    }
    isWorking = false;
  }

  async function perform({ session, messages, holds, unnamed, isCopy }: Request): Promise<void> {
    if (unnamed === 'used' && unnamedOwner !== session && session.unnamed !== undefined) {
      const answer = await exchange(database, session.unnamed);
      if (!answer.equals(PARSE_COMPLETE)) send(session, answer);
    }
    if (isCopy) send(session, withoutCopyResponse(await exchange(database, messages)));
    else await exchange(database, messages, (data) => send(session, data));
    if (unnamed === 'lost') unnamedOwner = undefined;
    else if (unnamed !== 'kept') unnamedOwner = session;
    owner = holds || database.isInTransaction() ? session : undefined;
  }

  return {
    greeting: await exchange(database, startupMessage()),
    add: (request) => {
      waiting.push(request);
      if (!isWorking) working = work().catch(onFatal);
    },
    stop: async () => {
      isStopped = true;
      await working;
    },
  };
}

/** Sends messages to the database. Returns the whole answer, or passes it to `onData` in pieces. */
async function exchange(database: PGlite, messages: Buffer, onData?: (data: Buffer) => void): Promise<Buffer> {
  const answer: Buffer[] = [];
  const receive = onData ?? ((data: Buffer) => answer.push(data));
  await database.runExclusive(() =>
    // PGlite reuses its buffer for the next piece.
    database.execProtocolRawStream(messages, { onRawData: (data) => receive(Buffer.from(data)) }),
  );
  return Buffer.concat(answer);
}

function send({ socket }: Session, data: Buffer): void {
  if (socket.writable) socket.write(data);
}

function withoutCopyResponse(answer: Buffer): Buffer {
  return answer[0] === 'G'.charCodeAt(0) ? answer.subarray(1 + answer.readInt32BE(1)) : answer;
}
