import { splitStatements, withClient } from '@azora/db-migrate';
import { readSetFile, textOf } from '../../backup-store/file';
import type { OpenedSet } from '../../backup-store/set';
import type { Pair } from './preflight';

const HNSW = /^CREATE INDEX \S+ ON (?:ONLY )?(?:\w+\.)?"?(\w+)"? USING hnsw .*vector\((\d+)\)/;
/** An element of a graph with pgvector's default m of 16: the vector, 32 neighbours of 16 bytes, its own fields. */
const bytesOf = (dimensions: number): number => 4 * dimensions + 32 * 16 + 200;
const MIB = 2 ** 20;

/**
 * Which vector indexes of the set have a graph that does not fit into the server's `maintenance_work_mem`, in words: their
 * build takes many times as long (pgvector's README, «Index Build Time»). An estimate, of all rows of the table.
 */
export async function tightGraphs(set: OpenedSet, pairs: readonly Pair[]): Promise<readonly string[]> {
  const withVectors = pairs.filter(({ entry }) => entry.extensions.some(({ name }) => name === 'vector'));
  const notes = await Promise.all(withVectors.map((pair) => tightGraphsOf(set, pair)));
  return notes.flat();
}

async function tightGraphsOf(set: OpenedSet, { target, entry }: Pair): Promise<readonly string[]> {
  const postData = await readSetFile(set.storage, set.manifest.id, entry.schema.postData, set.key, textOf);
  const memory = await withClient(target.maintenance, async (client) => {
    const { rows } = await client.query<{ bytes: number }>(
      `SELECT pg_size_bytes(current_setting('maintenance_work_mem'))::float8 AS bytes`,
    );
    return rows[0]?.bytes ?? 0;
  });
  return splitStatements(postData).flatMap(({ text }) => {
    const [, table, dimensions] = HNSW.exec(text) ?? [];
    const rows = entry.tables.find(({ name }) => name === table)?.rows ?? 0;
    const needed = rows * bytesOf(Number(dimensions));
    if (table === undefined || needed <= memory) return [];
    const [takes, has] = [needed, memory].map((bytes) => `${Math.ceil(bytes / MIB).toLocaleString('en')} MiB`);
    return [
      `${entry.service}: the graph of ${table} (${dimensions} dimensions) takes about ${takes}, and maintenance_work_mem is ${has}: its index is built slowly; raise it on the server first if there is memory`,
    ];
  });
}
