import { chmod, lstat, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl } from '@azora/db-core';

/** Where a companion listens. */
export type Address = { readonly socketDirectory: string } | { readonly port: number };

/** The name that clients of PostgreSQL look for in a socket directory, for this port. */
const SOCKET = '.s.PGSQL.5432';
/** The kernels' own limits are 104 bytes (macOS) and 108, a zero byte included. */
const PATH_LIMIT_BYTES = 103;
const POINTER = 'socket-directory';
const PORT_FILE = 'port';

/** Where the companion of this directory listens, or did when it last ran. */
export async function readAddress(directory: string): Promise<Address | undefined> {
  if (process.platform === 'win32') {
    const port = await lastPort(directory);
    return port === 0 ? undefined : { port };
  }
  const pointer = await readPointer(directory);
  if (pointer === undefined) return { socketDirectory: directory };
  return (await isOwn(pointer)) ? { socketDirectory: pointer } : undefined;
}

/** Whether a companion listens there; it begins to when it is ready. */
export function isListening(address: Address | undefined): Promise<boolean> {
  if (address === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = net.connect(endpoint(address));
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true));
    // A queue of waiting connections that is full is a server's, too.
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code === 'EAGAIN'));
  });
}

/** The administrator's URL of the database; the companion asks for no password and has one database by any name. */
export function addressUrl(address: Address, database: string, service: string): DatabaseUrl {
  const name = encodeURIComponent(database);
  const href =
    'port' in address
      ? `postgresql://postgres@127.0.0.1:${address.port}/${name}`
      : `postgresql://postgres@localhost:5432/${name}?host=${encodeURIComponent(address.socketDirectory)}`;
  return parseDatabaseUrl(href, `the companion of ${service}`);
}

/**
 * Listens in the directory, which only its owner can enter; where the path is too long for a socket or its file system
 * has none, in a directory like it under the system's temporary one. On Windows on a port of the loopback interface.
 * Only for the process that holds the directory: it replaces what the last holder left.
 */
export async function listenIn(directory: string, server: net.Server): Promise<Address> {
  if (process.platform === 'win32') return listenOnPort(directory, server);
  await chmod(directory, 0o700);
  if (fits(directory) && (await listenAt(server, { socketDirectory: directory }))) {
    await rm(path.join(directory, POINTER), { force: true });
    return { socketDirectory: directory };
  }
  const known = await readPointer(directory);
  const socketDirectory = known !== undefined && (await isOwn(known)) ? known : await makeShort();
  await replaceFile(path.join(directory, POINTER), `${socketDirectory}\n`);
  if (await listenAt(server, { socketDirectory })) return { socketDirectory };
  throw new Error(`no socket can be made in ${socketDirectory}`);
}

async function listenOnPort(directory: string, server: net.Server): Promise<Address> {
  for (const port of [await lastPort(directory), 0]) {
    if (!(await listenAt(server, { port }))) continue;
    const address = server.address();
    const taken = typeof address === 'object' && address !== null ? address.port : port;
    await replaceFile(path.join(directory, PORT_FILE), `${taken}\n`);
    return { port: taken };
  }
  throw new Error('no port of 127.0.0.1 can be listened on');
}

async function listenAt(server: net.Server, address: Address): Promise<boolean> {
  if ('socketDirectory' in address) await rm(path.join(address.socketDirectory, SOCKET), { force: true });
  return new Promise((resolve) => {
    const fail = () => resolve(false);
    server.once('error', fail);
    server.listen(endpoint(address), () => {
      server.off('error', fail);
      resolve(true);
    });
  });
}

function endpoint(address: Address): { path: string } | { port: number; host: string } {
  if ('port' in address) return { port: address.port, host: '127.0.0.1' };
  return { path: path.join(address.socketDirectory, SOCKET) };
}

async function lastPort(directory: string): Promise<number> {
  return Number(await readFile(path.join(directory, PORT_FILE), 'utf8').catch(() => '0'));
}

async function readPointer(directory: string): Promise<string | undefined> {
  const text = await readFile(path.join(directory, POINTER), 'utf8').catch(() => '');
  return text.trim() === '' ? undefined : text.trim();
}

async function makeShort(): Promise<string> {
  const parent = [os.tmpdir(), '/tmp'].find((candidate) => fits(path.join(candidate, 'azora-XXXXXX'))) ?? '/tmp';
  return mkdtemp(path.join(parent, 'azora-'));
}

/** A directory of that name may be gone with the last boot, and made anew by somebody else. */
async function isOwn(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
}

function fits(directory: string): boolean {
  return Buffer.byteLength(path.join(directory, SOCKET)) <= PATH_LIMIT_BYTES;
}

async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
