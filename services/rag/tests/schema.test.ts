import {
  insertRow,
  itKeepsAnAuditLog,
  itTestsEveryCheck,
  refusalsOf,
  schemaRefuses,
  useDatabase,
} from '@azora/db-testkit';

type Row = Readonly<Record<string, unknown>>;

const CALLER = '00000000-0000-7000-8000-000000000001';
const CALLED = '00000000-0000-7000-8000-000000000002';
const NOWHERE = '00000000-0000-7000-8000-00000000000f';
const SHA1 = 'a'.repeat(40);

/** A valid row for each table. */
const VALID: Readonly<Record<string, Row>> = {
  rag_chunks: { content_id: '/w/a.ts', chunk_index: 0, content: 'x', embedding: '[1,2,3]', embedding_dimension: 3 },
  code_nodes: { name: 'transfer', fully_qualified_name: 'mint.transfer', node_type: 'Function' },
  code_edges: { source_node_id: CALLER, target_node_id: CALLED, edge_type: 'Calls' },
  workspaces: { id: '0123456789abcdef', name: 'w', path: '/w' },
  index_metadata: { file_path: '/w/a.ts', workspace_path: '/w', content_hash: 'A'.repeat(64), index_type: 'rag' },
  corpus_entries: { func_name: 'add', func_signature: 'def add(a, b)' },
  hashing_models: { model: 'azora-hash-8-x', dimension: 8, documents: 2, frequencies: [1, 2] },
};

/** A constraint, its table, and the change to a valid row that violates it. */
const REFUSED: readonly (readonly [string, string, Row])[] = [
  ['rag_chunks_content_id_check', 'rag_chunks', { content_id: ' ' }],
  ['rag_chunks_chunk_index_check', 'rag_chunks', { chunk_index: -1 }],
  ['rag_chunks_embedding_dimension_check', 'rag_chunks', { embedding_dimension: 4 }],
  ['rag_chunks_embedding_check', 'rag_chunks', { embedding: '[0,0,0]' }],
  ['rag_chunks_embedding_model_check', 'rag_chunks', { embedding_model: '' }],
  ['code_nodes_name_check', 'code_nodes', { name: '' }],
  ['code_nodes_node_type_check', 'code_nodes', { node_type: 'Poem' }],
  ['code_nodes_lines_check', 'code_nodes', { start_line: 0 }],
  ['code_nodes_lines_check', 'code_nodes', { start_line: 5, end_line: 4 }],
  ['code_edges_edge_type_check', 'code_edges', { edge_type: 'Admires' }],
  ['code_edges_self_check', 'code_edges', { target_node_id: CALLER, edge_type: 'Contains' }],
  ['code_edges_source_node_id_fkey', 'code_edges', { source_node_id: NOWHERE }],
  ['code_edges_target_node_id_fkey', 'code_edges', { target_node_id: NOWHERE }],
  ['workspaces_id_check', 'workspaces', { id: 'my-workspace' }],
  ['workspaces_name_check', 'workspaces', { name: ' ' }],
  ['workspaces_path_check', 'workspaces', { path: '' }],
  ['workspaces_current_commit_sha_check', 'workspaces', { current_commit_sha: 'HEAD' }],
  ['workspaces_rag_indexed_commit_sha_check', 'workspaces', { rag_indexed_commit_sha: SHA1 }],
  ['workspaces_graph_indexed_commit_sha_check', 'workspaces', { graph_indexed_commit_sha: SHA1 }],
  ['workspaces_embedding_check', 'workspaces', { embedding_model: 'm' }],
  ['workspaces_embedding_check', 'workspaces', { embedding_model: ' ', embedding_dimension: 3 }],
  ['workspaces_embedding_check', 'workspaces', { embedding_model: 'm', embedding_dimension: 0 }],
  ['workspaces_next_embedding_check', 'workspaces', { next_embedding_model: 'm', next_embedding_dimension: 3 }],
  [
    'workspaces_next_embedding_check',
    'workspaces',
    { embedding_model: 'm', embedding_dimension: 3, next_embedding_model: 'm', next_embedding_dimension: 4 },
  ],
  ['hashing_models_dimension_check', 'hashing_models', { dimension: 7 }],
  ['hashing_models_documents_check', 'hashing_models', { documents: -1, frequencies: [0] }],
  ['hashing_models_frequencies_check', 'hashing_models', { frequencies: [3] }],
  ['hashing_models_frequencies_check', 'hashing_models', { frequencies: [] }],
  ['workspaces_index_owner_check', 'workspaces', { index_owner: 'a' }],
  ['workspaces_index_owner_check', 'workspaces', { index_owner: ' ', index_owner_until: '2026-12-06Z' }],
  ['workspaces_index_owner_check', 'workspaces', { index_owner: 'a', index_owner_until: 'infinity' }],
  ['workspaces_index_tree_check', 'workspaces', { index_tree: 'a'.repeat(63), index_reader: 'a' }],
  ['workspaces_index_tree_check', 'workspaces', { index_tree: 'a'.repeat(64) }],
  ['index_metadata_edges_hash_check', 'index_metadata', { edges_hash: 'a'.repeat(63) }],
  ['index_metadata_file_path_check', 'index_metadata', { file_path: '' }],
  ['index_metadata_content_hash_check', 'index_metadata', { content_hash: 'a'.repeat(63) }],
  ['index_metadata_index_type_check', 'index_metadata', { index_type: 'btree' }],
  ['corpus_entries_func_name_check', 'corpus_entries', { func_name: '' }],
  ['corpus_entries_score_check', 'corpus_entries', { score: 1.1 }],
  ['corpus_entries_score_check', 'corpus_entries', { score: 'NaN' }],
  ['corpus_entries_passed_check', 'corpus_entries', { passed: 2, total: 1 }],
  ['corpus_entries_complexity_check', 'corpus_entries', { complexity: -1 }],
  ['corpus_entries_iteration_check', 'corpus_entries', { iteration: -1 }],
];

