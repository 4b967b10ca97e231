// PostgreSQL's restore_command: node fetch.cjs <destination> <source>… It is copied to a place that the server's account
// can read, so it imports nothing of the suite.
import { copyFileSync } from 'node:fs';

/** Exit codes up to 125 tell PostgreSQL that the file is not in the archive. With a higher code, recovery fails. */
const NOT_FOUND = 1;
const UNREADABLE = 200;

function fetch(to: string, sources: readonly string[]): number {
  for (const from of sources) {
    try {
      copyFileSync(from, to);
      return 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      console.error(`azora-db: cannot read ${from}: ${error instanceof Error ? error.message : String(error)}`);
      return UNREADABLE;
    }
  }
  return NOT_FOUND;
}

const [to, ...sources] = process.argv.slice(2);
if (to !== undefined) process.exitCode = fetch(to, sources);
