import { type TestDatabase, testEffort } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  callees,
  callers,
  exportGraph,
  findNodes,
  findPath,
  getNode,
  impact,
  implementations,
  openRag,
  putGraph,
  type Rag,
  type Reach,
  removeFiles,
} from '../../src';
import { givenStores, givenWorkspace, graphFile, hashOf, outcomes } from '../given';

/** The nodes that an edge leads to from one, directly or through others, with their least distance. */
function reachedFrom(start: string, pairs: readonly (readonly [string, string])[], depth: number) {
  const reached = new Map([[start, 0]]);
  for (let step = 1; step <= depth; step += 1) {
    for (const [from, to] of pairs) if (reached.get(to) === step - 1 && !reached.has(from)) reached.set(from, step);
  }
  reached.delete(start);
  return reached;
}

const namesOf = ({ nodes }: Reach) => nodes.map(({ name, depth }) => `${name}@${depth}`);

/** The tests run on the database of stores.test.ts, because a companion for each file would take longer than the tests. */
export function testGraph(db: () => TestDatabase): void {
  describe('the code graph', () => {
    let rag: Rag;
    beforeAll(() => {
      rag = openRag({ url: db().url });
    });
    afterAll(() => rag.close());

    const idOf = async (workspaceId: string, name: string) =>
      (await findNodes(rag, { workspaceId, name })).find((node) => node.name === name)?.id ?? '';
    /** All nodes and edges of a workspace, without times. */
    const dump = async (path: string) =>
      db().admin(
        `SELECT to_jsonb(n) - '{created_at,updated_at}'::text[] AS node, (SELECT jsonb_agg(e.edge_type || e.target_node_id ORDER BY e.edge_type, e.target_node_id)
           FROM code_edges AS e WHERE e.source_node_id = n.id) AS edges FROM code_nodes AS n WHERE repository_path = $1 ORDER BY id`,
        [path],
      );

    it('finds callers, callees and what a change can change, and cycles end', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const files = [graphFile('a.ts', ['a', 'b', 'c', 'd', 'alone'], ['a>b', 'b>c', 'c>a', 'd>c', 'd>d'])];
      await putGraph(rag, { workspaceId, files });
      const nodeId = await idOf(workspaceId, 'c');

      expect(namesOf(await callers(rag, { nodeId }))).toEqual(['b@1', 'd@1']);
      expect(namesOf(await callees(rag, { nodeId }))).toEqual(['a@1']);
      expect(namesOf(await callees(rag, { nodeId, depth: 9 }))).toEqual(['a@1', 'b@2']);
      expect(namesOf(await impact(rag, { nodeId }))).toEqual(['b@1', 'd@1', 'a@2']);
      expect(await impact(rag, { nodeId, limit: 2 })).toMatchObject({ nodes: { length: 2 }, isComplete: false });
      const alone = await idOf(workspaceId, 'alone');
      expect(await callers(rag, { nodeId: alone })).toEqual({ nodes: [], isComplete: true });
    });

    it('finds implementations through interfaces and classes, and a shortest path', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const file = graphFile(
        'a.ts',
        ['I', 'Base', 'Derived', 'Other', 'main', 'helper'],
        ['main>helper', 'helper>Derived'],
      );
      const edges = [
        ...(file.edges ?? []),
        { from: 'Base', to: 'I', type: 'Implements' as const },
        { from: 'Derived', to: 'Base', type: 'Inherits' as const },
        { from: 'main', to: 'Other', type: 'References' as const },
        { from: 'Other', to: 'I', type: 'Contains' as const },
      ];
      await putGraph(rag, { workspaceId, files: [{ ...file, edges }] });
      const [fromId, toId] = [await idOf(workspaceId, 'main'), await idOf(workspaceId, 'I')];

      expect(namesOf(await implementations(rag, { nodeId: toId }))).toEqual(['Base@1', 'Derived@2']);
      const path = await findPath(rag, { fromId, toId });
      expect(path.map(({ name }) => name)).toEqual(['main', 'helper', 'Derived', 'Base', 'I']);
      expect(await findPath(rag, { fromId: toId, toId: fromId })).toEqual([]);
      expect(await findPath(rag, { fromId, toId, depth: 3 })).toEqual([]);
      const short = await findPath(rag, { fromId, toId, types: ['References', 'Contains'] });
      expect(short.map(({ name }) => name)).toEqual(['main', 'Other', 'I']);
      expect((await findPath(rag, { fromId, toId: fromId })).map(({ name }) => name)).toEqual(['main']);
    });

    it('agrees with a search in memory on random graphs', async () => {
      const keys = Array.from({ length: 12 }, (_, n) => `n${n}`);
      const edge = fc.tuple(fc.constantFrom(...keys), fc.constantFrom(...keys));
      const { id: workspaceId } = await givenWorkspace(rag);
      await fc.assert(
        fc.asyncProperty(fc.array(edge, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), async (pairs, depth) => {
          const calls = pairs.map(([from, to]) => `${from}>${to}`);
          await putGraph(rag, { workspaceId, files: [graphFile('a.ts', keys, calls)] });
          const expected = reachedFrom('n0', pairs, depth);
          const nodeId = await idOf(workspaceId, 'n0');
          const found = await impact(rag, { nodeId, depth });
          expect(new Map(found.nodes.map(({ name, depth: at }) => [name, at]))).toEqual(expected);
          for (const [from, length] of [...expected].slice(-1)) {
            const path = await findPath(rag, { fromId: await idOf(workspaceId, from), toId: nodeId });
            expect(path).toHaveLength(length + 1);
            expect(path.slice(1).every((node, at) => calls.includes(`${path[at]?.name}>${node.name}`))).toBe(true);
          }
        }),
        { numRuns: 15 * testEffort(), seed: 20_261_130 },
      );
    });

    it('writes what has changed, and keeps the ids and the edges of other files', async () => {
      const { id: workspaceId, path } = await givenWorkspace(rag);
      const other = graphFile('b.ts', ['g'], ['g>f']);
      const files = [graphFile('a.ts', ['f', 'old'], ['f>g', 'old>f']), other];
      expect(await putGraph(rag, { workspaceId, files })).toEqual({
        ...{ nodesWritten: 3, nodesDeleted: 0, edgesWritten: 3, edgesDeleted: 0, edgesUnresolved: 0 },
      });
      expect(await putGraph(rag, { workspaceId, files })).toEqual({
        ...{ nodesWritten: 0, nodesDeleted: 0, edgesWritten: 0, edgesDeleted: 0, edgesUnresolved: 0 },
      });
      const before = await dump(path);

      const edited = graphFile('a.ts', ['f', 'new'], ['f>g', 'new>f', 'new>nowhere', 'g>new']);
      expect(await putGraph(rag, { workspaceId, files: [edited] })).toEqual({
        ...{ nodesWritten: 1, nodesDeleted: 1, edgesWritten: 1, edgesDeleted: 0, edgesUnresolved: 2 },
      });
      expect(namesOf(await callers(rag, { nodeId: await idOf(workspaceId, 'f') }))).toEqual(['new@1', 'g@1']);
      await putGraph(rag, { workspaceId, files });
      expect(await dump(path)).toEqual(before);

      await removeFiles(rag, { workspaceId, paths: ['b.ts'] });
      expect(namesOf(await callers(rag, { nodeId: await idOf(workspaceId, 'f') }))).toEqual(['old@1']);
    });

    it('keeps the result of one call when eight calls for one file race', async () => {
      const { id: workspaceId, path } = await givenWorkspace(rag);
      const stores = givenStores(db(), 8);
      const versions = stores.map((_, n) => graphFile('a.ts', ['f', `own${n}`], [`own${n}>f`]));

      const calls = stores.map((store, n) => putGraph(store, { workspaceId, files: versions.slice(n, n + 1) }));

      expect(await outcomes(calls)).toEqual(Array(8).fill('done'));
      const nodes = await findNodes(rag, { workspaceId });
      const [entry] = await db().admin('SELECT content_hash FROM index_metadata WHERE workspace_path = $1', [path]);
      const last = versions.findIndex(({ contentHash }) => contentHash === entry?.['content_hash']);
      expect(nodes.map(({ name }) => name)).toEqual(['f', `own${last}`]);
      expect(namesOf(await callers(rag, { nodeId: nodes[0]?.id ?? '' }))).toEqual([`own${last}@1`]);
      await Promise.all(stores.map((store) => store.close()));
    });

    it('finds nodes by name, part of a name, typing error, type and file', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      await putGraph(rag, {
        workspaceId,
        files: [graphFile('pay.ts', ['transferMoney', 'TransferMoney', 'pay_100%'])],
      });
      const find = async (input: Parameters<typeof findNodes>[1]) =>
        (await findNodes(rag, { workspaceId, ...input })).map(({ name }) => name);

      expect(await find({ name: 'transferMoney' })).toEqual(['transferMoney', 'TransferMoney']);
      expect(await find({ name: '100%' })).toEqual(['pay_100%']);
      expect(await find({ name: 'transfrMoney', limit: 1 })).toHaveLength(1);
      expect(await find({ qualifiedName: 'pay.ts#transferMoney' })).toEqual(['transferMoney']);
      expect(await find({ type: 'Class' })).toEqual([]);
      expect(await find({ filePath: 'pay.ts', type: 'Function' })).toHaveLength(3);
    });

    it('is exported as JSON and as Mermaid, without letting a name break out of its label', async () => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const evil = 'x"] --> y["<script>';
      await putGraph(rag, {
        workspaceId,
        files: [graphFile('src/a.ts', ['f', evil], ['f>f']), graphFile('b.ts', ['g'], ['g>f'])],
      });

      const json = JSON.parse(await exportGraph(rag, { workspaceId, format: 'json' }));
      expect([json.nodes.length, json.edges.length]).toEqual([3, 2]);
      const inFolder = await exportGraph(rag, { workspaceId, format: 'mermaid', folder: 'src' });
      expect(inFolder).toBe(
        'flowchart LR\n  n0["Function f"]\n  n1["Function x#34;#93; --#62; y#91;#34;#60;script#62;"]\n  n0 -->|calls| n0\n',
      );
      expect(JSON.parse(await exportGraph(rag, { workspaceId, format: 'json', types: ['Inherits'] })).edges).toEqual(
        [],
      );
    });

    it.each([
      ['a key twice', [graphFile('a.ts', ['f', 'f'])]],
      ['a file twice', [graphFile('a.ts', []), graphFile('a.ts', [])]],
      [
        'lines that end early',
        [
          {
            ...graphFile('a.ts', []),
            nodes: [{ key: 'f', name: 'f', qualifiedName: 'f', type: 'Class', startLine: 2, endLine: 1 }],
          },
        ],
      ],
      [
        'a node that contains itself',
        [{ ...graphFile('a.ts', ['f']), edges: [{ from: 'f', to: 'f', type: 'Contains' }] }],
      ],
      ['an unknown type', [{ ...graphFile('a.ts', ['f']), edges: [{ from: 'f', to: 'g', type: 'Admires' }] }]],
      ['NUL', [{ path: 'a.ts', contentHash: hashOf(''), nodes: [], edges: [{ from: 'f\0', to: 'g', type: 'Calls' }] }]],
    ])('rejects %s', async (_, files) => {
      const { id: workspaceId } = await givenWorkspace(rag);
      const call = async () => putGraph(rag, { workspaceId, files: files as never });

      await expect(call()).rejects.toMatchObject({ code: 'RAG.INVALID_INPUT', meta: { fields: ['files'] } });
      expect(await findNodes(rag, { workspaceId })).toEqual([]);
    });

    it('has no unknown node', async () => {
      const nodeId = '00000000-0000-7000-8000-00000000000f';
      const calls = [
        getNode(rag, { nodeId }),
        callers(rag, { nodeId }),
        findPath(rag, { fromId: nodeId, toId: nodeId }),
      ];

      expect(await outcomes(calls)).toEqual(Array(3).fill('RAG.NODE_NOT_FOUND'));
    });
  });
}
