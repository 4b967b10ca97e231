import net from 'node:net';
import type { PGlite } from '@electric-sql/pglite';
import { farewell, openSession, receive, type Session } from './session';
import { openTurns } from './turns';
import { type Frame, frameReader, openingRequest } from './wire';

export interface Gateway {
  readonly server: net.Server;
  /** Hangs up on every client; the database may be closed afterwards. */
  close(): Promise<void>;
}

/**
 * Serves one PGlite, which is a single session, to any number of clients. `@electric-sql/pglite-socket` hands it the
 * clients' messages one by one as they come and so mixes them: a query whose parameters arrive in several pieces, from
 * 64 kB on, can run another client's statement, and prepared statements of one name collide. Here a client's messages go
 * in together, up to the one that asks for an answer, and statements are renamed. What clients still share are settings,
 * temporary tables and advisory locks, discarded when the last one leaves.
 */
export async function openGateway(database: PGlite, onFatal: (error: unknown) => void): Promise<Gateway> {
  const turns = await openTurns(database, onFatal);
  const sockets = new Set<net.Socket>();
  const sessions = new Set<Session>();
  let lastId = 0;

  function connect(socket: net.Socket): void {
    const read = frameReader();
    lastId += 1;
    const session = openSession(lastId, socket);
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      if (sessions.delete(session)) turns.take(farewell(session, sessions.size === 0));
    });
    socket.on('data', (chunk: Buffer) => {
      const frames = read(chunk);
      if (frames === undefined) socket.destroy();
      for (const frame of frames ?? []) frame.type === '' ? greet(session, frame) : react(session, frame);
    });
  }

  function react(session: Session, frame: Frame): void {
    const reaction = receive(session, frame);
    if (reaction.action === 'hang-up') session.socket.end();
    if (reaction.action === 'answer') session.socket.write(reaction.answer);
    if (reaction.action === 'ask') turns.take(reaction.turn);
  }

  /** Without asking PGlite: a connection is not kept waiting by another's transaction. */
  function greet(session: Session, frame: Frame): void {
    const request = openingRequest(frame);
    if (request === 'encrypt') session.socket.write('N');
    else if (request === 'start') {
      sessions.add(session);
      session.socket.write(turns.greeting);
    } else session.socket.end();
  }

  const server = net.createServer(connect);
  return {
    server,
    close: async () => {
      server.close();
      await turns.stop();
      for (const socket of sockets) socket.destroy();
    },
  };
}
