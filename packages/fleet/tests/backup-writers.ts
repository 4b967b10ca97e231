import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DatabaseUrl, parseDatabaseUrl } from '@azora/db-core';
import type { Client } from 'pg';
import { openSet } from '../src/backup-store/set';
import type { Storage } from '../src/backup-store/storage';
import { loadDatabase } from '../src/operations/backup/load';
import { scratchPlace, type Target } from '../src/operations/targets';
import { withScratchDatabase } from '../src/postgres/scratch';
import { openClient } from './migrations-fixture';

export interface Writers {
  /** The number of writes of each writer. */
  readonly rounds: () => readonly number[];
  /** Resolves when each writer has written once more; rejects when one could not write. */
  readonly goneOn: () => Promise<void>;
  /** Stops all writers; rejects with the error of one that could not write. */
  readonly stop: () => Promise<void>;
}

/** Starts sessions that write at full speed, independently of each other, until they are stopped. */
export async function startWriters(
  databases: readonly DatabaseUrl[],
  count: number,
  write: (sessions: readonly Client[], writer: number, round: number) => Promise<unknown>,
): Promise<Writers> {
  const rounds = Array.from({ length: count }, () => 0);
  let going = true;
  const loop = async (writer: number): Promise<void> => {
    const sessions = await Promise.all(databases.map((url) => openClient(url, 'writer')));
    try {
      for (let round = 0; going; round += 1) {
        await write(sessions, writer, round);
        rounds[writer] = round + 1;
      }
    } finally {
      await Promise.all(sessions.map((session) => session.end()));
    }
  };
  const loops = Promise.all(rounds.map((_, writer) => loop(writer)));
  loops.catch(() => undefined);
  const goneOn = async () => {
    const before = [...rounds];
    const waiting = async () => {
      while (going && rounds.some((round, writer) => round <= (before[writer] ?? 0))) await sleep(5);
    };
    await Promise.race([waiting(), loops]);
  };
  const stop = async () => {
    going = false;
    await loops;
  };
  await goneOn();
  return { rounds: () => [...rounds], goneOn, stop };
}

/** Runs `work` on a scratch database that holds the target's database of the set. */
export async function inRestored<Result>(
  storage: Storage,
  set: string,
  target: Target,
  work: (url: DatabaseUrl) => Promise<Result>,
): Promise<Result> {
  const opened = await openSet(storage, set, undefined);
  const entry = opened.manifest.databases.find(({ service }) => service === target.service.name);
  if (entry === undefined) throw new Error(`${set} has no database of ${target.service.name}`);
  return withScratchDatabase(scratchPlace(target), async (url) => {
    await loadDatabase(
      { set: opened, entry, url, oneSession: false, role: target.role, environment: process.env },
      { onProgress: () => undefined },
    );
    return work(url);
  });
}

/** Runs `work` with a connection to the target's database that delays the snapshot. */
export async function withLateSnapshot<Result>(
  target: Target,
  lateMs: number,
  work: (late: Target) => Promise<Result>,
): Promise<Result> {
  const { host, port } = target.admin;
  const sockets: net.Socket[] = [];
  const listener = net.createServer((front) => {
    const back = host.startsWith('/') ? net.connect(`${host}/.s.PGSQL.${port}`) : net.connect(port, host);
    sockets.push(front, back);
    for (const socket of [front, back]) socket.on('error', () => undefined);
    back.pipe(front);
    front.on('end', () => back.end());
    front.on('data', async (chunk: Buffer) => {
      if (chunk.includes('pg_export_snapshot')) {
        front.pause();
        await sleep(lateMs);
        front.resume();
      }
      back.write(chunk);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const url = new URL(target.admin.href);
  url.hostname = '127.0.0.1';
  url.port = String((listener.address() as net.AddressInfo).port);
  url.searchParams.delete('host');
  url.searchParams.delete('port');
  try {
    return await work({ ...target, admin: parseDatabaseUrl(url.href, target.admin.source) });
  } finally {
    for (const socket of sockets) socket.destroy();
    listener.close();
  }
}

/** A storage that calls `before` before it stores a file. */
export function watchedStorage(storage: Storage, before: (path: string) => Promise<void>): Storage {
  return {
    ...storage,
    begin: async (set) => {
      const writer = await storage.begin(set);
      return {
        ...writer,
        write: async (file, source) => {
          await before(file);
          await writer.write(file, source);
        },
      };
    },
  };
}
