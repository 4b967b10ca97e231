import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { splitStatements } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import type { Service } from '../config/registry';

/** Beside the schema: what must be true of the rows beyond what constraints hold. */
const FILE = 'checks.sql';

/**
 * Runs what a service's `prisma/checks.sql` asks: each statement gives a row per thing that is wrong, in its column
 * `problem`. A service without the file has nothing to check.
 */
export async function runChecks(client: ClientBase, service: Service): Promise<readonly string[]> {
  const file = path.join(path.dirname(service.schemaPath), FILE);
  const sql = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const problems: string[] = [];
  for (const { text } of splitStatements(sql)) {
    const { rows } = await client.query<{ problem: string }>(text);
    problems.push(...rows.map(({ problem }) => problem));
  }
  return problems;
}
