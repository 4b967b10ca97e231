import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseUrl } from '@azora/db-core';
import { CREATE_HISTORY } from '@azora/db-migrate';
import { type DoctorReport, examineFleet } from '../src/operations/migrations/doctor';
import type { Target } from '../src/operations/targets';
import type { Finding, Limits } from '../src/postgres/doctor/check';
import { rowsOf, useEmptyDatabase } from './migrations-fixture';

const CLEAN = `
  ${CREATE_HISTORY};
  CREATE TABLE parents (id serial PRIMARY KEY, code text UNIQUE, UNIQUE (id, code));
  CREATE TABLE children (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id int REFERENCES parents,
    code text,
    FOREIGN KEY (parent_id, code) REFERENCES parents (id, code));
  CREATE INDEX children_parent_id ON children (parent_id) WHERE parent_id IS NOT NULL;
  INSERT INTO parents (code) VALUES ('a'), ('b');`;

/** A database without problems for each test of the file, and functions that change and examine it. */
export function usePatient() {
  const url = useEmptyDatabase();
  beforeEach(() => rowsOf(url(), CLEAN));
  return {
    url,
    plant: (sql: string) => rowsOf(url(), sql),
    examine: async (limits: Partial<Limits> = {}, extensions: readonly string[] = []) =>
      findingsOf(await examineFleet([targetOf(url(), 'ordinary', extensions)], { limits })),
  };
}

/** A service with nothing but this database. */
export function targetOf(
  url: DatabaseUrl,
  server: Target['server'] = 'ordinary',
  extensions: readonly string[] = [],
): Target {
  const service = {
    name: 'patient',
    packageName: 'patient',
    description: '',
    directory: '',
    databaseSuffix: 'patient',
    extensions,
    schemaPath: path.join(__dirname, '../../../services/notification/prisma/schema.prisma'),
    migrationsPath: '',
  };
  return { service, server, database: url.database, admin: url, maintenance: url, role: 'patient' };
}

/** The findings about databases; findings about the server are left out, because test servers are configured for speed. */
export function findingsOf({ findings, rows }: DoctorReport): readonly Finding[] {
  for (const row of rows) if (row.state === 'failed') throw row.error;
  return findings.flatMap(({ service, server, ...finding }) => (service === null ? [] : [finding]));
}

/** Repeats the query until it has an answer. */
export async function until<Answer>(ask: () => Promise<Answer | undefined>): Promise<Answer> {
  for (let tries = 0; tries < 6_000; tries += 1) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(10);
  }
  throw new Error('the answer did not come');
}
