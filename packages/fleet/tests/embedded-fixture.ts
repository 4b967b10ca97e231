import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { locatePlace } from '../src/postgres/embedded/place';

/** Kills the server of a home without warning. */
export async function killServer(home: string): Promise<void> {
  const { data } = await locatePlace(home);
  const pid = Number.parseInt(await readFile(path.join(data, 'postmaster.pid'), 'utf8'), 10);
  process.kill(pid, 'SIGKILL');
}
