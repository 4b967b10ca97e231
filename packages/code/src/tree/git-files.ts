import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { gitFailed } from '../errors';
import type { ListedPath } from './tree';

/** Variables that a hook of git sets, so that its programs use another repository than the one around the folder. */
const REPOSITORY_VARIABLES = new Set([
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_PREFIX',
  'GIT_COMMON_DIR',
  'GIT_OBJECT_DIRECTORY',
]);

/**
 * The tracked files of a folder, and the untracked ones that are not ignored, each once. Undefined when the folder is not in a git
 * tree, or git is not installed.
 * @throws {SuiteError} CODE.GIT_FAILED
 */
export async function listGitFiles(root: string): Promise<readonly ListedPath[] | undefined> {
  if (!isInGitTree(path.resolve(root))) return undefined;
  const output = await runGit(root, ['ls-files', '-co', '--exclude-standard', '-z', '--deduplicate', '.']).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw gitFailed(root, error.message);
    },
  );
  if (output === undefined) return undefined;
  return splitNames(output).map((name) => {
    const text = name.toString('utf8');
    // A repository inside the tree that is not a submodule ends with a slash.
    const isValid = Buffer.from(text).equals(name);
    return { path: text.replace(/\/$/, ''), isValid };
  });
}

/** The commit that is checked out in a folder; undefined outside of git and before the first commit. */
export async function headCommit(root: string): Promise<string | undefined> {
  if (!isInGitTree(path.resolve(root))) return undefined;
  const output = await runGit(root, ['rev-parse', '--verify', '--quiet', 'HEAD']).catch(() => undefined);
  return output?.toString('utf8').trim();
}

function isInGitTree(folder: string): boolean {
  for (let at = folder; ; at = path.dirname(at)) {
    if (existsSync(path.join(at, '.git'))) return true;
    if (path.dirname(at) === at) return false;
  }
}

function splitNames(output: Buffer): readonly Buffer[] {
  const names: Buffer[] = [];
  for (let start = 0; start < output.length; ) {
    const end = output.indexOf(0, start);
    names.push(output.subarray(start, end));
    start = end + 1;
  }
  return names;
}

function runGit(root: string, args: readonly string[]): Promise<Buffer> {
  const inherited = Object.entries(process.env).filter(([name]) => !REPOSITORY_VARIABLES.has(name));
  const env = { ...Object.fromEntries(inherited), LC_ALL: 'C' };
  return new Promise((resolve, reject) => {
    const child = spawn('git', ['-C', root, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => output.push(part));
    child.stderr.on('data', (part: Buffer) => errors.push(part));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(output));
      else reject(new Error(Buffer.concat(errors).toString('utf8').trim().split('\n')[0] ?? `exit code ${code}`));
    });
  });
}
