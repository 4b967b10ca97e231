import { defineSeed, type SeedContext, seedUuid } from '@azora/db-core';
import {
  type Declaration,
  findDeclarations,
  findImports,
  readSourceFiles,
  type SourceFile,
  splitIntoChunks,
} from './seed/source';
import { volumeRows } from './seed/volume';
import { embeddingOf, NOTHING_LEARNED } from './src/embeddings/hashing';
import { openRag, type Prisma, type Rag, workspaceId } from './src/index';

/** The path that agents see. It is not the path on this machine, so that the seed is the same everywhere. */
const WORKSPACE_PATH = '/workspaces/azora';
/** The built-in embedder before it has learned anything, so that `plainHashingProvider()` searches the seed. */
const SEED_MODEL = 'azora-hash-768';
const SEED_DIMENSIONS = 768;

export const seed = defineSeed({
  open: openRag,

  async base(rag, context) {
    const files = readSourceFiles(context.repositoryRoot);
    const indexedAt = daysBefore(context, 1);
    await rag.prisma.workspace.createMany({ data: [workspaceRow(context, indexedAt)], skipDuplicates: true });
    await insertChunks(rag, files, indexedAt);
    const { nodes, edges } = codeGraph(files, indexedAt);
    await rag.prisma.codeNode.createMany({ data: nodes, skipDuplicates: true });
    await rag.prisma.codeEdge.createMany({ data: edges, skipDuplicates: true });
    await rag.prisma.indexMetadata.createMany({ data: indexRows(files, indexedAt), skipDuplicates: true });
    await rag.prisma.corpusEntry.createMany({ data: corpusRows(context), skipDuplicates: true });
  },

  volume: volumeRows,
});

function daysBefore({ now }: SeedContext, days: number): Date {
  return new Date(now.getTime() - days * 86_400_000);
}

function workspaceRow(context: SeedContext, indexedAt: Date): Prisma.WorkspaceCreateManyInput {
  return {
    id: workspaceId(WORKSPACE_PATH),
    name: 'azora',
    path: WORKSPACE_PATH,
    isGitRepository: true,
    ragIndexedAt: indexedAt,
    graphIndexedAt: indexedAt,
    embeddingModel: SEED_MODEL,
    embeddingDimension: SEED_DIMENSIONS,
    createdAt: daysBefore(context, 30),
    updatedAt: indexedAt,
  };
}

function pathInWorkspace(file: SourceFile): string {
  return `${WORKSPACE_PATH}/${file.path}`;
}

/** Prisma has no vector type, so the chunks are sent as one JSON document, which the server expands to rows. */
async function insertChunks(rag: Rag, files: readonly SourceFile[], createdAt: Date): Promise<void> {
  const chunks = files.flatMap((file) =>
    splitIntoChunks(file).map((content, index) => ({
      id: seedUuid(`rag.RagChunk.${file.path}.${index}`),
      content_id: pathInWorkspace(file),
      chunk_index: index,
      content,
      embedding: JSON.stringify(embeddingOf(content, SEED_DIMENSIONS, NOTHING_LEARNED)),
      title: file.path,
      metadata: { language: 'typescript' },
    })),
  );
  await rag.prisma.$executeRaw`
    INSERT INTO rag_chunks (
      id, content_id, chunk_index, content, embedding, embedding_dimension, embedding_model, source_path,
      content_type, title, workspace_path, metadata, created_at, updated_at
    )
    SELECT id, content_id, chunk_index, content, embedding, ${SEED_DIMENSIONS}::int, ${SEED_MODEL}, content_id,
           'Code', title, ${WORKSPACE_PATH}, metadata, ${createdAt}, ${createdAt}
    FROM jsonb_to_recordset(${JSON.stringify(chunks)}::jsonb) AS chunk(
      id uuid, content_id text, chunk_index int, content text, embedding vector, title text, metadata jsonb
    )
    ON CONFLICT DO NOTHING`;
}

interface CodeGraph {
  readonly nodes: Prisma.CodeNodeCreateManyInput[];
  readonly edges: Prisma.CodeEdgeCreateManyInput[];
}

