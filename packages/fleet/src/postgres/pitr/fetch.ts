// PostgreSQL's restore_command: node fetch.cjs <where to> <where from>… It is copied to where the server's account can
// read it, so it imports nothing of ours.
import { copyFileSync } from 'node:fs';

/** PostgreSQL takes codes up to 125 for "not in the archive" and goes on without; above, it ends. */
const NOT_THERE = 1;
const BROKEN = 200;

function fetch(to: string, sources: readonly string[]): number {
  for (const from of sources) {
    try {
      copyFileSync(from, to);
      return 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      console.error(`azora-db: ${from} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
      return BROKEN;
    }
  }
  return NOT_THERE;
}

const [to, ...sources] = process.argv.slice(2);
if (to !== undefined) process.exitCode = fetch(to, sources);
