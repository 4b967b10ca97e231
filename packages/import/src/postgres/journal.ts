import { randomBytes } from 'node:crypto';
import { IMPORT_JOURNAL } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import type { Reject } from '../source';
import type { Stage } from '../stage';

/** The schema of the toolkit in each database that receives legacy data. Drift and fingerprints leave it out. */
export const JOURNAL_SCHEMA = IMPORT_JOURNAL;

/**
 * The journal of a database. A batch, its journal and its position are one transaction, so an import that was killed continues
 * with the next batch.
 *
 * - `imports`: one row for each import that reached this database.
 * - `stages`: what a stage writes, so that a rollback needs neither the source nor the program that ran.
 * - `sources`: how far a source is read; `digest` tells whether it is still the same one.
 * - `imported_rows`: what an import did to a row. `before` holds the values of `columns` of an updated row as text, and `hash` those of the
 *   row as the import left it.
 * - `links`: the generated key of the row that a record became.
 * - `rejects`: the records that were not imported.
 */
const CREATE_JOURNAL = `
  SELECT pg_advisory_xact_lock(hashtext('${JOURNAL_SCHEMA}'));
  CREATE SCHEMA IF NOT EXISTS ${JOURNAL_SCHEMA};
  CREATE TABLE IF NOT EXISTS ${JOURNAL_SCHEMA}.imports (
    id text PRIMARY KEY,
    kind text NOT NULL,
    origin text NOT NULL,
    services text[] NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'rolling back', 'rolled back')),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz
  );
  CREATE TABLE IF NOT EXISTS ${JOURNAL_SCHEMA}.stages (
    import_id text NOT NULL REFERENCES ${JOURNAL_SCHEMA}.imports ON DELETE CASCADE,
    stage integer NOT NULL,
    name text NOT NULL,
    relation text NOT NULL,
    key text[] NOT NULL,
    key_types text[] NOT NULL,
    columns text[] NOT NULL,
    types text[] NOT NULL,
    is_done boolean NOT NULL DEFAULT false,
    PRIMARY KEY (import_id, stage)
  );
  CREATE TABLE IF NOT EXISTS ${JOURNAL_SCHEMA}.sources (
    import_id text NOT NULL,
    stage integer NOT NULL,
    source integer NOT NULL,
    name text NOT NULL,
    digest text NOT NULL,
    records bigint NOT NULL DEFAULT 0,
    is_done boolean NOT NULL DEFAULT false,
    inserted bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (import_id, stage, source),
    FOREIGN KEY (import_id, stage) REFERENCES ${JOURNAL_SCHEMA}.stages ON DELETE CASCADE
  );
  CREATE TABLE IF NOT EXISTS ${JOURNAL_SCHEMA}.imported_rows (
    import_id text NOT NULL,
    stage integer NOT NULL,
    key text NOT NULL,
    action "char" NOT NULL CHECK (action IN ('i', 'u', '=')),
    source integer NOT NULL,
    record bigint NOT NULL,
    content uuid NOT NULL,
    hash uuid,
    before text[],
    kept text,
    PRIMARY KEY (import_id, stage, key),
    FOREIGN KEY (import_id, stage) REFERENCES ${JOURNAL_SCHEMA}.stages ON DELETE CASCADE
  );
  CREATE TABLE IF NOT EXISTS ${JOURNAL_SCHEMA}.links (
    relation text NOT NULL,
    legacy text NOT NULL,
    key text NOT NULL,
    PRIMARY KEY (relation, legacy)
  );
  CREATE INDEX IF NOT EXISTS links_key_idx ON ${JOURNAL_SCHEMA}.links (relation, key);
  CREATE TABLE IF NOT EXISTS ${JOURNAL_SCHEMA}.rejects (
    import_id text NOT NULL REFERENCES ${JOURNAL_SCHEMA}.imports ON DELETE CASCADE,
    stage integer NOT NULL,
    source integer NOT NULL,
    position jsonb NOT NULL,
    code text NOT NULL,
    reason text NOT NULL
  );
  CREATE INDEX IF NOT EXISTS rejects_import_idx ON ${JOURNAL_SCHEMA}.rejects (import_id, stage, source)`;

