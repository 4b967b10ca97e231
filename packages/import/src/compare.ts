import { readBatches } from './batches';
import { CREATE_SEEN, compareStatement, DROP_SEEN } from './postgres/compare-sql';
import { createLinks } from './postgres/links';
import { createStaging, fillStaging } from './postgres/staging';
import { readTargetTable } from './postgres/target-table';
import { type ImportDatabase, inImportTransaction, type RunOptions, withImportSession } from './session';
import type { Reject } from './source';
import type { ImportSource, Stage } from './stage';

/** The rejects that a report lists for each stage; it counts all of them. */
const LISTED_REJECTS = 100;

/** The rows of a stage in the source beside those in the table. */
export interface StageComparison {
  readonly stage: string;
  readonly table: string;
  readonly sources: readonly string[];
  /** Rows that the source yields, without repeated ones. */
  readonly rows: number;
  /** Rows that the table lacks. */
  readonly missing: number;
  readonly different: number;
  readonly same: number;
  /** Records that repeat the id of an earlier one. */
  readonly repeated: number;
  /** Rows whose unique values another row of the table has. */
  readonly colliding: number;
  /** Records that cannot be read or mapped. */
  readonly rejected: number;
  /** The first of them. */
  readonly rejects: readonly Reject[];
  /** The content of the rows that both have: equal if and only if no row differs. */
  readonly sourceHash: string;
  readonly targetHash: string;
}

interface Compared {
  readonly missing: number;
  readonly different: number;
  readonly same: number;
  readonly repeated: number;
  readonly colliding: number;
  readonly sourceHash: string;
  readonly targetHash: string;
}

/**
 * Compares the source with a database, stage by stage, as a run would read it. Changes nothing in the database.
 * @throws {SuiteError} `IMPORT.…`; the reason of the signal after an interruption
 */
export async function compareWith(
  database: ImportDatabase,
  source: ImportSource,
  options: RunOptions,
): Promise<readonly StageComparison[]> {
  return withImportSession(database, async (client) => {
    await createLinks(client);
    const comparisons: StageComparison[] = [];
    for (const stage of source.stages) {
      if (stage.service !== database.service) continue;
      await client.query(CREATE_SEEN);
      const target = await readTargetTable(client, stage);
      await createStaging(client, stage);
      comparisons.push(await compareStage(client, database, stage, compareStatement(stage, target), options));
    }
    await client.query(DROP_SEEN);
    return comparisons;
  });
}

async function compareStage(
  client: Parameters<typeof inImportTransaction>[0],
  { canCopy }: ImportDatabase,
  stage: Stage,
  statement: string,
  { onProgress, signal }: RunOptions,
): Promise<StageComparison> {
  const total = { missing: 0, different: 0, same: 0, repeated: 0, colliding: 0, rejected: 0 };
  const hashes = { source: 0n, target: 0n };
  const rejects: Reject[] = [];
  for (const source of stage.sources) {
    for await (const batch of readBatches(stage, source, 0)) {
      signal?.throwIfAborted();
      total.rejected += batch.rejects.length;
      rejects.push(...batch.rejects.slice(0, LISTED_REJECTS - rejects.length));
      if (batch.rows.length === 0) continue;
      const part = await inImportTransaction(client, async () => {
        await fillStaging(client, stage, batch.rows, canCopy);
        const { rows } = await client.query<Compared>(statement, [1, batch.rows.length]);
        return rows[0];
      });
      if (part === undefined) continue;
      total.missing += part.missing;
      total.different += part.different;
      total.same += part.same;
      total.repeated += part.repeated;
      total.colliding += part.colliding;
      hashes.source += BigInt(part.sourceHash);
      hashes.target += BigInt(part.targetHash);
      onProgress?.(`${stage.name}: ${batch.records.toLocaleString('en')} records of ${source.name}`);
    }
  }
  return {
    stage: stage.name,
    table: stage.table,
    sources: stage.sources.map(({ name }) => name),
    rows: total.missing + total.different + total.same,
    ...total,
    rejects,
    sourceHash: hashText(hashes.source),
    targetHash: hashText(hashes.target),
  };
}

function hashText(sum: bigint): string {
  return BigInt.asUintN(64, sum).toString(16).padStart(16, '0');
}
