/** @server none */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseDatabaseUrl } from '@azora/db-core';

const PROGRAM = path.resolve(__dirname, '..', 'dist', 'postgres', 'scratch.js');
const COMPANION = path.resolve(__dirname, '..', 'dist', 'postgres', 'companion', 'server.js');
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
    expect(await errorAfterSpoiling("throw new Error('the work failed')")).toBe('the work failed');
    expect(await errorAfterSpoiling('')).toMatch('ENOTDIR');
  });
});

/** The error of a process whose work puts a file in place of the companion's directory, so that the clean-up fails. */
async function errorAfterSpoiling(ending: string): Promise<string> {
  const code = `const { mkdirSync, rmSync, writeFileSync } = require('node:fs');
    const { withScratchDatabase } = require(${JSON.stringify(PROGRAM)});
    const { removeCompanion } = require(${JSON.stringify(COMPANION)});
    let used;
    withScratchDatabase(${JSON.stringify(PLACE)}, async (_, home) => {
      used = home;
      await removeCompanion({ home, service: 'scratched' });
      rmSync(home + '/companion', { recursive: true, force: true });
      mkdirSync(home + '/companion');
      writeFileSync(home + '/companion/scratched', '');
      ${ending}
    }).catch((error) => console.log(error.message)).finally(() => rmSync(used, { recursive: true, force: true }))`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  return output.trim();
}
