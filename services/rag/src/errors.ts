import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every error code of this store, besides the codes of `@azora/db-core` that all stores share. */
export const RAG_ERROR_CODES = [
  'RAG.CHUNK_NOT_FOUND',
  'RAG.CONTENT_ELSEWHERE',
  'RAG.EMBEDDING_MISSING',
  'RAG.INDEX_CLAIMED',
  'RAG.INDEX_LOST',
  'RAG.INVALID_INPUT',
  'RAG.MODEL_DIMENSION',
  'RAG.MODEL_MISMATCH',
  'RAG.MODEL_NOT_FOUND',
  'RAG.NODE_NOT_FOUND',
  'RAG.PROVIDER_ANSWER',
  'RAG.PROVIDER_FAILED',
  'RAG.PROVIDER_TIMEOUT',
  'RAG.READER_MISSING',
  'RAG.REEMBEDDING_ENDED',
  'RAG.WORKSPACE_NOT_FOUND',
] as const;
export type RagErrorCode = (typeof RAG_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names, ids and numbers. */
type Facts = DatabaseErrorFacts['facts'];

/** RAG.INVALID_INPUT: an argument breaks the contract of the function. The error names fields, never values. */
export const readInput = inputReader('RAG.INVALID_INPUT');

/** RAG.INVALID_INPUT: a field that passed the input schema does not fit the others. */
export function invalidField(field: string, problem: string): SuiteError {
  return new SuiteError('RAG.INVALID_INPUT', 'The input is invalid', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct the named fields and call again',
    meta: { fields: [field] },
  });
}

/** RAG.WORKSPACE_NOT_FOUND: no workspace has this id. */
export function workspaceNotFound({ workspaceId }: Facts): SuiteError {
  return new SuiteError('RAG.WORKSPACE_NOT_FOUND', 'The workspace does not exist', {
    why: 'It was never registered, or it was removed.',
    next: 'Register it with registerWorkspace(), and pass the id that it returns',
    meta: { workspaceId },
  });
}

/** RAG.MODEL_MISMATCH: the workspace answers with the embeddings of another model. */
export function modelMismatch({ workspaceId, model, dimension }: Facts): SuiteError {
  return new SuiteError('RAG.MODEL_MISMATCH', 'The workspace has embeddings of another model', {
    kind: 'usage',
    why: `It answers with ${model} in ${dimension} dimensions. Embeddings of different models cannot be compared.`,
    next: 'Use this model, or change the model of the workspace with reembedWorkspace()',
    meta: { workspaceId, model, dimension },
  });
}

/** RAG.MODEL_DIMENSION: one model name stands for embeddings of one dimension. */
export function modelDimension({ model, dimension }: Facts): SuiteError {
  return new SuiteError('RAG.MODEL_DIMENSION', 'The model has another dimension in this workspace', {
    kind: 'usage',
    why: `${model} has ${dimension} dimensions there.`,
    next: 'Give the shortened model a name of its own, such as "name@768"',
    meta: { model, dimension },
  });
}

/** RAG.MODEL_NOT_FOUND: nobody has learned this built-in model in this database. */
export function modelNotFound(model: string): SuiteError {
  return new SuiteError('RAG.MODEL_NOT_FOUND', 'The built-in model does not exist', {
    why: `This database has no model ${model}.`,
    next: 'Learn one with learnHashingModel(), and pass the name that it returns',
    meta: { model },
  });
}

/** RAG.CONTENT_ELSEWHERE: another workspace has a content with this id. */
function contentElsewhere({ workspaceId }: Facts): SuiteError {
  return new SuiteError('RAG.CONTENT_ELSEWHERE', 'Another workspace has a content with this id', {
    kind: 'usage',
    why: 'The id of a content is unique among all workspaces.',
    next: 'Begin the ids of contents with the id of the workspace, or remove the content there first',
    meta: { workspaceId },
  });
}

/** RAG.EMBEDDING_MISSING: a text lost the embedding that the call wanted to reuse, because another call removed it. */
function embeddingMissing({ chunks }: Facts): SuiteError {
  return new SuiteError('RAG.EMBEDDING_MISSING', 'Chunks have no embedding', {
    why: 'Another call removed the chunks with the embeddings that the call reuses.',
    next: 'Call again',
    meta: { chunks },
  });
}

