import { chmod, lstat, mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl } from '@azora/db-core';
import { replaceFile } from '../../system/atomic-files';
import { identityOf, identityText, isSameDirectory, parseIdentity } from '../../system/directory-identity';
import { encryptionRequest } from './wire';

/** The address on which a companion listens. */
export type Address = { readonly socketDirectory: string } | { readonly port: number };

/**
 * What answers a call on an address. `silence`: connections are accepted but not answered, by a companion that is busy
 * with a statement or by one that is dying.
 */
export type Reply = 'answer' | 'silence' | 'none';

/** PostgreSQL's clients look for this name in a socket directory, for port 5432. */
const SOCKET = '.s.PGSQL.5432';
/** The kernels allow 104 bytes (macOS) and 108 bytes (Linux), including the final zero byte. */
const PATH_LIMIT_BYTES = 103;
const POINTER = 'socket-directory';
const PORT_FILE = 'port';
const FOREIGN = Symbol('foreign');
/** An idle companion answers within milliseconds; a busy one answers after its statement. */
const SILENCE_MS = 1_000;

/** The address of the directory's companion while it runs, otherwise its last address. */
export async function readAddress(directory: string): Promise<Address | undefined> {
  if (process.platform === 'win32') {
    const port = await lastPort(directory);
    return port === 0 ? undefined : { port };
  }
  const pointer = await readPointer(directory);
  if (pointer === undefined) return { socketDirectory: directory };
  if (pointer === FOREIGN) return undefined;
  return (await isOwn(pointer)) ? { socketDirectory: pointer } : undefined;
}

/**
 * Calls the companion on the address and waits for its answer. A connection alone proves nothing: when a process is killed,
 * the kernel closes its sockets one after another, and its socket accepts connections after its clients have lost theirs.
 * Such a connection is cut without an answer. A companion begins to listen when it is ready.
 */
export function callCompanion(address: Address | undefined): Promise<Reply> {
  if (address === undefined) return Promise.resolve('none');
  return new Promise((resolve) => {
    const socket = net.connect(endpoint(address));
    const settle = (reply: Reply) => {
      clearTimeout(patience);
      socket.destroy();
      resolve(reply);
    };
    const patience = setTimeout(() => settle('silence'), SILENCE_MS);
    socket.once('connect', () => socket.write(encryptionRequest()));
    socket.once('data', () => settle('answer'));
    socket.once('close', () => settle('none'));
    // EAGAIN: a server listens, and its queue of waiting connections is full.
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code === 'EAGAIN' ? 'silence' : 'none'));
  });
}

/** Whether a companion listens on the address, also one that is too busy to answer. */
export async function isListening(address: Address | undefined): Promise<boolean> {
  return (await callCompanion(address)) !== 'none';
}

/** The administrator's URL. The companion asks for no password, and its one database has any name. */
export function addressUrl(address: Address, database: string, service: string): DatabaseUrl {
  const name = encodeURIComponent(database);
  const href =
    'port' in address
      ? `postgresql://postgres@127.0.0.1:${address.port}/${name}`
      : `postgresql://postgres@localhost:5432/${name}?host=${encodeURIComponent(address.socketDirectory)}`;
  return parseDatabaseUrl(href, `the companion of ${service}`);
}

/**
 * Makes the server listen on a socket in the directory, which only its owner can enter. When the path is too long or the
 * file system has no sockets, it listens in such a directory below the system's temporary directory. On Windows it listens
 * on a port of the loopback interface. Only the process that owns the directory may call this: it replaces the files of the
 * last owner.
 */
export async function listenIn(directory: string, server: net.Server): Promise<Address> {
  if (process.platform === 'win32') return listenOnPort(directory, server);
  await chmod(directory, 0o700);
  if (fits(directory) && (await listenAt(server, { socketDirectory: directory }))) {
    await rm(path.join(directory, POINTER), { force: true });
    return { socketDirectory: directory };
  }
  const known = await readPointer(directory);
  const isKnown = known !== undefined && known !== FOREIGN && (await isOwn(known));
  const socketDirectory = isKnown ? known : await makeShort();
  const owner = identityText(await identityOf(directory));
  await replaceFile(path.join(directory, POINTER), `${socketDirectory}\n${owner}\n`);
  if (await listenAt(server, { socketDirectory })) return { socketDirectory };
  throw new Error(`Cannot create a socket in ${socketDirectory}`);
}

/** Removes the directory below the system's temporary directory, if the companion has one. The companion must be stopped. */
export async function removeSocketDirectory(directory: string): Promise<void> {
  const pointer = await readPointer(directory);
  // The directory of a copy's pointer belongs to the original.
  if (pointer === undefined || pointer === FOREIGN) return;
  if (await isOwn(pointer)) await rm(pointer, { recursive: true, force: true });
}

async function listenOnPort(directory: string, server: net.Server): Promise<Address> {
  for (const port of [await lastPort(directory), 0]) {
    if (!(await listenAt(server, { port }))) continue;
    const address = server.address();
    const taken = typeof address === 'object' && address !== null ? address.port : port;
    await replaceFile(path.join(directory, PORT_FILE), `${taken}\n`);
    return { port: taken };
  }
  throw new Error('Cannot listen on any port of 127.0.0.1');
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

/** The directory of the socket; {@link FOREIGN} in a copy, whose pointer leads to the companion of the original. */
async function readPointer(directory: string): Promise<string | typeof FOREIGN | undefined> {
  const text = await readFile(path.join(directory, POINTER), 'utf8').catch(() => '');
  const [pointer = '', named = ''] = text.split('\n');
  if (pointer.trim() === '') return undefined;
  const owner = parseIdentity(named);
  const isCopy = owner !== undefined && !isSameDirectory(owner, await identityOf(directory));
  return isCopy ? FOREIGN : pointer.trim();
}

async function makeShort(): Promise<string> {
  const parent = [os.tmpdir(), '/tmp'].find((candidate) => fits(path.join(candidate, 'azora-XXXXXX'))) ?? '/tmp';
  return mkdtemp(path.join(parent, 'azora-'));
}

/** A reboot may have removed the temporary directory, and another user may have created one of the same name. */
async function isOwn(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
}

function fits(directory: string): boolean {
  return Buffer.byteLength(path.join(directory, SOCKET)) <= PATH_LIMIT_BYTES;
}
