import net from 'node:net';
import type { PGlite } from '@electric-sql/pglite';
import { farewell, openSession, receive, type Session } from './session';
import { openSessionQueue } from './session-queue';
import { type Frame, frameReader, openingRequest } from './wire';

export interface Gateway {
  readonly server: net.Server;
  /** Disconnects every client; the database may be closed afterwards. */
  close(): Promise<void>;
}

/**
 * Serves one PGlite, which is a single session, to any number of clients. `@electric-sql/pglite-socket` passes the
 * clients' messages on one by one and so mixes them: a query whose parameters arrive in several pieces, from 64 kB on, can
 * run another client's statement, and prepared statements of the same name collide. This gateway passes on all messages of
 * a client up to the one that requests an answer, and renames statements. Clients still share settings, temporary tables
 * and advisory locks, which are discarded when the last client leaves.
 */
export async function openGateway(database: PGlite, onFatal: (error: unknown) => void): Promise<Gateway> {
  const queue = await openSessionQueue(database, onFatal);
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
      if (sessions.delete(session)) queue.add(farewell(session, sessions.size === 0));
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
    if (reaction.action === 'ask') queue.add(reaction.request);
  }

  /** Answers without PGlite, so that a new connection does not wait for another client's transaction. */
  function greet(session: Session, frame: Frame): void {
    const opening = openingRequest(frame);
    if (opening === 'encrypt') session.socket.write('N');
    else if (opening === 'start') {
      sessions.add(session);
      session.socket.write(queue.greeting);
    } else session.socket.end();
  }

  const server = net.createServer(connect);
  return {
    server,
    close: async () => {
      server.close();
      await queue.stop();
      for (const socket of sockets) socket.destroy();
    },
  };
}
