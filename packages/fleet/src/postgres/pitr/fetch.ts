// PostgreSQL's restore_command: node fetch.cjs <destination> <source>… It is copied to a place that the server's account
// can read, so it imports nothing of the suite.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Exit codes up to 125 tell PostgreSQL that the file is not in the archive. With a higher code, recovery fails. */
const NOT_FOUND = 1;
const UNREADABLE = 200;

function fetch(to: string, sources: readonly string[]): number {
  for (const from of sources) {
    try {
      const file = readFileSync(from);
      const checksum = `${from}.sha256`;
      // Versions before 0.2 archived no checksums.
      if (
        existsSync(checksum) &&
        readFileSync(checksum, 'utf8').trim() !== createHash('sha256').update(file).digest('hex')
      ) {
        console.error(`azora-db: ${from} is damaged: it does not match its checksum`);
        return UNREADABLE;
      }
      writeFileSync(to, file, { mode: 0o600 });
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
