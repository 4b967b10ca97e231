import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { commitInput, filePathInput } from '../input';
import type { FileState } from '../workspaces.store';
import { type CodeReader, READER_VERSION } from './reader';

/** A file of the tree that is in no index. */
export interface SkippedFile {
  readonly path: string;
  readonly reason:
    | 'too-large'
    | 'binary'
    | 'invalid-utf-8'
    | 'unreadable'
    | 'symbolic-link'
    | 'not-a-file'
    | 'invalid-name';
}

/** The files of a workspace as they are on the disk. */
export interface WorkspaceTree {
  readonly root: string;
  readonly isGitRepository: boolean;
  readonly commitSha: string | undefined;
  /** In the order of their paths. */
  readonly files: readonly FileState[];
  readonly skipped: readonly SkippedFile[];
  /** SHA-256 hash of the paths and hashes of all files and of how they are read: equal trees have equal indexes. */
  readonly hash: string;
}

/**
 * Reads which files a tree has, without their texts.
 * @throws {SuiteError} `CODE.ROOT_INVALID`, `CODE.GIT_FAILED`
 */
export async function readTree(code: CodeReader, root: string): Promise<WorkspaceTree> {
  const { isGitTree, files, skipped } = await code.walkTree(root);
  const commit = commitInput.safeParse(await code.headCommit(root));
  const isStorable = ({ path: file }: { readonly path: string }) => filePathInput.safeParse(file).success;
  const states = files.filter(isStorable).map(({ path: file, hash }) => ({ path: file, contentHash: hash }));
  const unnamable = files.filter((file) => !isStorable(file)).map(({ path: file }) => ({ path: file }));
  const hash = createHash('sha256').update(READER_VERSION);
  for (const { path: file, contentHash } of states) hash.update(`\n${contentHash} ${file}`);
  return {
    root,
    isGitRepository: isGitTree,
    commitSha: commit.data,
    files: states,
    skipped: [...skipped, ...unnamable.map((file) => ({ ...file, reason: 'invalid-name' as const }))],
    hash: hash.digest('hex'),
  };
}

/** The text of a file of a tree; undefined when it is not the file any more that the tree has listed. */
export async function readText(tree: WorkspaceTree, file: FileState): Promise<string | undefined> {
  const bytes = await readFile(path.join(tree.root, ...file.path.split('/'))).catch(() => undefined);
  if (bytes === undefined || createHash('sha256').update(bytes).digest('hex') !== file.contentHash) return undefined;
  return bytes.toString('utf8');
}
