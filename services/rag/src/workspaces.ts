import { createHash } from 'node:crypto';
import { textInput } from '@azora/db-core/input';
import { readInput } from './errors';

const ID_LENGTH = 16;

/** The longest path of Linux. Windows allows longer paths, which nobody uses. */
const workspacePath = textInput(4_096);

/**
 * Returns one spelling for all spellings of a path: lower case, single forward slashes, none at the end. Lower case,
 * because Windows and macOS ignore case and all machines must derive the same id.
 */
export function normalizePath(path: string): string {
  const slashed = path.replaceAll('\\', '/').toLowerCase();
  // A scheme has at least two letters, so that a drive such as C:\\Work, escaped twice, is not taken for one.
  const scheme = /^[a-z][a-z0-9+.-]+:\/\//.exec(slashed)?.[0] ?? '';
  const rest = slashed.slice(scheme.length).replace(/\/{2,}/g, '/');
  // The roots / and c:/ keep their slash.
  return scheme + rest.replace(/(?<=[^:])\/$/, '');
}

/**
 * Returns the id of the workspace at a path, which is the same on every machine.
 * @throws {SuiteError} `RAG.INVALID_INPUT` when the path is blank
 */
export function workspaceId(path: string): string {
  return createHash('sha256')
    .update(normalizePath(readInput(workspacePath, path)))
    .digest('hex')
    .slice(0, ID_LENGTH);
}
