import type { Client } from 'pg';
import { readBatches } from './batches';
import { type Digest, digestFiles } from './digest';
import {
  addRejects,
  advanceSource,
  type Counts,
  createJournal,
  enterImport,
  enterStage,
  finishStage,
  JOURNAL_SCHEMA,
  type JournaledImport,
  newImportId,
  openSource,
  readImports,
  readRejects,
  readStageCounts,
  setImportState,
} from './postgres/journal';
import { createLinks } from './postgres/links';
import { createStaging, fillStaging } from './postgres/staging';
import { readTargetTable } from './postgres/target-table';
import { type StageRun, writeBatch } from './postgres/write-batch';
import { type ImportDatabase, inImportTransaction, type RunOptions, withImportSession } from './session';
import type { Reject } from './source';
import type { ImportSource, Stage, StageSource } from './stage';

/** The counts of a stage of an import. */
export interface StageReport extends Counts {
  readonly stage: string;
  readonly table: string;
}

/** What an import did in one database. */
export interface ServiceReport {
  readonly stages: readonly StageReport[];
  readonly rejects: readonly (Reject & { readonly stage: string })[];
}

/** The import that a run begins or continues. */
export interface BegunImport extends Pick<JournaledImport, 'id' | 'kind' | 'origin' | 'services'> {
  /** Whether an earlier run left it unfinished. */
  readonly isContinued: boolean;
  /** By the names of the sources. */
  readonly digests: ReadonlyMap<string, Digest>;
}

/**
 * Begins an import, or continues one of the same source that was interrupted. If the source changed in the meantime, the
 * interrupted import ends where it was, and another one begins.
 * @throws {SuiteError} `IMPORT.CANNOT_READ`, and those of the session
 */
export async function beginImport(
  source: ImportSource,
  databases: readonly ImportDatabase[],
  now: Date,
): Promise<BegunImport> {
  const digests = await digestsOf(source);
  const services = [...new Set(source.stages.map(({ service }) => service))];
  const earlier = new Map<string, EarlierImport>();
  for (const database of databases) {
    await withImportSession(database, async (client) => {
      await createJournal(client);
      for (const found of await readImports(client)) {
        if (found.kind !== source.kind || found.origin !== source.origin || found.state.startsWith('roll')) continue;
        const { doneIn = [], isSame = true } = earlier.get(found.id) ?? {};
        earlier.set(found.id, {
          doneIn: found.state === 'done' ? [...doneIn, database.service] : doneIn,
          isSame: isSame && found.services.join() === services.join() && (await hasDigests(client, found.id, digests)),
        });
      }
    });
  }
  const unfinished = [...earlier].filter(([, { doneIn }]) => doneIn.length < services.length);
  const continued = unfinished.find(([, { isSame }]) => isSame)?.[0];
  await endImports(databases, new Set(unfinished.map(([id]) => id).filter((id) => id !== continued)));
  const { kind, origin } = source;
  return { id: continued ?? newImportId(now), kind, origin, services, digests, isContinued: continued !== undefined };
}

/** An earlier import of the same source. */
interface EarlierImport {
  readonly doneIn: readonly string[];
  /** Whether the source is as it was then. */
  readonly isSame: boolean;
}

async function endImports(databases: readonly ImportDatabase[], ids: ReadonlySet<string>): Promise<void> {
  if (ids.size === 0) return;
  for (const database of databases) {
    await withImportSession(database, async (client) => {
      for (const { id, state } of await readImports(client)) {
        if (ids.has(id) && state === 'running') await setImportState(client, id, 'done');
      }
    });
  }
}

async function digestsOf({ stages }: ImportSource): Promise<ReadonlyMap<string, Digest>> {
  const digests = new Map<string, Digest>();
  const byFiles = new Map<string, Digest>();
  for (const { name, files } of stages.flatMap(({ sources }) => sources)) {
    const known = byFiles.get(files.join('\0')) ?? (await digestFiles(files));
    byFiles.set(files.join('\0'), known);
    digests.set(name, known);
  }
  return digests;
}

async function hasDigests(client: Client, id: string, digests: ReadonlyMap<string, Digest>): Promise<boolean> {
  const { rows } = await client.query<{ name: string; digest: string }>(
    `SELECT name, digest FROM ${JOURNAL_SCHEMA}.sources WHERE import_id = $1`,
    [id],
  );
  return rows.every(({ name, digest }) => digests.get(name)?.value === digest);
}

/**
 * Runs the stages of one database, from where an interrupted run left them.
 * @throws {SuiteError} `IMPORT.…`; the reason of the signal after an interruption
 */
export async function importInto(
  database: ImportDatabase,
  source: ImportSource,
  begun: BegunImport,
  options: RunOptions,
): Promise<ServiceReport> {
  return withImportSession(database, async (client) => {
    await createLinks(client);
    await enterImport(client, begun);
    const { rows } = await client.query<{ state: string }>(
      `SELECT state FROM ${JOURNAL_SCHEMA}.imports WHERE id = $1`,
      [begun.id],
    );
    if (rows[0]?.state === 'running') {
      for (const [at, stage] of source.stages.entries()) {
        if (stage.service === database.service) await runStage(client, database, begun, at, stage, options);
      }
      await setImportState(client, begun.id, 'done');
    }
    const stages = await readStageCounts(client, begun.id);
    return { stages, rejects: await readRejects(client, begun.id) };
  });
}

async function runStage(
  client: Client,
  database: ImportDatabase,
  { id, digests }: BegunImport,
  at: number,
  stage: Stage,
  options: RunOptions,
): Promise<void> {
  const target = await readTargetTable(client, stage);
  await enterStage(client, id, at, stage, target);
  await createStaging(client, stage);
  const run: StageRun = { importId: id, at, stage, target };
  for (const [number, source] of stage.sources.entries()) {
    const digest = digests.get(source.name);
    if (digest === undefined) throw new Error(`no digest of ${source.name}`);
    const progress = await openSource(client, id, at, number, source.name, digest.value);
    if (!progress.isDone) await runSource(client, database, run, number, source, digest, progress.records, options);
  }
  await finishStage(client, id, at);
}

async function runSource(
  client: Client,
  { canCopy }: ImportDatabase,
  run: StageRun,
  number: number,
  source: StageSource,
  digest: Digest,
  skip: number,
  { onProgress, signal }: RunOptions,
): Promise<void> {
  const { importId, at, stage } = run;
  for await (const { records, rows, rejects, isLast } of readBatches(stage, source, skip)) {
    signal?.throwIfAborted();
    if (isLast) await digest.requireUnchanged();
    await inImportTransaction(client, async () => {
      await fillStaging(client, stage, rows, canCopy);
      if (stage.prepare !== undefined && rows.length > 0) await client.query(stage.prepare);
      const written = await writeBatch(client, run, number, rows);
      const all = [...rejects, ...written.rejects];
      await addRejects(client, importId, at, number, all);
      const counts = { ...written.counts, rejected: all.length };
      await advanceSource(client, importId, at, number, { records, isDone: isLast, counts });
    });
    onProgress?.(`${stage.name}: ${records.toLocaleString('en')} records of ${source.name}`);
  }
}
