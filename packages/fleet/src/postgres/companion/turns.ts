import { setImmediate as nextTick } from 'node:timers/promises';
import type { PGlite } from '@electric-sql/pglite';
import type { Session, Turn } from './session';
import { message, startupMessage } from './wire';

/** The one session of a PGlite, in turns. */
export interface Turns {
  /** What the database says to a new client. */
  readonly greeting: Buffer;
  take(turn: Turn): void;
  /** Waits until the turn that is being taken is over; no other begins. */
  stop(): Promise<void>;
}

const PARSE_COMPLETE = message('1');

/** Lets sessions take turns; one in a transaction keeps the others waiting until its end. */
export async function openTurns(database: PGlite, onFatal: (error: unknown) => void): Promise<Turns> {
  const turns: Turn[] = [];
  let owner: Session | undefined;
  let unnamedOwner: Session | undefined;
  let working: Promise<void> | undefined;
  let isWorking = false;
  let isStopped = false;

  function next(): Turn | undefined {
    const index = owner === undefined ? 0 : turns.findIndex(({ session }) => session === owner);
    return index === -1 || isStopped ? undefined : turns.splice(index, 1)[0];
  }

  async function work(): Promise<void> {
    isWorking = true;
    for (let turn = next(); turn !== undefined; turn = next()) {
      await perform(turn);
      // Answers are sent and messages come in between turns only.
      await nextTick();
    }
    isWorking = false;
  }

  async function perform({ session, messages, holds, unnamed, isCopy }: Turn): Promise<void> {
    if (unnamed === 'used' && unnamedOwner !== session && session.unnamed !== undefined) {
      const answer = await exchange(database, session.unnamed);
      if (!answer.equals(PARSE_COMPLETE)) send(session, answer);
    }
    if (isCopy) send(session, withoutInvitation(await exchange(database, messages)));
    else await exchange(database, messages, (data) => send(session, data));
    if (unnamed === 'lost') unnamedOwner = undefined;
    else if (unnamed !== 'kept') unnamedOwner = session;
    owner = holds || database.isInTransaction() ? session : undefined;
  }

  return {
    greeting: await exchange(database, startupMessage()),
    take: (turn) => {
      turns.push(turn);
      if (!isWorking) working = work().catch(onFatal);
    },
    stop: async () => {
      isStopped = true;
      await working;
    },
  };
}

/** Says something to the database; gives the answer whole, or in the pieces it comes in. */
async function exchange(database: PGlite, messages: Buffer, onData?: (data: Buffer) => void): Promise<Buffer> {
  const answer: Buffer[] = [];
  const receive = onData ?? ((data: Buffer) => answer.push(data));
  await database.runExclusive(() =>
    // The bytes are PGlite's own, overwritten by what comes next.
    database.execProtocolRawStream(messages, { onRawData: (data) => receive(Buffer.from(data)) }),
  );
  return Buffer.concat(answer);
}

function send({ socket }: Session, data: Buffer): void {
  if (socket.writable) socket.write(data);
}

function withoutInvitation(answer: Buffer): Buffer {
  return answer[0] === 'G'.charCodeAt(0) ? answer.subarray(1 + answer.readInt32BE(1)) : answer;
}
