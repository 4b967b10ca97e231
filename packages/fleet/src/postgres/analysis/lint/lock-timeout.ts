import type { Node } from 'libpg-query';
import { type Effect, LOCK_MODES } from '../effect';
import { effectsOf } from '../effects';
import type { Finding, Rule } from './finding';

/**
 * Weaker ones, such as that of CREATE INDEX CONCURRENTLY, keep neither readers nor writers waiting, and who waits for one
 * keeps nobody waiting behind; a timeout there would only leave an invalid index.
 */
const STOPS_WRITERS = LOCK_MODES.indexOf('SHARE');

/**
 * `lock-timeout-missing`: a lock that stops writers is asked for without a limit. The runner sets one by itself, psql and
 * `prisma migrate deploy` do not; down.sql is run by the runner alone.
 */
export const lockTimeoutMissing: Rule = ({ script, direction, statements }): readonly Finding[] => {
  if (direction === 'down') return [];
  let limited = false;
  for (const { statement, effects } of effectsOf(statements)) {
    limited = limitAfter(statement.node, script.transactional) ?? limited;
    const strongest = strongestOf(effects);
    if (limited || strongest === undefined) continue;
    const set = script.transactional ? 'SET LOCAL' : 'SET';
    return [
      {
        rule: 'lock-timeout-missing',
        level: 'warning',
        offset: statement.offset,
        message: `It waits without limit for ${strongest.lock} on ${strongest.table}, and all who come after it wait behind it.`,
        help: `Write "${set} lock_timeout = '5s';" before it.`,
      },
    ];
  }
  return [];
};

/** Whether there is a limit after the statement; undefined when it says nothing about it. */
function limitAfter(node: Node, transactional: boolean): boolean | undefined {
  if (!('VariableSetStmt' in node)) return undefined;
  const { kind, name, args: [value] = [], is_local: local = false } = node.VariableSetStmt;
  if (kind === 'VAR_RESET_ALL') return false;
  if (name !== 'lock_timeout') return undefined;
  // Outside of a transaction SET LOCAL is a warning and nothing else.
  if (local && !transactional) return undefined;
  return kind === 'VAR_SET_VALUE' && value !== undefined && !isZero(value);
}

/** Zero is how PostgreSQL says «without limit»; the parser leaves zeros out. */
function isZero(value: Node): boolean {
  if (!('A_Const' in value)) return false;
  const { ival, sval } = value.A_Const;
  return sval === undefined ? (ival?.ival ?? 0) === 0 : Number.parseFloat(sval.sval ?? '0') === 0;
}

function strongestOf(effects: readonly Effect[]): Effect | undefined {
  const rank = ({ lock }: Effect) => LOCK_MODES.indexOf(lock);
  return effects.filter((effect) => rank(effect) >= STOPS_WRITERS).sort((a, b) => rank(b) - rank(a))[0];
}
