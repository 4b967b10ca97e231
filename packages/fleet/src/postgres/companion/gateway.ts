import { randomInt } from 'node:crypto';
import net from 'node:net';
import type { Engine } from './engine';
import { farewell, openSession, receive, type Session } from './session';
import { openSessionQueue } from './session-queue';
import { canceledKey, type Frame, fatalError, frameReader, greetingFor, openingRequest, type SessionKey } from './wire';

export interface Gateway {
  readonly server: net.Server;
  /** Disconnects every client and closes the database. */
  close(): Promise<void>;
}

/** When the gateway ends the database. */
export interface GatewayLimits {
  /** A statement whose client asked to cancel it, or has gone, may still end by itself for this time. */
  readonly cancelMs: number;
  readonly goneMs: number;
  /** A statement may keep other clients waiting for this time. */
  readonly blockingMs: number;
  /** Without a client for this time, the database ends until the next one comes. */
  readonly idleMs: number;
}

export const GATEWAY_LIMITS: GatewayLimits = {
  cancelMs: 1_000,
  goneMs: 5_000,
  blockingMs: 60_000,
  idleMs: 10 * 60_000,
};

const WATCH_INTERVAL_MS = 250;
const MAX_SECRET = 2 ** 31;

/** query_canceled: for the client whose statement did not end. */
const CANCELED = fatalError('57014', 'canceling statement: the companion server ended the database to stop it');
/** crash_shutdown: for the others, whose sessions were in the same database. */
const DATABASE_ENDED = fatalError('57P02', 'terminating connection because the database of the companion server ended');

/**
 * Serves one PGlite, which is a single session, to any number of clients. `@electric-sql/pglite-socket` passes the
 * clients' messages on one by one and so mixes them: a query whose parameters arrive in several pieces, from 64 kB on, can
 * run another client's statement, and prepared statements of the same name collide. This gateway passes on all messages of
 * a client up to the one that requests an answer, and renames statements. Clients still share settings, temporary tables
 * and advisory locks, which are discarded when the last client leaves.
 *
 * PGlite can neither cancel a statement nor limit its time. The gateway ends the database instead, and the next request
 * starts it again: every client loses its connection, and committed rows stay.
 */
export function openGateway(
  engine: Engine,
  log: (line: string) => void,
  limits: GatewayLimits = GATEWAY_LIMITS,
): Gateway {
  const queue = openSessionQueue(engine, (error) => {
    log(`the database ended: ${error.message}`);
    hangUp();
    if (!isClosing) void engine.start().then(() => log('the database runs again'));
  });
  const sockets = new Set<net.Socket>();
  const sessions = new Map<Session, SessionKey>();
  const goneSince = new WeakMap<Session, number>();
  let idleSinceMs = performance.now();
  let lastId = 0;
  let isClosing = false;
  let isEnding = false;

  function connect(socket: net.Socket): void {
    const read = frameReader();
    lastId += 1;
    const session = openSession(lastId, socket);
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      goneSince.set(session, performance.now());
      idleSinceMs = performance.now();
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
    // A session that the end of the database has closed is in none of the sets.
    if (reaction.action === 'ask' && sessions.has(session)) queue.add(reaction.request);
  }

  /** Answers without PGlite, so that a new connection does not wait for another client's transaction. */
  function greet(session: Session, frame: Frame): void {
    const opening = openingRequest(frame);
    if (opening === 'encrypt') session.socket.write('N');
    else if (opening === 'start') {
      const key = { processId: session.id, secret: randomInt(MAX_SECRET) };
      sessions.set(session, key);
      session.socket.write(greetingFor(engine.greeting, key));
    } else {
      if (opening === 'cancel') cancel(canceledKey(frame));
      session.socket.end();
    }
  }

  function cancel(key: SessionKey | undefined): void {
    const running = queue.running();
    const wanted = running === undefined ? undefined : sessions.get(running.session);
    if (key === undefined || wanted?.processId !== key.processId || wanted.secret !== key.secret) return;
    setTimeout(() => {
      if (queue.running() === running) void end('a client canceled its statement');
    }, limits.cancelMs);
  }

  async function end(why: string): Promise<void> {
    // The thread takes a moment to end.
    if (isEnding) return;
    isEnding = true;
    log(`ending the database: ${why}`);
    await engine.kill().finally(() => {
      isEnding = false;
    });
  }

  function hangUp(): void {
    const culprit = queue.running()?.session;
    for (const session of sessions.keys()) session.socket.end(session === culprit ? CANCELED : DATABASE_ENDED);
    sessions.clear();
  }

  function watch(): void {
    const now = performance.now();
    const running = queue.running();
    if (running === undefined) {
      if (sessions.size > 0 || now - idleSinceMs < limits.idleMs || !engine.isRunning()) return;
      queue.rest(() => {
        log('ending the database: no client for a while');
        return engine.close();
      });
      return;
    }
    const gone = goneSince.get(running.session);
    if (gone !== undefined && now - Math.max(gone, running.sinceMs) > limits.goneMs)
      void end('the client of its statement has gone');
    else if (now - running.sinceMs > limits.blockingMs && queue.isBlocking())
      void end('its statement kept other clients waiting');
  }

  const watching = setInterval(watch, WATCH_INTERVAL_MS);
  const server = net.createServer(connect);
  return {
    server,
    close: async () => {
      isClosing = true;
      clearInterval(watching);
      server.close();
      const patience = setTimeout(() => void end('the companion server stops'), limits.goneMs);
      await queue.stop();
      clearTimeout(patience);
      await engine.close();
      // Not before the last bytes are out: they tell clients why.
      for (const socket of sockets) socket.destroySoon();
    },
  };
}
