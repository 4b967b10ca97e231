import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { backUpFleet, findSet, openSet, openStorage, type Target, verifySet } from '@azora/db-fleet';
import { useDatabase } from '@azora/db-testkit';

/** Backs up the database and verifies the set. */
async function verifyBackupOf(target: Target): Promise<Awaited<ReturnType<typeof verifySet>>> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'azora-sets-'));
  try {
    const storage = await openStorage(directory, {});
    const request = {
      storage,
      secret: undefined,
      mask: undefined,
      fence: false,
      allowDrift: false,
      format: 'copy',
      environment: {},
      log: () => undefined,
    } as const;
    const { rows } = await backUpFleet([target], request, {});
    expect(rows).toMatchObject([{ state: 'done' }]);
    const set = await openSet(storage, await findSet(storage, 'latest'), undefined);
    return await verifySet([target], { set, home: directory, references: [], environment: {} }, {});
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('verifying a backup of the ledger', () => {
  const mint = useDatabase('mint');

  it('succeeds when the sums are right, and otherwise names the wallet whose sum is wrong', async () => {
    expect((await verifyBackupOf(mint().target)).verification).toMatchObject({ ok: true, problems: [] });

    // Bypasses every trigger.
    await mint().admin(`SET session_replication_role = replica; UPDATE wallets SET balance = balance - 5 WHERE kind = 'treasury'
      AND currency = 'AZR'; SET session_replication_role = origin`);

    expect((await verifyBackupOf(mint().target)).verification).toMatchObject({
      ok: false,
      problems: [
        expect.stringMatching(/^mint: wallet .* its transactions add up to 0/),
        expect.stringContaining('in AZR add up to -5'),
      ],
    });
  });
});

describe('verifying a backup with vectors', () => {
  const rag = useDatabase('rag');

  it('compares the vectors and measures the recall of their indexes', async () => {
    await rag().admin(`
      INSERT INTO rag_chunks (content_id, chunk_index, content, embedding, embedding_dimension)
      SELECT 'c' || n, 0, 'text', (SELECT ARRAY(SELECT sin(n * d) FROM generate_series(1, 768) AS d)::vector), 768
      FROM generate_series(1, 300) AS n`);

    const { rows, verification } = await verifyBackupOf(rag().target);

    expect(verification).toMatchObject({ ok: true, problems: [] });
    expect(rows).toMatchObject([{ state: 'done', data: { rows: expect.any(Number) } }]);
  });
});
