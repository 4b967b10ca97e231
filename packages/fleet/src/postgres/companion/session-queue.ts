import { setImmediate as nextTick } from 'node:timers/promises';
import { type Engine, EngineStopped } from './engine';
import type { Request, Session } from './session';
import { message } from './wire';

/** Passes the requests of several clients to the one session of a PGlite, one after another. */
export interface SessionQueue {
  add(request: Request): void;
  /** The session whose request the database works on, and since when. */
  readonly running: () => Running | undefined;
  /** Whether another client waits for the running request. */
  readonly isBlocking: () => boolean;
  /** Does `work` between two requests. */
  rest(work: () => Promise<void>): void;
  /** Waits for the end of the current request and starts no other. */
  stop(): Promise<void>;
}

export interface Running {
  readonly session: Session;
  readonly sinceMs: number;
}

const PARSE_COMPLETE = message('1');

/**
 * Opens the queue. While a client is in a transaction, the requests of the others wait until it ends. When the database
 * stops in the middle of a request, `onStopped` ends the connections of all clients, whose requests are dropped.
 */
export function openSessionQueue(engine: Engine, onStopped: (error: EngineStopped) => void): SessionQueue {
  const waiting: Request[] = [];
  let owner: Session | undefined;
  let unnamedOwner: Session | undefined;
  let running: Running | undefined;
  let working: Promise<void> | undefined;
  let isWorking = false;
  let resting: Promise<void> | undefined;
  let isStopped = false;

  function next(): Request | undefined {
    const index = owner === undefined ? 0 : waiting.findIndex(({ session }) => session === owner);
    return index === -1 || isStopped ? undefined : waiting.splice(index, 1)[0];
  }

  async function work(): Promise<void> {
    isWorking = true;
    await resting;
    for (let request = next(); request !== undefined; request = next()) {
      running = { session: request.session, sinceMs: performance.now() };
      await perform(request).catch(recover);
      running = undefined;
      // Sockets send and receive only between two requests.
      await nextTick();
    }
    isWorking = false;
  }

  async function perform({ session, messages, holds, unnamed, isCopy }: Request): Promise<void> {
    if (unnamed === 'used' && unnamedOwner !== session) await parseAgain(session);
    const { answer, isInTransaction } = await ask(messages, isCopy ? undefined : (data) => send(session, data));
    if (isCopy) send(session, withoutCopyResponse(answer));
    if (unnamed === 'lost') unnamedOwner = undefined;
    else if (unnamed !== 'kept') unnamedOwner = session;
    owner = holds || isInTransaction ? session : undefined;
  }

  /** Another session has replaced the unnamed statement. */
  async function parseAgain(session: Session): Promise<void> {
    if (session.unnamed === undefined) return;
    const { answer } = await ask(session.unnamed);
    if (!answer.equals(PARSE_COMPLETE)) send(session, answer);
  }

  /** Sends messages to the database. Returns the whole answer, or passes it to `onData` in pieces. */
  async function ask(messages: Buffer, onData?: (data: Buffer) => void) {
    const pieces: Buffer[] = [];
    const { isInTransaction } = await engine.ask(messages, onData ?? ((data) => pieces.push(data)));
    return { answer: Buffer.concat(pieces), isInTransaction };
  }

  /** The next database knows none of the sessions, their transactions and their statements. */
  function recover(error: unknown): void {
    if (!(error instanceof EngineStopped)) throw error;
    waiting.length = 0;
    owner = undefined;
    unnamedOwner = undefined;
    onStopped(error);
  }

  return {
    add: (request) => {
      waiting.push(request);
      if (!isWorking) working = work();
    },
    running: () => running,
    isBlocking: () => waiting.some(({ session }) => session !== running?.session && !session.socket.destroyed),
    rest: (rest) => {
      if (isWorking || resting !== undefined) return;
      resting = rest().finally(() => {
        resting = undefined;
      });
    },
    stop: async () => {
      isStopped = true;
      await working;
      await resting;
    },
  };
}

function send({ socket }: Session, data: Buffer): void {
  if (socket.writable) socket.write(data);
}

function withoutCopyResponse(answer: Buffer): Buffer {
  return answer[0] === 'G'.charCodeAt(0) ? answer.subarray(1 + answer.readInt32BE(1)) : answer;
}
