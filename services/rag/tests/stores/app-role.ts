import type { TestDatabase } from '@azora/db-testkit';
import { exportPerson, openRag, putContents, putGraph, type Rag, reembedWorkspace } from '../../src';
import { givenProvider, givenWorkspace, graphFile, isCompanion } from '../given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const TABLES = [
  ...['rag_chunks', 'workspaces', 'index_metadata', 'code_nodes', 'code_edges', 'corpus_entries', 'hashing_models'],
];

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testAppRole(db: () => TestDatabase): void {
  describe('the app role with its own SQL', () => {
    let rag: Rag;
    let ids: Readonly<Record<string, string>> = {};
    beforeAll(async () => {
      rag = openRag({ url: db().url });
      const [mine, theirs] = [await givenWorkspace(rag), await givenWorkspace(rag)];
      for (const { id: workspaceId } of [mine, theirs]) {
        const contents = [{ contentId: `${workspaceId}:a`, chunks: [{ text: 'a' }, { text: 'b' }] }];
        await putContents(rag, { workspaceId, provider: givenProvider(8, 'old'), contents });
        await putGraph(rag, { workspaceId, files: [graphFile('a.ts', ['f', 'g'], ['f>g'])] });
      }
      const failing = givenProvider(8, 'new');
      failing.before = () => {
        throw new Error('down');
      };
      await reembedWorkspace(rag, { workspaceId: mine.id, provider: failing }).catch(() => undefined);
      const [chunk] = await db().admin('SELECT id FROM rag_chunks WHERE workspace_path = $1', [theirs.path]);
      ids = { mine: mine.id, theirs: theirs.id, chunk: String(chunk?.['id']) };
    });
    afterAll(() => rag.close());

    const dump = async () => {
      const lists = TABLES.map(
        (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
      );
      return JSON.stringify(await db().admin(`SELECT ${lists.join(', ')}, (SELECT count(*) FROM outbox) AS events`));
    };

    it('exports what a person changed by hand', async () => {
      await rag.prisma.auditLog.create({ data: { id: 'by-hand', userId: 'person-1', action: 'workspace.rename' } });

      const { auditLogs } = await exportPerson(rag, 'person-1');

      expect(auditLogs).toMatchObject([{ id: 'by-hand', userId: 'person-1', action: 'workspace.rename' }]);
      expect(await exportPerson(rag, 'person-2')).toEqual({ auditLogs: [] });
    });

    it.each(TABLES)('only reads %s', async (table) => {
      // The single role of a companion is a superuser.
      if (isCompanion(db())) return;
      const before = await dump();
      for (const sql of [`DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`, `INSERT INTO ${table} DEFAULT VALUES`]) {
        await expect(db().app(sql)).rejects.toMatchObject({ code: NO_RIGHT });
      }
      await expect(db().app(`UPDATE ${table} SET created_at = now()`)).rejects.toMatchObject({ code: NO_RIGHT });
      expect(await dump()).toBe(before);
    });

    it.each([
      // A switch before all chunks have the new model, and to a model that nobody fills.
      ["SELECT finish_reembedding('{mine}', 'other')", 'AZ001'],
      // Embeddings of another model, or of another workspace.
      ["SELECT add_embeddings('{mine}', 'old', ARRAY['{chunk}']::uuid[], ARRAY['[1,1,1,1,1,1,1,1]'])", 'AZ001'],
      ["SELECT * FROM put_contents('{mine}', 'new', 8, '[]', '{}')", 'AZ001'],
      ["SELECT * FROM put_contents('{mine}', 'old', 9, '[]', '{}')", 'AZ001'],
      [`SELECT * FROM put_contents('{mine}', 'old', 8, '[{"contentId": "{theirs}:a", "chunks": []}]', '{}')`, 'AZ001'],
      [
        `SELECT * FROM put_contents('{mine}', 'old', 8, '[{"contentId": "x", "chunks": [{"content": "new"}]}]', '{}')`,
        'AZ001',
      ],
      [
        `SELECT * FROM put_contents('{mine}', 'old', 8, '[{"contentId": "x", "chunks": [{"content": "new", "embedding": 1}]}]', '{"[1,2]"}')`,
        '23514',
      ],
      [
        `SELECT * FROM put_contents('{mine}', 'old', 8, '[{"contentId": "x", "chunks": [{"content": "new", "embedding": 1}]}]', '{"[0,0,0,0,0,0,0,0]"}')`,
        '23514',
      ],
      [
        `SELECT * FROM put_contents('{mine}', 'old', 8, '[{"contentId": "x", "chunks": [{"content": "new", "embedding": 1}]}]', '{"[NaN,0,0,0,0,0,0,0]"}')`,
        '22000',
      ],
      ["SELECT start_reembedding('{mine}', 'old', 16)", 'AZ001'],
      ["SELECT start_reembedding('{mine}', ' ', 16)", '23514'],
      ["SELECT finish_index('{mine}', 'btree', NULL)", 'AZ001'],
      ["SELECT register_workspace('my-workspace', '/x', NULL, NULL, NULL)", '23514'],
      [`SELECT put_graph('{mine}', '[{"path": "x", "hash": "y", "nodes": [], "edges": []}]')`, '23514'],
      [
        `SELECT put_graph('{mine}', '[{"path": "x", "nodes": [{"key": "f", "name": "f", "qualifiedName": "f", "type": "Poem"}], "edges": []}]')`,
        '23514',
      ],
      [`SELECT save_corpus_entry('k', '{"functionName": "f", "signature": "f", "score": 2}')`, '23514'],
      ["SELECT save_hashing_model(4, 1, '{1}')", '23514'],
      ["SELECT save_hashing_model(8, 1, '{2}')", '23514'],
    ])('cannot run: %s', async (sql, code) => {
      const before = await dump();

      await expect(
        db().app(sql.replace(/\{(mine|theirs|chunk)\}/g, (_, name) => ids[name] ?? '')),
      ).rejects.toMatchObject({
        code,
      });

      expect(await dump()).toBe(before);
    });

    it('cannot switch to a model that lacks chunks, nor add chunks of another workspace to it', async () => {
      const before = await dump();

      const [lacking] = await db().app('SELECT finish_reembedding($1, $2) AS lacking', [ids['mine'], 'new']);
      const [added] = await db().app('SELECT add_embeddings($1, $2, $3, $4) AS added', [
        ...[ids['mine'], 'new', [ids['chunk']], ['[1,1,1,1,1,1,1,1]']],
      ]);

      expect([lacking, added]).toEqual([{ lacking: 2 }, { added: 0 }]);
      expect(await dump()).toBe(before);
    });

    it('cannot take over a node of another workspace or file by its key', async () => {
      const file = graphFile('b.ts', ['own'], ['f>own', 'own>f']);
      const [result] = await db().app('SELECT * FROM put_graph($1, $2)', [
        ids['mine'],
        JSON.stringify([{ ...file, hash: file.contentHash }]),
      ]);

      // The edge from f belongs to the file of f.
      expect(result).toMatchObject({ nodes_written: 1, edges_written: 1, edges_unresolved: 1 });
      const theirs = await db().admin(
        `SELECT n.name FROM code_nodes AS n JOIN workspaces AS w ON w.path = repository_path WHERE w.id = $1 ORDER BY 1`,
        [ids['theirs']],
      );
      expect(theirs).toEqual([{ name: 'f' }, { name: 'g' }]);
    });
  });
}
