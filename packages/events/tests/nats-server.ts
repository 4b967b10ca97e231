import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

/** A broker of its own on the loopback interface, with its store in a temporary directory. */
export interface NatsServer {
  readonly port: number;
  readonly url: string;
  /** Ends the process as `kill -9` does, or as an administrator does, and waits until it is gone. */
  readonly stop: (signal: 'SIGKILL' | 'SIGTERM') => Promise<void>;
  /** Starts a process with the same port and store, and waits until it accepts connections. */
  readonly start: () => Promise<void>;
}

/** Whether Debian's nats-server is installed. CI installs it; without it, the tests of the broker are skipped. */
export const HAS_NATS_SERVER = spawnSync('nats-server', ['--version']).status === 0;

/** `describe`, or a `describe` that is skipped and says what is missing. */
export const describeWithNats = (title: string, tests: () => void): void => {
  if (HAS_NATS_SERVER) describe(title, tests);
  else describe.skip(`${title} (skipped: nats-server is not installed)`, tests);
};

/** Gives the surrounding `describe` a broker, started with these options beside those of every test. */
export function useNatsServer(...options: readonly string[]): () => NatsServer {
  let server: NatsServer | undefined;
  let directory: string | undefined;
  beforeAll(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'azora-nats-'));
    server = await openNatsServer(directory, options);
  });
  afterAll(async () => {
    await server?.stop('SIGTERM');
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });
  return () => {
    if (server === undefined) throw new Error('The broker runs within tests only');
    return server;
  };
}

async function openNatsServer(directory: string, more: readonly string[]): Promise<NatsServer> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const server: NatsServer = {
    port,
    url: `nats://127.0.0.1:${port}`,
    start: async () => {
      const options = ['--addr', '127.0.0.1', '--port', String(port), '--jetstream', '--store_dir', directory, ...more];
      child = spawn('nats-server', options, { stdio: 'ignore' });
      await accepts(port, child);
    },
    stop: async (signal) => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    },
  };
  await server.start();
  return server;
}

async function freePort(): Promise<number> {
  const listener = net.createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as net.AddressInfo;
  listener.close();
  await once(listener, 'close');
  return port;
}

/** The server greets each client with its first line. */
async function accepts(port: number, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`nats-server has ended with ${child.exitCode}`);
    const socket = net.connect(port, '127.0.0.1');
    try {
      await once(socket, 'data');
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      socket.destroy();
    }
  }
}
