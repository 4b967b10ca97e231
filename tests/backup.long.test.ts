import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { backUpFleet, drill, findSet, openSet, openStorage, type Target } from '@azora/db-fleet';
import { useDatabase } from '@azora/db-testkit';

/** Backs the database up and restores the set into a scratch database. */
async function drillOf(target: Target): Promise<Awaited<ReturnType<typeof drill>>> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'azora-sets-'));
  try {
    const storage = await openStorage(directory);
    const request = {
      storage,
      secret: undefined,
      mask: undefined,
      fence: false,
      allowDrift: false,
      format: 'copy',
    } as const;
    const { rows } = await backUpFleet([target], request, {});
    expect(rows).toMatchObject([{ state: 'done' }]);
    const set = await openSet(storage, await findSet(storage, 'latest'), undefined);
    return await drill([target], { set, home: directory, references: [] }, {});
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('a drill of the ledger', () => {
  const mint = useDatabase('mint');

  it('holds when its sums do, and says which wallet does not add up', async () => {
    expect((await drillOf(mint().target)).verification).toMatchObject({ ok: true, problems: [] });

    // Behind the back of every trigger.
    await mint().admin(`SET session_replication_role = replica; UPDATE wallets SET balance = balance - 5 WHERE kind = 'treasury'
      AND currency = 'AZR'; SET session_replication_role = origin`);

    expect((await drillOf(mint().target)).verification).toMatchObject({
      ok: false,
      problems: [
        expect.stringMatching(/^mint: wallet .* its transactions add up to 0/),
        expect.stringContaining('in AZR add up to -5'),
      ],
    });
  });
});

describe('a drill of vectors', () => {
  const rag = useDatabase('rag');

  it('compares them, and what their indexes find', async () => {
    await rag().admin(`
      INSERT INTO rag_chunks (content_id, chunk_index, content, embedding, embedding_dimension)
      SELECT 'c' || n, 0, 'text', (SELECT ARRAY(SELECT sin(n * d) FROM generate_series(1, 768) AS d)::vector), 768
      FROM generate_series(1, 300) AS n`);

    const { rows, verification } = await drillOf(rag().target);

    expect(verification).toMatchObject({ ok: true, problems: [] });
    expect(rows).toMatchObject([{ state: 'done', data: { rows: expect.any(Number) } }]);
  });
});