export type ImportState = 'running' | 'done' | 'rolling back' | 'rolled back';

/** An import as one database knows it. */
export interface JournaledImport {
  readonly id: string;
  readonly kind: string;
  readonly origin: string;
  /** Every service that the import writes to. */
  readonly services: readonly string[];
  readonly state: ImportState;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

/** What happened to the records of a source. */
export interface Counts {
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  /** Records whose id and values an earlier record of the same stage has. */
  readonly duplicates: number;
  readonly rejected: number;
}

export const NO_COUNTS: Counts = { inserted: 0, updated: 0, unchanged: 0, duplicates: 0, rejected: 0 };

export function addCounts(left: Counts, right: Counts): Counts {
  return {
    inserted: left.inserted + right.inserted,
    updated: left.updated + right.updated,
    unchanged: left.unchanged + right.unchanged,
    duplicates: left.duplicates + right.duplicates,
    rejected: left.rejected + right.rejected,
  };
}

/** How far a source of an import is read. */
export interface SourceProgress {
  readonly digest: string;
  readonly records: number;
  readonly isDone: boolean;
}

/** An id that sorts by time and that a person can type, such as `20261130-174512-9f3a`. */
export function newImportId(at: Date): string {
  const [date = '', time = ''] = at.toISOString().split('T');
  return `${date.replaceAll('-', '')}-${time.slice(0, 8).replaceAll(':', '')}-${randomBytes(2).toString('hex')}`;
}

/** Creates the journal of a database unless it has one. */
export async function createJournal(client: ClientBase): Promise<void> {
  if (!(await hasJournal(client))) await client.query(`BEGIN; ${CREATE_JOURNAL}; COMMIT`);
}

export async function hasJournal(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    `SELECT to_regclass('${JOURNAL_SCHEMA}.rejects') IS NOT NULL AS found`,
  );
  return rows[0]?.found === true;
}

/** The imports that reached a database, newest first; none without a journal. */
export async function readImports(client: ClientBase): Promise<readonly JournaledImport[]> {
  if (!(await hasJournal(client))) return [];
  const { rows } = await client.query<JournaledImport>(`
    SELECT id, kind, origin, services, state, started_at AS "startedAt", finished_at AS "finishedAt"
    FROM ${JOURNAL_SCHEMA}.imports ORDER BY started_at DESC, id DESC`);
  return rows;
}

/** Enters an import into the journal of a database, or leaves it as it is there. */
export async function enterImport(
  client: ClientBase,
  { id, kind, origin, services }: Pick<JournaledImport, 'id' | 'kind' | 'origin' | 'services'>,
): Promise<void> {
  await client.query(
    `INSERT INTO ${JOURNAL_SCHEMA}.imports (id, kind, origin, services) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
    [id, kind, origin, services],
  );
}

export async function setImportState(client: ClientBase, id: string, state: ImportState): Promise<void> {
  await client.query(
    `UPDATE ${JOURNAL_SCHEMA}.imports
     SET state = $2, finished_at = CASE WHEN $2 IN ('done', 'rolled back') THEN clock_timestamp() END WHERE id = $1`,
    [id, state],
  );
}

interface JournaledColumns {
  readonly relation: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** Enters a stage, or leaves it as it is there. */
export async function enterStage(
  client: ClientBase,
  id: string,
  at: number,
  stage: Stage,
  { relation, columns }: JournaledColumns,
): Promise<void> {
  const typeOf = new Map(columns.map(({ name, type }) => [name, type]));
  await client.query(
    `INSERT INTO ${JOURNAL_SCHEMA}.stages (import_id, stage, name, relation, key, key_types, columns, types)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
    [
      id,
      at,
      stage.name,
      relation,
      stage.key,
      stage.key.map((name) => typeOf.get(name)),
      columns.map(({ name }) => name),
      columns.map(({ type }) => type),
    ],
  );
}

