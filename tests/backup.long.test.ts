import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { backUpFleet, openSet, openStorage, type Target, verifySet } from '@azora/db-fleet';
import { useDatabase } from '@azora/db-testkit';

/** Backs up the database and verifies the set, whose manifest `edit` may change in between. */
async function verifyBackupOf(
  target: Target,
  edit: (manifest: string) => string = (manifest) => manifest,
): Promise<Awaited<ReturnType<typeof verifySet>>> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'azora-sets-'));
  try {
    const storage = await openStorage(directory, {});
    const request = {
      storage,
      secret: undefined,
      mask: undefined,
      fence: false,
      allowDrift: false,
      allowIncomplete: false,
      format: 'copy',
      compression: 'gzip',
      full: false,
      environment: {},
      references: [],
      log: () => undefined,
    } as const;
    const { rows, set: id } = await backUpFleet([target], request, {});
    expect(rows.map((row) => (row.state === 'failed' ? row.error : row.state))).toEqual(['done']);
    const manifest = edit((await storage.readText(id, 'manifest.json')) ?? '');
    await storage.writeText(id, 'manifest.json', manifest);
    await storage.writeText(id, 'manifest.seal', `sha256 ${createHash('sha256').update(manifest).digest('hex')}\n`);
    const set = await openSet(storage, id, undefined);
    return await verifySet([target], { set, home: directory, references: [], environment: {} }, {});
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('verifying a backup of the ledger', () => {
  const mint = useDatabase('mint');

  it('warns of sums that were wrong already, and fails when they were right when the set was made', async () => {
    const right = { ok: true, problems: [], warnings: [] };
    expect((await verifyBackupOf(mint().target)).verification).toMatchObject(right);

    // Bypasses every trigger.
    await mint().admin(`SET session_replication_role = replica; UPDATE wallets SET balance = balance - 5 WHERE kind = 'treasury'
      AND currency = 'AZR'; SET session_replication_role = origin`);

    expect((await verifyBackupOf(mint().target)).verification).toMatchObject({
      ok: true,
      problems: [],
      warnings: [expect.stringMatching(/^mint: wallet .* its transactions add up to 0 and 1 more problem, already/)],
    });
    const withoutProblems = (manifest: string) => manifest.replace(/"problems": 2/, '"problems": 0');
    expect((await verifyBackupOf(mint().target, withoutProblems)).verification).toMatchObject({
      ok: false,
      problems: [
        'mint: prisma/checks.sql finds 2 problems, and found 0 when the set was made',
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
