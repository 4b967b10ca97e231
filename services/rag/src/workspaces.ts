import { createHash } from 'node:crypto';
import { textInput } from '@azora/db-core/input';
import { readInput } from './errors';

const ID_LENGTH = 16;

/** As long as the longest path of Linux; Windows allows more, and nobody has it. */
const workspacePath = textInput(4_096);

/**
 * One spelling for a path however it is written: forward slashes, none doubled, none at the end, lower case (Windows
 * and macOS do not tell cases apart, and the ids of every machine must agree).
 */
export function normalizePath(path: string): string {
  const slashed = path.replaceAll('\\', '/').toLowerCase();
  // A scheme has more than one letter: C:\\Work, escaped twice on its way here, is a drive.
  const scheme = /^[a-z][a-z0-9+.-]+:\/\//.exec(slashed)?.[0] ?? '';
  const rest = slashed.slice(scheme.length).replace(/\/{2,}/g, '/');
  // The roots / and c:/ keep theirs.
  return scheme + rest.replace(/(?<=[^:])\/$/, '');
}

/**
 * The id of the workspace at a path, the same on every machine.
 * @throws {SuiteError} `RAG.INVALID_INPUT` when the path is blank
 */
export function workspaceId(path: string): string {
  return createHash('sha256')
    .update(normalizePath(readInput(workspacePath, path)))
    .digest('hex')
    .slice(0, ID_LENGTH);
}
