import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseDatabaseUrl } from '@azora/db-core';
import { removeCompanion } from '../src/postgres/companion/server';
import { withScratchDatabase } from '../src/postgres/scratch';

const PROGRAM = path.resolve(__dirname, '..', 'dist', 'postgres', 'scratch.js');
const PLACE = {
  ...{ service: 'scratched', server: 'companion', database: 'azora_scratched' },
  maintenance: parseDatabaseUrl('postgresql://nobody@127.0.0.1:1/postgres', 'a test').href,
};

/** A process that prints the home of its scratch companion and then keeps the companion, or ends. */
function hold(ending: 'holds' | 'ends') {
  const work = ending === 'holds' ? 'new Promise(() => setInterval(() => undefined, 1000))' : 'undefined';
  const code = `const { withScratchDatabase } = require(${JSON.stringify(PROGRAM)});
    withScratchDatabase(${JSON.stringify(PLACE)}, async (url, home) => { console.log(home); await ${work}; })`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const died = closed.then(([code]) =>
    Promise.reject(new Error(`the process ended with ${code} before it had a companion`)),
  );
  const home = Promise.race([once(child.stdout, 'data').then(([chunk]) => String(chunk).trim()), died]);
  return { child, home, closed };
}

const isThere = async (home: string) => (await readdir(os.tmpdir())).includes(path.basename(home));

describe('a scratch companion', () => {
  it('that a killed process left running is stopped by the next one; companions of running processes are not', async () => {
    const [killed, living] = [hold('holds'), hold('holds')];
    const [left, kept] = [await killed.home, await living.home];
    killed.child.kill('SIGKILL');
    await killed.closed;

    const next = hold('ends');
    const own = await next.home;
    await next.closed;

    expect([await isThere(left), await isThere(kept), await isThere(own)]).toEqual([false, true, false]);
    living.child.kill('SIGKILL');
    await living.closed;
    // Two processes that find the same abandoned companion do not stop each other's companion.
    const last = [hold('ends'), hold('ends')];
    await Promise.all(last.map(({ home }) => home));
    expect(await Promise.all(last.map(({ closed }) => closed))).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(await isThere(kept)).toBe(false);
  });

  it('whose clean-up fails does not hide the error of the work', async () => {
    const place = { service: 'scratched', server: 'companion', database: 'azora_scratched' } as const;
    const maintenance = parseDatabaseUrl(PLACE.maintenance, 'a test');
    let used = '';
    /** Leaves a file in place of the companion's directory, which the clean-up cannot remove. */
    const spoil = async (home: string | undefined): Promise<void> => {
      used = home ?? '';
      await removeCompanion({ home: used, service: place.service });
      await rm(path.join(used, 'companion'), { recursive: true, force: true });
      await mkdir(path.join(used, 'companion'));
      await writeFile(path.join(used, 'companion', place.service), '');
    };

    const failing = withScratchDatabase({ ...place, maintenance }, async (_, home) => {
      await spoil(home);
      throw new Error('the work failed');
    });
    await expect(failing).rejects.toThrow('the work failed');
    await rm(used, { recursive: true, force: true });
    const succeeding = withScratchDatabase({ ...place, maintenance }, (_, home) => spoil(home));
    await expect(succeeding).rejects.toThrow('ENOTDIR');
    await rm(used, { recursive: true, force: true });
  });
});
