import type { Node } from 'libpg-query';
import { effectsOf } from '../effects';
import { isConcurrentReindex } from '../maintenance-locks';
import { nameOf } from '../names';
import type { Finding, Rule } from './finding';

/**
 * `index-not-concurrent`: an index is built on a table with users, whose writes wait until it is. A way back restores what
 * was dropped, in the transaction of the whole step.
 */
export const indexNotConcurrent: Rule = ({ statements, direction }): readonly Finding[] =>
  effectsOf(statements).flatMap(({ statement: { node, offset }, onlyNew }) => {
    if (!('IndexStmt' in node) || node.IndexStmt.concurrent || onlyNew || direction === 'down') return [];
    return [
      {
        rule: 'index-not-concurrent',
        level: 'warning',
        offset,
        message: `Nobody can write to ${nameOf(node.IndexStmt.relation)} while the index is built.`,
        help: 'Build it with CREATE INDEX CONCURRENTLY, alone in a migration whose first line is "-- no-transaction".',
      },
    ];
  });

/** `concurrent-in-transaction`: it will fail, for the file runs in a transaction. */
export const concurrentInTransaction: Rule = ({ script, statements }): readonly Finding[] =>
  script.transactional
    ? statements
        .filter(({ node }) => isConcurrent(node))
        .map(({ offset }) => ({
          rule: 'concurrent-in-transaction',
          level: 'error',
          offset,
          message: 'CONCURRENTLY fails in a transaction, and this file runs in one.',
          help: 'Move it to a migration of its own whose first line is "-- no-transaction".',
        }))
    : [];

/** `several-concurrent`: when one fails, those before it stay, and the file cannot run again as it is. */
export const severalConcurrent: Rule = ({ statements }): readonly Finding[] =>
  statements
    .filter(({ node }) => isConcurrent(node))
    .slice(1)
    .map(({ offset }) => ({
      rule: 'several-concurrent',
      level: 'warning',
      offset,
      message: 'When one of several concurrent statements fails, the file is left half done.',
      help: 'Write one a migration.',
    }));

function isConcurrent(node: Node): boolean {
  if ('IndexStmt' in node) return node.IndexStmt.concurrent === true;
  if ('DropStmt' in node) return node.DropStmt.concurrent === true;
  return isConcurrentReindex(node);
}
