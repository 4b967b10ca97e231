import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl, SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { readPassword } from './cluster';
import { wrongPassword } from './errors';
import type { Place } from './place';
import { isPostmasterOf } from './process';

/** What `postmaster.pid` says; a killed server leaves it behind, so it proves nothing. */
export interface PidFile {
  readonly pid: number;
  readonly port: number;
  /** Whether it takes connections, in its own words: not while it starts, recovers or stops. */
  readonly isReady: boolean;
}

/** A server that was seen to be running, and to be this one. */
export interface Postmaster extends PidFile {
  readonly url: DatabaseUrl;
  /** 18.4 */
  readonly version: string;
}

const WRONG_PASSWORD = '28P01';
const PID_LINE = 0;
const PORT_LINE = 3;
const STATUS_LINE = 7;

export async function readPidFile(place: Place): Promise<PidFile | undefined> {
  const text = await readFile(path.join(place.data, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const [pid, port] = [Number(lines[PID_LINE]), Number(lines[PORT_LINE])];
  return pid > 0 && port > 0 ? { pid, port, isReady: lines[STATUS_LINE]?.trim() === 'ready' } : undefined;
}

/**
 * The running server, proven by what no other can: it knows the password, and reads in its own data directory the
 * `postmaster.pid` that was found here. Undefined while it starts or recovers, too.
 * @throws {SuiteError} `EMBEDDED.NO_PASSWORD`, `EMBEDDED.WRONG_PASSWORD`
 */
export async function findPostmaster(place: Place): Promise<Postmaster | undefined> {
  const found = await readPidFile(place);
  if (found === undefined || !found.isReady) return undefined;
  // Whoever else listens on the port of a killed server is not to be asked, for it might ask for the password.
  if (!(await isPostmasterOf(found.pid, place.data))) return undefined;
  const password = await readPassword(place);
  const href = `postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${found.port}/postgres`;
  const url = parseDatabaseUrl(href, 'the embedded server');
  try {
    return await withClient(url, async (client) => {
      const { rows } = await client.query<{ pid: string; version: string }>(
        `SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1) AS pid, current_setting('server_version') AS version`,
      );
      const [row] = rows;
      return row !== undefined && Number(row.pid) === found.pid ? { ...found, url, version: row.version } : undefined;
    });
  } catch (error) {
    if (isRefused(error, WRONG_PASSWORD)) throw wrongPassword(place.password, found.pid);
    return undefined;
  }
}

function isRefused(error: unknown, sqlState: string): boolean {
  return error instanceof SuiteError && error.meta['sqlState'] === sqlState;
}
