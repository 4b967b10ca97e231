import { textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Rag } from './client';
import { readInput, workspaceNotFound } from './errors';
import { commitInput, filePathInput, hashInput, pathInput, workspaceIdInput } from './input';
import { callFor, type IndexEntry, listRows, onlyRow, rowsFor, type Workspace } from './rows';
import { workspaceId } from './workspaces';

const MAX_FILES = 100_000;

export interface WorkspaceInput {
  readonly workspaceId: string;
}

export interface RegisterWorkspaceInput {
  /** Where the workspace is, in any spelling of Linux, macOS or Windows. */
  readonly path: string;
  /** The last part of the path when absent. */
  readonly name?: string;
  readonly isGitRepository?: boolean;
  /** The commit that is checked out, 40 lower-case hex characters. */
  readonly currentCommitSha?: string;
}

/** `rag` is the index of chunks, `graph` the code graph. */
export type IndexType = 'rag' | 'graph';

export interface FinishIndexInput extends WorkspaceInput {
  readonly index: IndexType;
  /** The commit that was indexed; absent outside of git. */
  readonly commitSha?: string;
}

export interface FileState {
  /** Relative to the workspace, with forward slashes. */
  readonly path: string;
  /** SHA-256 hash of the file, in lower-case hex. */
  readonly contentHash: string;
}

export interface CompareFilesInput extends WorkspaceInput {
  readonly index: IndexType;
  /** All files of the workspace, at most 100,000. */
  readonly files: readonly FileState[];
}

/** What an index must do to be true again. Paths are sorted. */
export interface FileComparison {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  /** Indexed, but not among the files. */
  readonly gone: readonly string[];
  readonly fresh: number;
}

export interface Freshness {
  readonly index: IndexType;
  /** Null before an index was complete. */
  readonly indexedAt: Date | null;
  readonly indexedCommitSha: string | null;
  /** Whether the indexed commit is the one that is checked out; null when either is unknown. */
  readonly isCurrent: boolean | null;
  readonly files: number;
  /** When the content of a file was last indexed. */
  readonly newestFileAt: Date | null;
}

export interface ListFilesInput extends WorkspaceInput, PageInput {
  readonly index: IndexType;
}

const oneInput = z.strictObject({ workspaceId: workspaceIdInput });
const indexInput = z.enum(['rag', 'graph']);
const registerInput = z.strictObject({
  path: pathInput,
  name: textInput(500).optional(),
  isGitRepository: z.boolean().optional(),
  currentCommitSha: commitInput.optional(),
});

/**
 * Registers the workspace at a path, or updates what is known about it; all spellings of a path are one workspace.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function registerWorkspace(rag: Rag, input: RegisterWorkspaceInput): Promise<Workspace> {
  const { path, name, isGitRepository, currentCommitSha } = readInput(registerInput, input);
  return callFor<Workspace>(rag, 'SELECT * FROM register_workspace($1, $2, $3, $4, $5)', [
    workspaceId(path),
    path,
    name ?? null,
    isGitRepository ?? null,
    currentCommitSha ?? null,
  ]);
}

/**
 * @returns the workspace, or null if there is none with this id
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function findWorkspace(rag: Rag, input: WorkspaceInput): Promise<Workspace | null> {
  const { workspaceId: id } = readInput(oneInput, input);
  const [found] = await rowsFor<Workspace>(rag, 'SELECT * FROM workspaces WHERE id = $1', [id]);
  return found ?? null;
}

/** @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND` */
export async function getWorkspace(rag: Rag, input: WorkspaceInput): Promise<Workspace> {
  const found = await findWorkspace(rag, input);
  if (found === null) throw workspaceNotFound({ workspaceId: input.workspaceId });
  return found;
}

/**
 * A page of the workspaces, newest first.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function listWorkspaces(rag: Rag, input: PageInput = {}): Promise<Page<Workspace>> {
  const { limit, cursor } = readInput(z.strictObject(pageFields), input);
  return listRows<Workspace>(rag, { table: 'workspaces', time: 'created_at', where: {}, limit, cursor });
}

/**
 * Removes a workspace with its chunks, its code graph and its entries. Returns whether there was one.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function removeWorkspace(rag: Rag, input: WorkspaceInput): Promise<boolean> {
  const { workspaceId: id } = readInput(oneInput, input);
  const rows = await rag.queryLong<{ removed: boolean }>({
    text: 'SELECT remove_workspace($1) AS removed',
    values: [id],
  });
  return onlyRow(rows).removed;
}

const finishInput = z.strictObject({
  workspaceId: workspaceIdInput,
  index: indexInput,
  commitSha: commitInput.optional(),
});

/**
 * Notes that an index of a workspace is complete as of now, and publishes it.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`
 */