/** RAG.REEMBEDDING_ENDED: the re-embedding is not the one that runs. */
function reembeddingEnded({ workspaceId }: Facts): SuiteError {
  return new SuiteError('RAG.REEMBEDDING_ENDED', 'The re-embedding was replaced', {
    why: 'Another call began to change the workspace to another model, or has finished.',
    next: 'Call reembedWorkspace() again if the workspace should still change to this model',
    meta: { workspaceId },
  });
}

/** RAG.INDEX_CLAIMED: another process indexes the workspace. */
function indexClaimed({ workspaceId, owner, until }: Facts): SuiteError {
  return new SuiteError('RAG.INDEX_CLAIMED', 'Another process indexes this workspace', {
    why: `It is ${owner}. If it has ended, its claim ends at ${until}.`,
    next: 'Call again when it has finished',
    meta: { workspaceId, owner, until },
  });
}

/** RAG.INDEX_LOST: another process took over while this one indexed the workspace. */
function indexLost({ workspaceId }: Facts): SuiteError {
  return new SuiteError('RAG.INDEX_LOST', 'Another process indexes this workspace now', {
    why: 'This process did not reach the database for so long that its claim ended.',
    next: 'Nothing to do: the other process completes the index',
    meta: { workspaceId },
  });
}

/** RAG.READER_MISSING: the optional package that reads source trees is not installed. */
export function readerMissing(cause: unknown): SuiteError {
  return new SuiteError('RAG.READER_MISSING', 'The package that reads source trees is not installed', {
    kind: 'configuration',
    why: 'Only indexing a tree needs @azora/code, so @azora/rag does not install it.',
    next: 'Run: npm install @azora/code',
    cause,
  });
}

/** RAG.CHUNK_NOT_FOUND: no chunk has this id. */
export function chunkNotFound(chunkId: string): SuiteError {
  return new SuiteError('RAG.CHUNK_NOT_FOUND', 'The chunk does not exist', {
    why: 'Its content has changed or was removed since it was found.',
    next: 'Search again',
    meta: { chunkId },
  });
}

/** RAG.NODE_NOT_FOUND: no node of the code graph has this id. */
export function nodeNotFound(nodeId: string): SuiteError {
  return new SuiteError('RAG.NODE_NOT_FOUND', 'The node does not exist in the code graph', {
    why: 'Its file has changed or was removed since it was found.',
    next: 'Find the node again with findNodes()',
    meta: { nodeId },
  });
}

/** RAG.PROVIDER_FAILED: the embedding service cannot be reached, or it refused the call as often as it was tried. */
export function providerFailed(provider: string, status: number | undefined, attempts: number): SuiteError {
  return new SuiteError('RAG.PROVIDER_FAILED', `The embedding service ${provider} failed`, {
    why: `${status === undefined ? 'It could not be reached' : `It answered with the HTTP status ${status}`}, ${attempts} times.`,
    next: 'Check the URL, the key and the limits of the service, then call again; what was written stays',
    meta: { provider, status, attempts },
  });
}

/** RAG.PROVIDER_TIMEOUT: the embedding service did not answer in time. */
export function providerTimeout(provider: string, timeoutMs: number, attempts: number): SuiteError {
  return new SuiteError('RAG.PROVIDER_TIMEOUT', `The embedding service ${provider} did not answer in time`, {
    why: `${attempts} calls took longer than ${timeoutMs} ms each.`,
    next: 'Raise timeoutMs or lower batchSize, then call again; what was written stays',
    meta: { provider, timeoutMs, attempts },
  });
}

/** RAG.PROVIDER_ANSWER: the answer of a provider cannot be stored as embeddings. */
export function providerAnswer(provider: string, problem: string): SuiteError {
  return new SuiteError('RAG.PROVIDER_ANSWER', `The answer of ${provider} is not usable`, {
    why: `The answer ${problem}.`,
    next: 'Check the model and its dimension; nothing of this batch was written',
    meta: { provider },
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  workspace_not_found: workspaceNotFound,
  model_mismatch: modelMismatch,
  model_dimension: modelDimension,
  content_elsewhere: contentElsewhere,
  embedding_missing: embeddingMissing,
  reembedding_ended: reembeddingEnded,
  index_claimed: indexClaimed,
  index_lost: indexLost,
  ix_workspaces_path: () => invalidField('path', 'belongs to a workspace with another id'),
};
