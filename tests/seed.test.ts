/** @server any */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { type SeedBlock, type ServiceSeed, writeRows } from '@azora/db-core';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { Client, type Pool } from 'pg';
import { seedContext } from '../prisma/personas';
import { seedBase } from '../prisma/service-seed';

const NAMES = readdirSync(path.join(repositoryRoot(), 'services')).sort();
const CONTEXT = seedContext(new Date('2026-06-01'), NAMES, repositoryRoot());
const BLOCK: SeedBlock = { firstUser: 0, userCount: 20, now: CONTEXT.now };

describe.each(NAMES)('the seed of %s', (name) => {
  const db = useDatabase(name);
  let seed: ServiceSeed<{ readonly pool: Pool; close(): Promise<void> }>;

  beforeAll(async () => {
    ({ seed } = await import(`@azora/${name}/seed`));
    await seedBase(seed, db().target.admin.href, CONTEXT);
  });

  /** Writes a block in a transaction that is rolled back, and returns what `read` finds there. */
  async function afterVolume<Found>(copyFrom: boolean, read: (client: Client) => Promise<Found>): Promise<Found> {
    const client = new Client(db().target.admin.href);
    await client.connect();
    try {
      await client.query('BEGIN');
      for (const rows of seed.volume(BLOCK)) await writeRows(client, { copyFrom, roles: true }, rows);
      await client.query('SET CONSTRAINTS ALL IMMEDIATE');
      return await read(client);
    } finally {
      await client.end();
    }
  }

  it('writes the same rows by COPY and by INSERT', async () => {
    const read = async (client: Client) => {
      const found: Record<string, unknown> = {};
      for (const { table, columns } of seed.volume(BLOCK)) {
        const list = columns.map((column) => `"${column}"`).join(', ');
        found[table] = (await client.query(`SELECT ${list} FROM "${table}" ORDER BY ${list}`)).rows;
      }
      return found;
    };

    const inserted = await afterVolume(false, read);

    expect(Object.keys(inserted).length).toBeGreaterThan(0);
    // The companion has no COPY FROM STDIN.
    const hasCopy = db().target.server !== 'companion';
    expect(await afterVolume(hasCopy, read)).toEqual(inserted);
  });

  it('stores documents, never their text, in its JSON columns', async () => {
    const columns = await db().admin(`SELECT table_name, column_name FROM information_schema.columns
      WHERE table_schema = 'public' AND data_type IN ('json', 'jsonb')`);

    const encodedTwice = await afterVolume(false, async (client) => {
      const found: string[] = [];
      for (const { table_name: table, column_name: column } of columns) {
        const sql = `SELECT FROM "${table}" WHERE jsonb_typeof("${column}"::jsonb) = 'string'`;
        if ((await client.query(sql)).rowCount !== 0) found.push(`${table}.${column}`);
      }
      return found;
    });

    expect(encodedTwice).toEqual([]);
  });
});

describe('the seed of agent', () => {
  const agent = useDatabase('agent');

  it('names files that the seed of rag indexes', async () => {
    const { seed } = await import(`@azora/${'agent'}/seed`);
    await seedBase(seed, agent().target.admin.href, CONTEXT);
    const rows = await agent().admin('SELECT DISTINCT source_path FROM message_rag_contexts ORDER BY source_path');

    const files = rows.map(({ source_path }) => String(source_path).replace(/^.*\/packages\//, 'packages/'));
    expect(files).toEqual(['packages/core/src/retry.ts', 'packages/core/src/store.ts']);
    const { readSourceFiles } = await import(path.join(repositoryRoot(), 'services/rag/dist/seed/source.js'));
    const indexed = readSourceFiles(repositoryRoot()).map((file: { readonly path: string }) => file.path);
    expect(indexed).toEqual(expect.arrayContaining(files));
  });
});