function codeGraph(files: readonly SourceFile[], createdAt: Date): CodeGraph {
  const declarations = files.flatMap(findDeclarations);
  const paths = new Set(files.map((file) => file.path));
  const common = { repositoryPath: WORKSPACE_PATH, createdAt, updatedAt: createdAt };
  const edge = (edgeType: string, source: string, target: string): Prisma.CodeEdgeCreateManyInput => ({
    id: seedUuid(`rag.CodeEdge.${source}.${edgeType}.${target}`),
    sourceNodeId: seedUuid(`rag.CodeNode.${source}`),
    targetNodeId: seedUuid(`rag.CodeNode.${target}`),
    edgeType,
    createdAt,
  });
  const project = 'packages/core';
  return {
    nodes: [
      nodeRow({ ...common, name: 'core', fullyQualifiedName: project, nodeType: 'Project' }),
      ...files.map((file) =>
        nodeRow({
          ...common,
          name: moduleName(file),
          fullyQualifiedName: file.path,
          nodeType: 'Module',
          filePath: pathInWorkspace(file),
        }),
      ),
      ...declarations.map((found) =>
        nodeRow({
          ...common,
          name: found.name,
          fullyQualifiedName: qualifiedName(found),
          nodeType: found.kind,
          filePath: pathInWorkspace(found.file),
          startLine: found.startLine,
          endLine: found.endLine,
          signature: found.signature,
          documentation: found.documentation,
        }),
      ),
    ],
    edges: [
      ...files.map((file) => edge('Contains', project, file.path)),
      ...declarations.map((found) => edge('Contains', found.file.path, qualifiedName(found))),
      ...files.flatMap((file) =>
        findImports(file)
          .filter((target) => paths.has(target))
          .map((target) => edge('References', file.path, target)),
      ),
      ...callsBetween(declarations).map(([caller, called]) =>
        edge('Calls', qualifiedName(caller), qualifiedName(called)),
      ),
    ],
  };
}

function nodeRow(row: Omit<Prisma.CodeNodeCreateManyInput, 'id'>): Prisma.CodeNodeCreateManyInput {
  return { id: seedUuid(`rag.CodeNode.${row.fullyQualifiedName}`), ...row };
}

function moduleName(file: SourceFile): string {
  return file.path.replace(/^.*\//, '').replace(/\.ts$/, '');
}

function qualifiedName({ file, name }: Declaration): string {
  return `${file.path}#${name}`;
}

/** A function calls another if its body contains that name and an opening parenthesis. Ambiguous names are skipped. */
function callsBetween(declarations: readonly Declaration[]): [Declaration, Declaration][] {
  const functions = declarations.filter(({ kind }) => kind === 'Function');
  const unique = functions.filter(({ name }) => functions.filter((other) => other.name === name).length === 1);
  return functions.flatMap((caller) =>
    unique
      .filter((called) => called !== caller && new RegExp(`\\b${called.name}\\(`).test(caller.body))
      .map((called): [Declaration, Declaration] => [caller, called]),
  );
}

function indexRows(files: readonly SourceFile[], indexedAt: Date): Prisma.IndexMetadataCreateManyInput[] {
  return files.flatMap((file) =>
    ['rag', 'graph'].map((indexType) => ({
      id: seedUuid(`rag.IndexMetadata.${file.path}.${indexType}`),
      filePath: pathInWorkspace(file),
      workspacePath: WORKSPACE_PATH,
      contentHash: file.sha256,
      indexedAt,
      indexType,
      createdAt: indexedAt,
      updatedAt: indexedAt,
    })),
  );
}

function corpusRows(context: SeedContext): Prisma.CorpusEntryCreateManyInput[] {
  const functions = [
    { name: 'add_two_numbers', body: 'return a + b', parameters: 'a: int, b: int', complexity: 4, passed: 3 },
    { name: 'reverse_string', body: 'return s[::-1]', parameters: 's: str', complexity: 5, passed: 3 },
    {
      name: 'is_prime',
      body: 'return n > 1 and all(n % k for k in range(2, n))',
      parameters: 'n: int',
      complexity: 10,
      passed: 2,
    },
  ];
  return functions.map(({ name, body, parameters, complexity, passed }, index) => ({
    id: index + 1,
    legacyId: seedUuid(`rag.CorpusEntry.${name}`),
    funcName: name,
    funcSignature: `def ${name}(${parameters})`,
    snippet: `def ${name}(${parameters}):\n    ${body}\n`,
    score: passed / 3,
    passed,
    total: 3,
    complexity,
    iteration: index,
    sigKey: `def ${name}(...)`,
    timestamp: daysBefore(context, 10 - index),
    metadata: { source: 'seed' },
    createdAt: daysBefore(context, 10 - index),
  }));
}