export async function finishIndex(rag: Rag, input: FinishIndexInput): Promise<Workspace> {
  const { workspaceId: id, index, commitSha } = readInput(finishInput, input);
  return callFor<Workspace>(rag, 'SELECT * FROM finish_index($1, $2, $3)', [id, index, commitSha ?? null]);
}

const compareInput = z.strictObject({
  workspaceId: workspaceIdInput,
  index: indexInput,
  files: z.array(z.strictObject({ path: filePathInput, contentHash: hashInput })).max(MAX_FILES),
});

const COMPARE = `
  SELECT coalesce(f.path, i.file_path) AS path,
    CASE WHEN i.file_path IS NULL THEN 'added' WHEN f.path IS NULL THEN 'gone' WHEN i.content_hash = f.hash THEN 'fresh' ELSE 'changed' END AS state
  FROM (SELECT file_path, content_hash FROM index_metadata JOIN workspaces AS w ON w.path = workspace_path
        WHERE w.id = $1 AND index_type = $2) AS i
  FULL JOIN unnest($3::text[], $4::text[]) AS f (path, hash) ON f.path = i.file_path
  ORDER BY 1`;

interface ComparedRow {
  readonly path: string;
  readonly state: 'added' | 'changed' | 'gone' | 'fresh';
  readonly [column: string]: unknown;
}

/**
 * Compares the files of a workspace with those that an index was built from.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`
 */
export async function compareFiles(rag: Rag, input: CompareFilesInput): Promise<FileComparison> {
  const { workspaceId: id, index, files } = readInput(compareInput, input);
  await getWorkspace(rag, { workspaceId: id });
  const values = [id, index, files.map(({ path }) => path), files.map(({ contentHash }) => contentHash)];
  const rows = await rag.query<ComparedRow>({ text: COMPARE, values });
  const pathsOf = (state: ComparedRow['state']) => rows.filter((row) => row.state === state).map(({ path }) => path);
  return {
    added: pathsOf('added'),
    changed: pathsOf('changed'),
    gone: pathsOf('gone'),
    fresh: pathsOf('fresh').length,
  };
}

const FRESHNESS = `
  SELECT i.index, i.at AS "indexedAt", i.commit AS "indexedCommitSha", lower(i.commit) = lower(w.current_commit_sha) AS "isCurrent",
    f.files, f.newest AS "newestFileAt"
  FROM workspaces AS w,
    LATERAL (VALUES ('rag', w.rag_indexed_at, w.rag_indexed_commit_sha), ('graph', w.graph_indexed_at, w.graph_indexed_commit_sha))
      AS i (index, at, commit),
    LATERAL (SELECT count(*)::integer AS files, max(indexed_at) AS newest FROM index_metadata
             WHERE workspace_path = w.path AND index_type = i.index) AS f
  WHERE w.id = $1 ORDER BY i.index DESC`;

/**
 * How fresh the two indexes of a workspace are.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`
 */
export async function workspaceFreshness(rag: Rag, input: WorkspaceInput): Promise<readonly Freshness[]> {
  const { workspaceId: id } = readInput(oneInput, input);
  const rows = await rag.query<Freshness & { readonly [column: string]: unknown }>({ text: FRESHNESS, values: [id] });
  if (rows.length === 0) throw workspaceNotFound({ workspaceId: id });
  return rows;
}

const listFilesInput = z.strictObject({ workspaceId: workspaceIdInput, index: indexInput, ...pageFields });

/**
 * A page of the files that an index of a workspace was built from, the last indexed first.
 * @throws {SuiteError} `RAG.INVALID_INPUT`, `RAG.WORKSPACE_NOT_FOUND`
 */
export async function listIndexedFiles(rag: Rag, input: ListFilesInput): Promise<Page<IndexEntry>> {
  const { workspaceId: id, index, limit, cursor } = readInput(listFilesInput, input);
  const { path } = await getWorkspace(rag, { workspaceId: id });
  const where = { workspace_path: path, index_type: index };
  return listRows<IndexEntry>(rag, { table: 'index_metadata', time: 'indexed_at', where, limit, cursor });
}