/** Unique constraint, table, and a row that several try to insert. */
const UNIQUE: readonly (readonly [string, string, Row])[] = [
  ['rag_chunks_content_id_chunk_index_embedding_model_key', 'rag_chunks', { content_id: 'race' }],
  ['code_edges_source_node_id_target_node_id_edge_type_key', 'code_edges', { edge_type: 'References' }],
  ['workspaces_pkey', 'workspaces', { id: 'ffffffffffffffff', path: '/race' }],
  ['ix_index_metadata_file_workspace_type', 'index_metadata', { file_path: '/race' }],
  ['corpus_entries_legacy_id_key', 'corpus_entries', { legacy_id: 'race' }],
  ['corpus_entries_entry_key_key', 'corpus_entries', { entry_key: 'a'.repeat(64) }],
  ['hashing_models_pkey', 'hashing_models', { model: 'race' }],
];

describe('the rag schema', () => {
  const db = useDatabase('rag');
  const insert = (table: string, change: Row = {}) => insertRow(db().admin, table, { ...VALID[table], ...change });

  beforeAll(async () => {
    await insert('code_nodes', { id: CALLER });
    await insert('code_nodes', { id: CALLED });
  });

  it.each(Object.keys(VALID))('fills in the times of a row in %s', async (table) => {
    expect(await insert(table)).toEqual([expect.objectContaining({ created_at: expect.any(Date) })]);
  });

  it.each(REFUSED)('rejects a row that violates %s', async (constraint, table, change) => {
    await schemaRefuses(insert(table, change), constraint);
  });

  itTestsEveryCheck(
    db,
    REFUSED.map(([constraint]) => constraint),
  );

  it.each(UNIQUE)('accepts one of eight concurrent rows under %s', async (constraint, table, shared) => {
    const refused = await refusalsOf(Array.from({ length: 8 }, () => insert(table, shared)));

    expect(refused).toEqual(Array(7).fill(constraint));
  });

  it('accepts one workspace per path', async () => {
    await insert('workspaces', { id: '1111111111111111', path: '/only' });

    await schemaRefuses(insert('workspaces', { id: '2222222222222222', path: '/only' }), 'ix_workspaces_path');
  });

  it('defaults to the dimension and model of clients that only use 1536 dimensions', async () => {
    const embedding = JSON.stringify(Array.from({ length: 1536 }, (_, index) => index % 7));

    const [chunk] = await db().admin(
      "INSERT INTO rag_chunks (content_id, chunk_index, content, embedding) VALUES ('/w/b.ts', 0, 'x', $1) RETURNING *",
      [embedding],
    );

    expect(chunk).toMatchObject({ embedding_dimension: 1536, embedding_model: 'text-embedding-ada-002' });
  });

  it('rejects a chunk without an embedding', async () => {
    await expect(insert('rag_chunks', { embedding: null })).rejects.toMatchObject({
      code: '23502',
      column: 'embedding',
    });
  });

  it('accepts a function that calls itself', async () => {
    expect(await insert('code_edges', { target_node_id: CALLER })).toHaveLength(1);
  });

  it('deletes the edges of a node with it', async () => {
    const [node] = await insert('code_nodes');
    await insert('code_edges', { source_node_id: node?.['id'] });
    await insert('code_edges', { target_node_id: node?.['id'] });

    await db().admin('DELETE FROM code_nodes WHERE id = $1', [node?.['id']]);

    const edges = 'SELECT 1 FROM code_edges WHERE source_node_id = $1 OR target_node_id = $1';
    expect(await db().app(edges, [node?.['id']])).toEqual([]);
  });

  it('finds chunks by words of their title and content, and ranks the title higher', async () => {
    await insert('rag_chunks', { content_id: '/w/pay.ts', title: 'ledger', content: 'export function pay()' });
    await insert('rag_chunks', { content_id: '/w/book.ts', title: 'book', content: 'writes to the ledger' });

    const ranked = `SELECT content_id FROM rag_chunks, websearch_to_tsquery('simple', 'ledger') AS query
      WHERE search_vector @@ query ORDER BY ts_rank(search_vector, query) DESC`;
    expect(await db().app(ranked)).toEqual([{ content_id: '/w/pay.ts' }, { content_id: '/w/book.ts' }]);
  });

  it('accepts a chunk with more words than a search vector can hold', async () => {
    const content = Array.from({ length: 300_000 }, (_, index) => (index * 7_919).toString(36)).join(' ');

    const [chunk] = await insert('rag_chunks', { content_id: '/w/long.ts', content });
    expect(chunk).toMatchObject({ content });
  });

  itKeepsAnAuditLog(db);
});
