import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Position } from '../source';
import type { Stage, StageRow } from '../stage';

/** The temporary table with the rows of a batch, all values as text. */
export const STAGED = 'pg_temp.azora_staged';

export const DROP_STAGING = `DROP TABLE IF EXISTS ${STAGED}`;

const CHUNK_CHARACTERS = 256 * 1024;

/** A row with the position of the record that it comes from. */
export interface StagedRow {
  readonly position: Position;
  readonly row: StageRow;
}

/** The columns of the staged rows besides their number. */
export function stagedColumns({ columns, inputs = [], expressions = {}, isLinked }: Stage): readonly string[] {
  const written = columns.filter((name) => !(name in expressions));
  return [...new Set([...written, ...inputs, ...(isLinked ? ['legacy'] : [])])];
}

/** Creates the table for the rows of a stage; each transaction begins with an empty one. */
export async function createStaging(client: ClientBase, stage: Stage): Promise<void> {
  const columns = stagedColumns(stage).map((name) => `${quoteIdentifier(name)} text`);
  await client.query(`${DROP_STAGING};
    CREATE TEMP TABLE azora_staged ("#ordinal" integer, "#record" bigint, ${columns.join(', ')}) ON COMMIT DELETE ROWS`);
}

/**
 * Writes the rows of a batch, which get the numbers from 1 on.
 * @param canCopy false on a server without `COPY … FROM STDIN`
 */
export async function fillStaging(
  client: ClientBase,
  stage: Stage,
  rows: readonly StagedRow[],
  canCopy: boolean,
): Promise<void> {
  const columns = stagedColumns(stage);
  const target = `${STAGED} ("#ordinal", "#record", ${columns.map(quoteIdentifier).join(', ')})`;
  if (canCopy) {
    const stream = client.query(copyFrom(`COPY ${target} FROM STDIN`));
    await pipeline(Readable.from(copyText(rows, columns), { objectMode: false }), stream);
    return;
  }
  const arrays = columns.map((_, at) => `$${at + 3}::text[]`);
  await client.query(`INSERT INTO ${target} SELECT * FROM unnest($1::integer[], $2::bigint[], ${arrays.join(', ')})`, [
    rows.map((_, at) => at + 1),
    rows.map(({ position }) => position.record),
    ...columns.map((name) => rows.map(({ row }) => row[name] ?? null)),
  ]);
}

const SPECIAL = /[\\\t\n\r]/g;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function* copyText(rows: readonly StagedRow[], columns: readonly string[]): Generator<string> {
  let chunk = '';
  let ordinal = 0;
  for (const { position, row } of rows) {
    ordinal += 1;
    chunk += `${ordinal}\t${position.record}`;
    for (const name of columns) {
      const value = row[name];
      chunk +=
        value === null || value === undefined ? '\t\\N' : `\t${value.replace(SPECIAL, (it) => ESCAPES[it] ?? it)}`;
    }
    chunk += '\n';
    if (chunk.length >= CHUNK_CHARACTERS) {
      yield chunk;
      chunk = '';
    }
  }
  if (chunk !== '') yield chunk;
}
