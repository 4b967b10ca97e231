import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { splitStatements } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import type { Service } from '../../config/registry';

/** The file beside schema.prisma with queries for rules that constraints cannot express. */
const FILE = 'checks.sql';

/**
 * Runs the queries in a service's `prisma/checks.sql`. Each returns one row per problem, in its column `problem`. A service
 * without the file has no problems.
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
