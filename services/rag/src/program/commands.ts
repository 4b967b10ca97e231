import type { ProgramMessage } from '@azora/db-core';
import { textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Rag } from '../client';
import { openAiProvider } from '../embeddings/openai';
import type { EmbeddingProvider } from '../embeddings/provider';
import { invalidField, readInput } from '../errors';
import { callees, callers, findNodes, impact, implementations } from '../graph.store';
import { exportGraph } from '../graph-export.store';
import { indexWorkspace } from '../indexing/index-workspace';
import { verifyWorkspace } from '../indexing/verify-workspace';
import { dimensionInput, filePathInput, modelInput, pathInput } from '../input';
import { openHashingModel, plainHashingProvider } from '../models.store';
import type { Workspace } from '../rows';
import { search } from '../search.store';
import { workspaceId } from '../workspaces';
import { findWorkspace, getWorkspace } from '../workspaces.store';
import { foundText, graphText, indexedText, verifiedText } from './text';

interface RunOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (detail: string) => void;
}

type Answer = Omit<Extract<ProgramMessage, { kind: 'done' }>, 'kind'>;
type Run = (rag: Rag, input: unknown, options: RunOptions) => Promise<Answer>;

/** Nodes of one name whose relations are shown. */
const MAX_NAMESAKES = 10;

/**
 * Runs a command of `azora-db rag`.
 * @throws {SuiteError} those of the function of the store that does the work
 */
export function runCommand(rag: Rag, command: string, input: unknown, options: RunOptions): Promise<Answer> {
  const run = COMMANDS[command];
  if (run === undefined) throw new Error(`rag has no command ${command}`);
  return run(rag, input, options);
}

const embeddingsInput = z
  .strictObject({ url: z.string(), model: modelInput, dimension: dimensionInput, apiKey: z.string().optional() })
  .optional();
const placeFields = { path: pathInput, embeddings: embeddingsInput };

const index: Run = async (rag, input, { signal, onProgress }) => {
  const { path, embeddings } = readInput(z.strictObject(placeFields), input);
  const provider = await providerOf(rag, path, embeddings);
  const result = await indexWorkspace(rag, {
    path,
    provider,
    signal,
    onProgress: ({ phase, done, total }) => onProgress(`${phase}: ${done} of ${total} files`),
  });
  return { data: { ...result }, text: indexedText(path, result), hasFindings: false };
};

const find: Run = async (rag, input, { signal }) => {
  const fields = {
    ...placeFields,
    text: textInput(100_000),
    glob: textInput(500).optional(),
    limit: z.int().optional(),
  };
  const { path, embeddings, text, glob, limit } = readInput(z.strictObject(fields), input);
  const provider = await providerOf(rag, path, embeddings);
  const found = await search(rag, {
    text,
    provider,
    workspaceId: workspaceId(path),
    signal,
    ...(glob !== undefined && { pathGlob: glob }),
    ...(limit !== undefined && { limit }),
  });
  return { data: { chunks: found }, text: foundText(found), hasFindings: false };
};

const RELATIONS = { callers, callees, implementations, impact };
const graphInput = z.strictObject({
  path: pathInput,
  name: textInput(500).optional(),
  relation: z.enum(['callers', 'callees', 'implementations', 'impact']),
  depth: z.int().optional(),
  folder: filePathInput.optional(),
});

const graph: Run = async (rag, input) => {
  const { path, name, relation, depth, folder } = readInput(graphInput, input);
  const { id } = await getWorkspace(rag, { workspaceId: workspaceId(path) });
  if (name === undefined) {
    const options = { workspaceId: id, ...(folder !== undefined && { folder }) };
    const drawn = await exportGraph(rag, { ...options, format: 'mermaid' });
    return {
      data: { graph: JSON.parse(await exportGraph(rag, { ...options, format: 'json' })) },
      text: drawn,
      hasFindings: false,
    };
  }
  const similar = await findNodes(rag, { workspaceId: id, name });
  const nodes = similar.filter((node) => node.name === name).slice(0, MAX_NAMESAKES);
  const reach = RELATIONS[relation];
  const found = await Promise.all(
    nodes.map(async (node) => ({
      node,
      ...(await reach(rag, { nodeId: node.id, ...(depth !== undefined && { depth }) })),
    })),
  );
  const text = graphText(name, relation, found, similar);
  return { data: { relation, found }, text, hasFindings: false };
};

const verify: Run = async (rag, input, { signal }) => {
  const { path, embeddings } = readInput(z.strictObject(placeFields), input);
  const { embeddingModel } = await getWorkspace(rag, { workspaceId: workspaceId(path) });
  // Embeddings of a service cost money, so they are compared only if the command names the service.
  const compares = embeddings !== undefined || isBuiltIn(embeddingModel ?? '');
  const provider = compares ? await providerOf(rag, path, embeddings) : undefined;
  const result = await verifyWorkspace(rag, { path, signal, ...(provider && { provider }) });
  return { data: { ...result }, text: verifiedText(path, result), hasFindings: !result.isEqual };
};

const COMMANDS: Readonly<Record<string, Run>> = { index, search: find, graph, verify };

const isBuiltIn = (model: string): boolean => model.startsWith('azora-hash-');

/** The provider that a command names, else the built-in one that the workspace answers with. */
async function providerOf(
  rag: Rag,
  path: string,
  embeddings: z.infer<typeof embeddingsInput>,
): Promise<EmbeddingProvider> {
  if (embeddings !== undefined) {
    const { apiKey, ...service } = embeddings;
    return openAiProvider({ ...service, ...(apiKey !== undefined && { apiKey }) });
  }
  const workspace: Workspace | null = await findWorkspace(rag, { workspaceId: workspaceId(path) });
  const model = workspace?.embeddingModel ?? undefined;
  const dimension = workspace?.embeddingDimension ?? undefined;
  if (model === undefined || dimension === undefined) return plainHashingProvider();
  if (model === plainHashingProvider(dimension).model) return plainHashingProvider(dimension);
  if (isBuiltIn(model)) return openHashingModel(rag, model);
  throw invalidField(
    'embeddings',
    `is missing: the workspace answers with ${model}, so the command must name its service`,
  );
}