/** How far a source was read. A source that changed since then is read from its beginning, and counts anew. */
export async function openSource(
  client: ClientBase,
  id: string,
  stage: number,
  source: number,
  name: string,
  digest: string,
): Promise<SourceProgress> {
  const { rows } = await client.query<SourceProgress>(
    `INSERT INTO ${JOURNAL_SCHEMA}.sources AS known (import_id, stage, source, name, digest) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (import_id, stage, source) DO UPDATE SET digest = excluded.digest, name = excluded.name
     RETURNING digest, records::float8 AS records, is_done AS "isDone"`,
    [id, stage, source, name, digest],
  );
  return rows[0] ?? { digest, records: 0, isDone: false };
}

/** Adds the outcome of a batch. The caller's transaction holds the rows. */
export async function advanceSource(
  client: ClientBase,
  id: string,
  stage: number,
  source: number,
  progress: { readonly records: number; readonly isDone: boolean; readonly counts: Counts },
): Promise<void> {
  const { inserted, updated, unchanged, duplicates, rejected } = progress.counts;
  await client.query(
    `UPDATE ${JOURNAL_SCHEMA}.sources SET records = $4, is_done = $5, inserted = inserted + $6, updated = updated + $7,
       unchanged = unchanged + $8, duplicates = duplicates + $9, rejected = rejected + $10
     WHERE import_id = $1 AND stage = $2 AND source = $3`,
    [id, stage, source, progress.records, progress.isDone, inserted, updated, unchanged, duplicates, rejected],
  );
}

/** Keeps rejects of a batch. */
export async function addRejects(
  client: ClientBase,
  id: string,
  stage: number,
  source: number,
  rejects: readonly Reject[],
): Promise<void> {
  if (rejects.length === 0) return;
  await client.query(
    `INSERT INTO ${JOURNAL_SCHEMA}.rejects (import_id, stage, source, position, code, reason)
     SELECT $1, $2, $3, position, code, reason
     FROM jsonb_to_recordset($4::jsonb) AS it (position jsonb, code text, reason text)`,
    [id, stage, source, JSON.stringify(rejects)],
  );
}

/** Ends a stage: the rows that the import found as they should be need no entry any more. */
export async function finishStage(client: ClientBase, id: string, stage: number): Promise<void> {
  await client.query(
    `WITH finished AS (
       UPDATE ${JOURNAL_SCHEMA}.stages SET is_done = true WHERE import_id = $1 AND stage = $2
     )
     DELETE FROM ${JOURNAL_SCHEMA}.imported_rows WHERE import_id = $1 AND stage = $2 AND action = '='`,
    [id, stage],
  );
}

/** The rejects of an import in a database, in the order of its stages and sources. */
export async function readRejects(
  client: ClientBase,
  id: string,
): Promise<readonly (Reject & { readonly stage: string })[]> {
  const { rows } = await client.query<Reject & { readonly stage: string }>(
    `SELECT stages.name AS stage, position, code, reason FROM ${JOURNAL_SCHEMA}.rejects JOIN ${JOURNAL_SCHEMA}.stages USING (import_id, stage)
     WHERE import_id = $1 ORDER BY rejects.stage, source, (position ->> 'record')::bigint, code`,
    [id],
  );
  return rows;
}

/** The counts of each stage of an import in a database. */
export async function readStageCounts(
  client: ClientBase,
  id: string,
): Promise<readonly (Counts & { readonly stage: string; readonly table: string })[]> {
  const { rows } = await client.query<Counts & { readonly stage: string; readonly table: string }>(
    `SELECT stages.name AS stage, relation AS table, coalesce(sum(inserted), 0)::float8 AS inserted,
            coalesce(sum(updated), 0)::float8 AS updated, coalesce(sum(unchanged), 0)::float8 AS unchanged,
            coalesce(sum(duplicates), 0)::float8 AS duplicates, coalesce(sum(rejected), 0)::float8 AS rejected
     FROM ${JOURNAL_SCHEMA}.stages LEFT JOIN ${JOURNAL_SCHEMA}.sources USING (import_id, stage)
     WHERE import_id = $1 GROUP BY stage, stages.name, relation ORDER BY stages.stage`,
    [id],
  );
  return rows;
}
