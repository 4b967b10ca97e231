import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { type TestDatabase, testEffort } from '@azora/db-testkit';
import {
  callers,
  findNodes,
  getWorkspace,
  indexWorkspace,
  openRag,
  putFiles,
  type Rag,
  search,
  verifyWorkspace,
  workspaceFreshness,
  workspaceId,
} from '../../src';
import { fresh, givenProvider, hashOf, outcomes } from '../given';
import { checkSequences } from '../index-sequences';
import { SHOP, useFolders, writeTree } from '../trees';

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testIndexing(db: () => TestDatabase): void {
  describe('the index of a tree', () => {
    const newFolder = useFolders();
    let rag: Rag;
    beforeAll(() => {
      rag = openRag({ url: db().url, slowQueryMs: 60_000, pool: { connectTimeoutMs: 60_000 } });
    });
    afterAll(() => rag.close());

    const givenTree = (files: Readonly<Record<string, string | Buffer>> = SHOP) => {
      const root = newFolder();
      writeTree(root, files);
      return { root, id: workspaceId(root), provider: givenProvider() };
    };
    const namesOf = async (id: string, name: string) => {
      const [node] = await findNodes(rag, { workspaceId: id, name });
      return (await callers(rag, { nodeId: node?.id ?? '' })).nodes.map((it) => it.name);
    };
    const verified = async (root: string) =>
      (await verifyWorkspace(rag, { path: root, provider: givenProvider() })).differences;
    /** The versions of all rows: a write, even of equal values, changes them. */
    const versions = () =>
      db().admin(
        `SELECT 'chunk' AS t, id::text, xmin::text FROM rag_chunks UNION ALL SELECT 'node', id::text, xmin::text FROM code_nodes
         UNION ALL SELECT 'edge', id::text, xmin::text FROM code_edges UNION ALL SELECT 'entry', id::text, xmin::text FROM index_metadata
         UNION ALL SELECT 'workspace', id, xmin::text FROM workspaces UNION ALL SELECT 'event', count(*)::text, '' FROM outbox ORDER BY 1, 2`,
      );

    it('has the chunks, nodes and edges of all files, and a second run writes nothing', async () => {
      const { root, id, provider } = givenTree();

      const first = await indexWorkspace(rag, { path: root, provider });
      expect(first).toMatchObject({ workspaceId: id, files: 5, indexed: 5, removed: 0, isComplete: true, skipped: [] });
      const before = await versions();
      const second = await indexWorkspace(rag, { path: root, provider });

      expect(second).toMatchObject({
        indexed: 0,
        chunks: { embedded: 0 },
        graph: { nodesWritten: 0, edgesWritten: 0 },
      });
      expect(await versions()).toEqual(before);
      expect(await verified(root)).toEqual([]);
      expect(await namesOf(id, 'total')).toEqual(['pay']);
      expect(await namesOf(id, 'add')).toEqual(['report']);
      const [found] = await search(rag, { text: 'pay the money', provider, workspaceId: id });
      expect(found).toMatchObject({ sourcePath: 'src/pay.ts', contentType: 'Code', title: 'pay' });
      expect((await workspaceFreshness(rag, { workspaceId: id })).map(({ files }) => files)).toEqual([5, 4]);
    });

    it('embeds only new texts: neither unchanged chunks nor renamed files', async () => {
      const { root, id, provider } = givenTree();
      await indexWorkspace(rag, { path: root, provider });
      provider.asked.length = 0;
      renameSync(path.join(root, 'src'), path.join(root, 'shop'));
      writeFileSync(path.join(root, 'README.md'), `${SHOP['README.md']}\n## Refunds\n\nMoney goes back.\n`);

      const result = await indexWorkspace(rag, { path: root, provider });

      expect(result).toMatchObject({ indexed: 3, removed: 2 });
      expect(provider.asked).toHaveLength(1);
      expect(provider.asked[0]).toContain('Money goes back');
      expect(await verified(root)).toEqual([]);
      expect(await namesOf(id, 'total')).toEqual(['pay']);
    });

    it('resolves the edges of unchanged files again when what they name appears, moves or goes', async () => {
      const { root, id, provider } = givenTree();
      rmSync(path.join(root, 'src/order.ts'));
      rmSync(path.join(root, 'tools/sums.py'));
      await indexWorkspace(rag, { path: root, provider });
      expect(await namesOf(id, 'pay')).toEqual([]);

      writeTree(root, { 'src/order.ts': SHOP['src/order.ts'], 'tools/sums.py': SHOP['tools/sums.py'] });
      await indexWorkspace(rag, { path: root, provider });
      expect([await namesOf(id, 'total'), await namesOf(id, 'add')]).toEqual([['pay'], ['report']]);

      rmSync(path.join(root, 'src/order.ts'));
      await indexWorkspace(rag, { path: root, provider });
      expect(await findNodes(rag, { workspaceId: id, qualifiedName: 'src/order.total' })).toEqual([]);
      expect(await verified(root)).toEqual([]);
    });

    it('reads again what a changed package.json makes an import mean', async () => {
      const { root, id, provider } = givenTree({
        'core/package.json': '{ "name": "@shop/core" }',
        'core/src/index.ts': 'export function save(): void {}\n',
        'web/main.ts': "import { save } from '@shop/store';\n\nexport function run(): void {\n  save();\n}\n",
      });
      await indexWorkspace(rag, { path: root, provider });
      expect(await namesOf(id, 'save')).toEqual([]);

      writeTree(root, { 'core/package.json': '{ "name": "@shop/store" }' });
      await indexWorkspace(rag, { path: root, provider });

      expect(await namesOf(id, 'save')).toEqual(['run']);
      expect(await verified(root)).toEqual([]);
    });

    it('leaves out files that no index can hold, and says why', async () => {
      const { root, id, provider } = givenTree({
        ...SHOP,
        'latin.txt': Buffer.from([0x63, 0xe9, 0x0a]),
        'late-nul.txt': `${'x'.repeat(20_000)}\0`,
        'big.ts': '',
        'blank.ts': '\n\n  \n',
        'back\\slash.ts': 'export const one = 1;\n',
        'long-line.js': `const a = "${'é'.repeat(30_000)}";\n`,
      });
      truncateSync(path.join(root, 'big.ts'), 50_000_000);
      symlinkSync('.', path.join(root, 'loop'));

      const { files, skipped } = await indexWorkspace(rag, { path: root, provider });

      expect(skipped.map((file) => `${file.path} ${file.reason}`).sort()).toEqual([
        'back\\slash.ts invalid-name',
        'big.ts too-large',
        'late-nul.txt binary',
        'latin.txt invalid-utf-8',
        'loop symbolic-link',
      ]);
      expect(files).toBe(7);
      expect(await verified(root)).toEqual([]);
      writeTree(root, { 'README.md': Buffer.from([0xff, 0xfe, 0x00]) });
      await indexWorkspace(rag, { path: root, provider });
      expect(await search(rag, { text: 'shop', provider, workspaceId: id, pathGlob: 'README.md' })).toEqual([]);
      expect(await verified(root)).toEqual([]);
    });

    it('keeps what was written before the provider failed, and the next call asks only for the rest', async () => {
      const many = Object.fromEntries(
        Array.from({ length: 300 }, (_, n) => [
          `notes/${String(n).padStart(3, '0')}.txt`,
          `note ${n} about ${'it '.repeat(50)}\n`,
        ]),
      );
      const { root, id, provider } = givenTree({ ...SHOP, ...many });
      provider.before = () => {
        if (provider.asked.length > 0) throw new Error('down');
      };
      await expect(indexWorkspace(rag, { path: root, provider })).rejects.toThrow('down');
      const [before] = await workspaceFreshness(rag, { workspaceId: id });
      expect(before).toMatchObject({ index: 'rag', indexedAt: null });
      expect(before?.files).toBeGreaterThan(0);
      const asked = provider.asked.length;

      provider.before = () => undefined;
      await indexWorkspace(rag, { path: root, provider });

      expect(new Set(provider.asked).size).toBe(provider.asked.length);
      expect(provider.asked.length).toBeGreaterThan(asked);
      expect(await verified(root)).toEqual([]);
    });

    it('stops at an interrupt, and rejects another model before it reads a file', async () => {
      const { root, provider } = givenTree();
      const stop = new AbortController();
      const onProgress = () => stop.abort(new Error('stop'));
      await expect(indexWorkspace(rag, { path: root, provider, signal: stop.signal, onProgress })).rejects.toThrow(
        'stop',
      );
      await indexWorkspace(rag, { path: root, provider });

      const other = indexWorkspace(rag, { path: root, provider: givenProvider(16) });
      await expect(other).rejects.toMatchObject({ code: 'RAG.MODEL_MISMATCH' });
      await expect(indexWorkspace(rag, { path: path.join(root, 'none'), provider })).rejects.toMatchObject({
        code: 'CODE.ROOT_INVALID',
      });
    });

    it('has one indexer per workspace', async () => {
      const { root, provider } = givenTree({ ...SHOP, 'new.txt': `${fresh('text')} has no embedding yet\n` });
      let arrive = () => {};
      let leave = () => {};
      const arrived = new Promise<void>((resolve) => {
        arrive = resolve;
      });
      const left = new Promise<void>((resolve) => {
        leave = resolve;
      });
      provider.before = async () => {
        arrive();
        await left;
      };
      const first = indexWorkspace(rag, { path: root, provider });
      await arrived;

      const others = [1, 2, 3].map(() => indexWorkspace(rag, { path: root, provider: givenProvider() }));
      expect(await outcomes(others)).toEqual(Array(3).fill('RAG.INDEX_CLAIMED'));
      leave();
      await first;

      expect(await verified(root)).toEqual([]);
      await indexWorkspace(rag, { path: root, provider });
    });

    it('lets another one take over when the claim has ended, and the first one then writes nothing', async () => {
      const { root, id, provider } = givenTree({ ...SHOP, 'new.txt': `${fresh('text')} has no embedding yet\n` });
      const slow = givenProvider();
      slow.before = async () => {
        await db().admin(`UPDATE workspaces SET index_owner_until = clock_timestamp() WHERE id = $1`, [id]);
        writeTree(root, { 'src/pay.ts': 'export const changed = 1;\n' });
        await indexWorkspace(rag, { path: root, provider });
      };

      await expect(indexWorkspace(rag, { path: root, provider: slow })).rejects.toMatchObject({
        code: 'RAG.INDEX_LOST',
      });

      expect(await verified(root)).toEqual([]);
      const { indexOwner, indexTree } = await getWorkspace(rag, { workspaceId: id });
      expect([indexOwner, indexTree?.length]).toEqual([null, 64]);
    });

    it('does not wait for a process of this machine that was killed', async () => {
      const { root, id, provider } = givenTree();
      await indexWorkspace(rag, { path: root, provider });
      writeTree(root, { 'src/pay.ts': 'export const changed = 1;\n' });
      const dead = await endedProcess();
      const owner = `${hostname()} ${dead} killed`;
      await db().admin(`SELECT FROM claim_index($1, $2, 'any', 60)`, [id, owner]);

      expect(await indexWorkspace(rag, { path: root, provider })).toMatchObject({ indexed: 1 });
      await db().admin(`SELECT FROM claim_index($1, $2, 'any', 60)`, [id, `elsewhere ${dead} killed`]);
      writeTree(root, { 'src/pay.ts': 'export const changed = 2;\n' });
      const claimed = indexWorkspace(rag, { path: root, provider });
      await expect(claimed).rejects.toMatchObject({ code: 'RAG.INDEX_CLAIMED', meta: { workspaceId: id } });
    });

    it('reads a file again that changed while it was indexed', async () => {
      const { root, provider } = givenTree();
      const onProgress = () => writeTree(root, { 'tools/sums.py': 'def add(a, b):\n    return b + a\n' });

      const first = await indexWorkspace(rag, { path: root, provider, onProgress });
      expect(first.isComplete).toBe(false);
      const second = await indexWorkspace(rag, { path: root, provider });

      expect(second).toMatchObject({ isComplete: true, indexed: 1 });
      expect(await verified(root)).toEqual([]);
    });

    it('is made again from all files when they are read in another way', async () => {
      const { root, id, provider } = givenTree();
      await indexWorkspace(rag, { path: root, provider });
      await db().admin(`UPDATE workspaces SET index_reader = 'older', index_tree = NULL WHERE id = $1`, [id]);
      await db().admin(`UPDATE code_nodes SET signature = 'older' WHERE file_path = 'src/pay.ts'`);
      provider.asked.length = 0;

      expect(await indexWorkspace(rag, { path: root, provider })).toMatchObject({ indexed: 5 });

      expect(provider.asked).toEqual([]);
      expect(await verified(root)).toEqual([]);
    });

    it('equals an index from scratch after random edits and killed indexers', async () => {
      await checkSequences({ db: db(), rag, newFolder }, { runs: 4 * testEffort(), seed: 20_261_206 });
    });

    it('is compared row for row, and every kind of difference is found', async () => {
      const { root, id, provider } = givenTree();
      await indexWorkspace(rag, { path: root, provider });
      const { path: place } = await getWorkspace(rag, { workspaceId: id });
      await db().admin(
        `UPDATE rag_chunks SET title = 'other' WHERE workspace_path = $1 AND source_path = 'src/pay.ts'`,
        [place],
      );
      await db().admin(
        `DELETE FROM code_edges WHERE edge_type = 'Calls' AND source_node_id IN (SELECT id FROM code_nodes WHERE repository_path = $1)`,
        [place],
      );
      await db().admin(
        `UPDATE code_nodes SET start_line = 1, end_line = 9 WHERE repository_path = $1 AND name = 'add'`,
        [place],
      );
      const files = [{ path: 'none.txt', contentHash: hashOf('none'), chunks: [{ text: 'none' }] }];
      await putFiles(rag, { workspaceId: id, provider, files });
      await db().admin(
        `UPDATE rag_chunks SET embedding = array_fill(-1::real, ARRAY[8])::vector WHERE workspace_path = $1 AND source_path = 'README.md'`,
        [place],
      );

      const { differences, differing, isEqual } = await verifyWorkspace(rag, { path: root, provider });

      expect([isEqual, differing]).toEqual([false, differences.length]);
      expect(differences.map(({ table, kind, columns }) => [table, kind, ...columns].join(' '))).toEqual([
        'rag_chunks extra',
        'rag_chunks different title',
        'code_nodes different end_line',
        'code_edges missing',
        'code_edges missing',
        'index_metadata extra',
        'rag_chunks different embedding',
      ]);
      expect(existsSync(path.join(root, 'none.txt'))).toBe(false);
    });
  });
}

/** The id of a process that has ended. */
async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid ?? 0;
}
