import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseDatabaseUrl } from '@azora/db-core';

const PROGRAM = path.resolve(__dirname, '..', 'dist', 'postgres', 'scratch.js');
const PLACE = {
  ...{ service: 'scratched', server: 'companion', database: 'azora_scratched' },
  maintenance: parseDatabaseUrl('postgresql://nobody@127.0.0.1:1/postgres', 'a test').href,
};

/** A process that says when its scratch companion is there and then holds it, or ends. */
function hold(ending: 'holds' | 'ends') {
  const work = ending === 'holds' ? 'new Promise(() => setInterval(() => undefined, 1000))' : 'undefined';
  const code = `const { withScratchDatabase } = require(${JSON.stringify(PROGRAM)});
    withScratchDatabase(${JSON.stringify(PLACE)}, async (url, home) => { console.log(home); await ${work}; })`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const died = closed.then(([code]) => Promise.reject(new Error(`it ended with ${code} before it had a companion`)));
  const home = Promise.race([once(child.stdout, 'data').then(([chunk]) => String(chunk).trim()), died]);
  return { child, home, closed };
}

const isThere = async (home: string) => (await readdir(os.tmpdir())).includes(path.basename(home));

describe('a scratch companion', () => {
  it('that a killed process left running is ended by the next one, which leaves those of living processes alone', async () => {
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
    // Two that find the same one left: neither takes the other for it.
    const last = [hold('ends'), hold('ends')];
    await Promise.all(last.map(({ home }) => home));
    expect(await Promise.all(last.map(({ closed }) => closed))).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(await isThere(kept)).toBe(false);
  });
});
