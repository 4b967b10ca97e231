import { spawn } from 'node:child_process';
import { type Environment, SuiteError } from '@azora/db-core';
import { openCredentials } from '../config/credentials';
import { openStudioContext, type StudioOptions } from '../operations/studio/context';
import { childEnvironment } from '../system/child-environment';
import { codeOf } from '../system/system-errors';
import type { TlsProxy } from './origin';
import { PAGE_DIRECTORY, readAssets } from './page';
import { type StudioServer, type StudioServerOptions, startServer } from './server';

export interface RunStudioOptions extends StudioOptions {
  readonly host: string;
  /** The first one that is free becomes the port of the page. */
  readonly ports: readonly number[];
  readonly proxy: TlsProxy | undefined;
  readonly password: string | undefined;
  /** Whether to open the page in the browser. */
  readonly open: boolean;
  readonly environment: Environment;
  /** Ends the studio. */
  readonly signal: AbortSignal;
}

/**
 * Serves the studio until `signal` aborts, then ends its sessions and disables its roles.
 * @throws {SuiteError} `STUDIO.NOT_BUILT`, `STUDIO.PASSWORD_NEEDED`, `STUDIO.CANNOT_LISTEN`, `SCHEMA.INVALID`
 */
export async function runStudio(options: RunStudioOptions): Promise<void> {
  const { host, ports, proxy, password, environment, signal, log } = options;
  const assets = await readAssets(PAGE_DIRECTORY);
  const secretOf = await secretsFor(options);
  const studio = await openStudioContext(options);
  try {
    let preparing: Promise<void> | undefined;
    const server = await startOnFirstFree(ports, {
      ...{ context: studio.context, assets, host, proxy, password, secretOf, log },
      // After the first page, which waits for the same servers.
      onFleetRead: () => {
        preparing ??= studio.prepare();
      },
    });
    log(`The studio is running at ${server.url}`);
    if (options.open) openBrowser(server.url, environment, log);
    await aborted(signal);
    await server.close();
    await preparing;
  } finally {
    await studio.close();
  }
}

/** Starts on the first port that no other program uses; the last one decides the error. */
async function startOnFirstFree(
  ports: readonly number[],
  options: Omit<StudioServerOptions, 'port'>,
): Promise<StudioServer> {
  const [port = 0, ...others] = ports;
  try {
    return await startServer({ ...options, port });
  } catch (error) {
    const isTaken = error instanceof SuiteError && codeOf(error.cause) === 'EADDRINUSE';
    if (!isTaken || others.length === 0) throw error;
    options.log(`Port ${port} is in use; trying ${others[0]}`);
    return startOnFirstFree(others, options);
  }
}

/** A page survives a restart on the same day with the same flags; other flags could let it do more. */
async function secretsFor(options: RunStudioOptions): Promise<StudioServerOptions['secretOf']> {
  const { settings, host, proxy, write, reveal, password } = options;
  const secretOf = await openCredentials(settings.home);
  const day = new Date().toISOString().slice(0, 10);
  return (port, secret) =>
    secretOf(`studio ${JSON.stringify([secret, day, host, port, proxy, write, reveal, password])}`);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** What a desktop needs to find its display and its browser. */
const DESKTOP = /^(DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|DBUS_SESSION_BUS_ADDRESS|BROWSER|XDG_.*)$/;

/** Asks the desktop to open the address. A failure is logged; the address was printed in any case. */
export function openBrowser(url: string, environment: Environment, log: (line: string) => void): void {
  const desktop = Object.entries(environment).flatMap(([name, value]): [string, string][] =>
    value !== undefined && DESKTOP.test(name) ? [[name, value]] : [],
  );
  const program = openerOf(process.platform, environment);
  if (program === undefined) return;
  const env = childEnvironment(environment, Object.fromEntries(desktop));
  const child = spawn(program, [url], { detached: true, stdio: 'ignore', windowsHide: true, env });
  child.on('error', (error) => log(`Could not open a browser: ${error.message}. Open ${url} yourself`));
  child.unref();
}

function openerOf(platform: NodeJS.Platform, environment: Environment): string | undefined {
  if (platform === 'darwin') return 'open';
  // explorer.exe takes the address as one argument; `start` would interpret & and ^ in it.
  if (platform === 'win32') return 'explorer.exe';
  const hasDesktop = environment['DISPLAY'] !== undefined || environment['WAYLAND_DISPLAY'] !== undefined;
  return hasDesktop ? 'xdg-open' : undefined;
}
