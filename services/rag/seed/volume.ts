import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeUuid } from '@azora/db-core';
import { embeddingOf, NOTHING_LEARNED } from '../src/embeddings/hashing';
import { workspaceId } from '../src/index';

/** Each user has a chunk of code, the two functions in it, its index metadata and a corpus entry. */
export function volumeRows(block: SeedBlock): TableRows[] {
  return [
    {
      table: 'rag_chunks',
      columns: [
        'id',
        'content_id',
        'chunk_index',
        'content',
        'embedding',
        'embedding_dimension',
        'embedding_model',
        'source_path',
        'content_type',
        'title',
        'workspace_path',
        'metadata',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, volumeChunks),
    },
    {
      table: 'workspaces',
      columns: [
        'id',
        'name',
        'path',
        'is_git_repository',
        'rag_indexed_at',
        'graph_indexed_at',
        'embedding_model',
        'embedding_dimension',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, volumeWorkspaces),
    },
    {
      table: 'code_nodes',
      columns: [
        'id',
        'name',
        'fully_qualified_name',
        'node_type',
        'file_path',
        'start_line',
        'end_line',
        'signature',
        'repository_path',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, volumeNodes),
    },
    {
      table: 'code_edges',
      columns: ['id', 'source_node_id', 'target_node_id', 'edge_type', 'created_at'],
      rows: rowsPerUser(block, volumeEdges),
    },
    {
      table: 'index_metadata',
      columns: [
        'id',
        'file_path',
        'workspace_path',
        'content_hash',
        'indexed_at',
        'index_type',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, volumeIndexes),
    },
    {
      table: 'corpus_entries',
      columns: [
        'id',
        'legacy_id',
        'func_name',
        'func_signature',
        'snippet',
        'score',
        'passed',
        'total',
        'complexity',
        'iteration',
        'sig_key',
        'timestamp',
        'created_at',
      ],
      rows: rowsPerUser(block, volumeCorpus),
    },
  ];
}

/** Ten users share a workspace. */
const USERS_PER_WORKSPACE = 10;
/** Few dimensions, because vectors of 768 would be nine tenths of all bytes of the volume seed. */
const VOLUME_DIMENSIONS = 32;
const VOLUME_MODEL = `azora-hash-${VOLUME_DIMENSIONS}`;
const VOLUME_TOPICS = ['login', 'payment', 'course', 'wallet', 'report', 'search', 'message', 'upload'] as const;
const VOLUME_TEXTS = VOLUME_TOPICS.map((topic) => {
  const content = `export function handle${topic}(input: Input): Result {\n  return validate${topic}(input);\n}`;
  return { topic, content, embedding: JSON.stringify(embeddingOf(content, VOLUME_DIMENSIONS, NOTHING_LEARNED)) };
});

function volumePath(user: number): string {
  return `/workspaces/volume-${Math.floor(user / USERS_PER_WORKSPACE)}`;
}

function volumeText(user: number): (typeof VOLUME_TEXTS)[number] {
  return VOLUME_TEXTS[user % VOLUME_TEXTS.length] ?? { topic: 'login', content: 'login', embedding: '[1]' };
}

function volumeFile(user: number): string {
  return `${volumePath(user)}/src/user-${user}.ts`;
}

function* volumeChunks(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const { topic, content, embedding } = volumeText(user);
  yield [
    volumeUuid('rag.RagChunk', user),
    volumeFile(user),
    0,
    content,
    embedding,
    VOLUME_DIMENSIONS,
    VOLUME_MODEL,
    volumeFile(user),
    'Code',
    topic,
    volumePath(user),
    { language: 'typescript' },
    now,
    now,
  ];
}

function* volumeWorkspaces(user: number, { now }: SeedBlock): Generator<SeedRow> {
  if (user % USERS_PER_WORKSPACE !== 0) return;
  const path = volumePath(user);
  yield [
    workspaceId(path),
    path.replace('/workspaces/', ''),
    path,
    true,
    now,
    now,
    VOLUME_MODEL,
    VOLUME_DIMENSIONS,
    now,
    now,
  ];
}

function* volumeNodes(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const { topic } = volumeText(user);
  const file = volumeFile(user);
  for (const [n, name] of [`handle${topic}`, `validate${topic}`].entries()) {
    yield [
      volumeUuid('rag.CodeNode', user * 2 + n),
      name,
      `${file}#${name}`,
      'Function',
      file,
      n * 4 + 1,
      n * 4 + 3,
      `function ${name}(input: Input): Result`,
      volumePath(user),
      now,
      now,
    ];
  }
}

function* volumeEdges(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const [caller, called] = [volumeUuid('rag.CodeNode', user * 2), volumeUuid('rag.CodeNode', user * 2 + 1)];
  yield [volumeUuid('rag.CodeEdge', user), caller, called, 'Calls', now];
}

function* volumeIndexes(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const hash = user.toString(16).padStart(64, '0');
  yield [volumeUuid('rag.IndexMetadata', user), volumeFile(user), volumePath(user), hash, now, 'rag', now, now];
}

function* volumeCorpus(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const { topic, content } = volumeText(user);
  const signature = `def handle_${topic}(...)`;
  yield [
    1_000_000 + user,
    volumeUuid('rag.CorpusEntry', user),
    `handle_${topic}`,
    signature,
    content,
    (user % 4) / 3,
    user % 4,
    3,
    (user % 20) + 1,
    user % 5,
    signature,
    now,
    now,
  ];
}
