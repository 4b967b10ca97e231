import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { splitStatements } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import type { Service } from '../../config/registry';

/** The file beside schema.prisma with queries for rules that constraints cannot express. */
const FILE = 'checks.sql';

/** The queries of a service's `prisma/checks.sql`. */
export interface IntegrityChecks {
  readonly statements: readonly string[];
  readonly sha256: string;
}

/** Reads the queries of a service; undefined when it has none. */
export async function readChecks(service: Service): Promise<IntegrityChecks | undefined> {
  const file = path.join(path.dirname(service.schemaPath), FILE);
  const sql = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (sql === undefined) return undefined;
  const statements = splitStatements(sql).map(({ text }) => text);
  return { statements, sha256: createHash('sha256').update(sql).digest('hex') };
}

/** Runs the queries. Each returns one row per problem, in its column `problem`. */
export async function runChecks(client: ClientBase, { statements }: IntegrityChecks): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const statement of statements) {
    const { rows } = await client.query<{ problem: string }>(statement);
    problems.push(...rows.map(({ problem }) => problem));
  }
  return problems;
}

/** The problems that the queries of a service find. A service without queries has none. */
export async function findProblems(client: ClientBase, service: Service): Promise<readonly string[]> {
  const checks = await readChecks(service);
  return checks === undefined ? [] : runChecks(client, checks);
}
