import type { Script } from '@azora/db-migrate';
import type { Node } from 'libpg-query';
import { effectsOf } from '../effects';
import { nameOf, type ParsedStatement, typeNameOf } from '../parse';
import { type Effect, isConcurrentReindex, LOCK_MODES } from '../statement-effects';
import { type Drop, dropsOf, isDropped, objectsMadeBy, type UnmanagedObjects } from '../unmanaged';

export type Direction = 'up' | 'down';

/** A file of a migration, as input of the rules. */
export interface LintedScript {
  readonly script: Script;
  /** `up` for migration.sql, which `prisma migrate deploy` and psql also run; `down` for down.sql, which only the runner runs. */
  readonly direction: Direction;
  readonly statements: readonly ParsedStatement[];
  /** The objects of earlier migrations that schema.prisma cannot express. */
  readonly unmanaged: UnmanagedObjects;
}

/** What a rule found at a place of a file. */
export interface Finding {
  readonly rule: string;
  readonly level: 'warning' | 'error';
  /** The place in the file, in UTF-16 units. */
  readonly offset: number;
  readonly message: string;
  /** How to correct it. */
  readonly help: string;
}

export type Rule = (file: LintedScript) => readonly Finding[];

/** `cascade`: a drop removes objects that the file does not name, including objects that schema.prisma cannot express. */
const cascade: Rule = ({ direction, statements }): readonly Finding[] =>
  direction === 'down'
    ? []
    : statements
        .filter(({ node }) => dropsInCascade(node))
        .map(({ offset }) => ({
          rule: 'cascade',
          level: 'warning',
          offset,
          message: 'CASCADE drops all dependent objects, which the file does not name.',
          help: 'Drop the dependent objects by name first, then drop this one without CASCADE.',
        }));

function dropsInCascade(node: Node): boolean {
  if ('DropStmt' in node) return node.DropStmt.behavior === 'DROP_CASCADE';
  if ('DropOwnedStmt' in node) return node.DropOwnedStmt.behavior === 'DROP_CASCADE';
  if (!('AlterTableStmt' in node)) return false;
  return (node.AlterTableStmt.cmds ?? []).some(
    (it) => 'AlterTableCmd' in it && it.AlterTableCmd.behavior === 'DROP_CASCADE',
  );
}

/**
 * `index-not-concurrent`: an index is built on a table in use, whose writers wait until the build ends. A down.sql restores
 * indexes in the transaction of the whole step.
 */
const indexNotConcurrent: Rule = ({ statements, direction }): readonly Finding[] =>
  effectsOf(statements).flatMap(({ statement: { node, offset }, onlyNew }) => {
    if (!('IndexStmt' in node) || node.IndexStmt.concurrent || onlyNew || direction === 'down') return [];
    return [
      {
        rule: 'index-not-concurrent',
        level: 'warning',
        offset,
        message: `All writes to ${nameOf(node.IndexStmt.relation)} wait while the index is built.`,
        help: 'Use CREATE INDEX CONCURRENTLY, alone in a migration whose first line is "-- no-transaction".',
      },
    ];
  });

/** `concurrent-in-transaction`: the statement will fail because the file runs in a transaction. */
const concurrentInTransaction: Rule = ({ script, statements }): readonly Finding[] =>
  script.transactional
    ? statements
        .filter(({ node }) => isConcurrent(node))
        .map(({ offset }) => ({
          rule: 'concurrent-in-transaction',
          level: 'error',
          offset,
          message: 'CONCURRENTLY fails in a transaction, and this file runs in one.',
          help: 'Move the statement to its own migration whose first line is "-- no-transaction".',
        }))
    : [];

/** `several-concurrent`: when one statement fails, the earlier ones stay, and the file cannot run again unchanged. */
const severalConcurrent: Rule = ({ statements }): readonly Finding[] =>
  statements
    .filter(({ node }) => isConcurrent(node))
    .slice(1)
    .map(({ offset }) => ({
      rule: 'several-concurrent',
      level: 'warning',
      offset,
      message: 'When one of several concurrent statements fails, the file is left half done.',
      help: 'Write one concurrent statement per migration.',
    }));

function isConcurrent(node: Node): boolean {
  if ('IndexStmt' in node) return node.IndexStmt.concurrent === true;
  if ('DropStmt' in node) return node.DropStmt.concurrent === true;
  return isConcurrentReindex(node);
}

/**
 * `drops-unmanaged`: the file drops an object that schema.prisma cannot express, so no comparison with the schema will
 * notice its absence. An object that the same file makes again, as when a CHECK changes, is not dropped. Triggers and
 * functions are never in the schema.
 */
const dropsUnmanaged: Rule = ({ direction, statements, unmanaged }): readonly Finding[] => {
  if (direction === 'down') return [];
  const makers = makersIn(statements);
  return statements.flatMap(({ node, offset }, at) =>
    dropsOf(node).flatMap((drop) => {
      const made = [...(makers.get(keyOf(drop)) ?? []), ...(makers.get(keyOf({ ...drop, name: undefined })) ?? [])];
      const makersOf = (isAsked: (place: number) => boolean) =>
        made.filter(isAsked).flatMap((place) => statements[place]?.node ?? []);
      const what = lostBy(
        drop,
        unmanaged,
        makersOf((place) => place < at),
      );
      const again = () => makersOf((place) => place > at).some((later) => makes(later, drop));
      return what === undefined || again() ? [] : [unmanagedFinding(offset, what, drop)];
    }),
  );
};

/** The places of the statements that make triggers, functions and unmanaged objects, by kind and name. */
function makersIn(statements: readonly ParsedStatement[]): ReadonlyMap<string, readonly number[]> {
  const makers = new Map<string, number[]>();
  for (const [at, { node }] of statements.entries()) {
    for (const key of madeBy(node).map(keyOf)) {
      const places = makers.get(key);
      if (places === undefined) makers.set(key, [at]);
      else places.push(at);
    }
  }
  return makers;
}

function madeBy(node: Node): readonly { readonly kind: Drop['kind']; readonly name: string | undefined }[] {
  if ('CreateTrigStmt' in node) return [{ kind: 'trigger', name: node.CreateTrigStmt.trigname }];
  if ('CreateFunctionStmt' in node) {
    return [{ kind: 'function', name: typeNameOf(node.CreateFunctionStmt.funcname) }];
  }
  return objectsMadeBy(node);
}

function keyOf({ kind, name = '' }: { readonly kind: string; readonly name: string | undefined }): string {
  return `${kind} ${name}`;
}

function lostBy(drop: Drop, unmanaged: UnmanagedObjects, before: readonly Node[]): string | undefined {
  if (drop.kind === 'trigger' || drop.kind === 'function') {
    return before.some((node) => makes(node, drop) && !replaces(node)) ? undefined : `the ${drop.kind}`;
  }
  return unmanaged.find((object) => isDropped(object, drop))?.what;
}

function makes(node: Node, drop: Drop): boolean {
  if ('CreateTrigStmt' in node) {
    const { trigname, relation } = node.CreateTrigStmt;
    return drop.kind === 'trigger' && trigname === drop.name && nameOf(relation) === drop.table;
  }
  if ('CreateFunctionStmt' in node) {
    return drop.kind === 'function' && typeNameOf(node.CreateFunctionStmt.funcname) === drop.name;
  }
  return objectsMadeBy(node).some((object) => isDropped(object, drop));
}

/** With OR REPLACE, the object may be older than the file. */
function replaces(node: Node): boolean {
  if ('CreateTrigStmt' in node) return node.CreateTrigStmt.replace === true;
  return 'CreateFunctionStmt' in node && node.CreateFunctionStmt.replace === true;
}

function unmanagedFinding(offset: number, what: string, { name }: Drop): Finding {
  return {
    rule: 'drops-unmanaged',
    level: 'warning',
    offset,
    message: `This drops ${what} ${name}, which schema.prisma cannot express, so no check will report its absence.`,
    help: 'Keep it, make it again in this file, or give the reason above the statement.',
  };
}

/**
 * Weaker locks, such as that of CREATE INDEX CONCURRENTLY, block neither readers nor writers, and neither does a statement
 * that waits for one. A timeout would only leave an invalid index behind.
 */
const STOPS_WRITERS = LOCK_MODES.indexOf('SHARE');

/**
 * `lock-timeout-missing`: a statement waits without limit for a lock that blocks writers. The runner sets lock_timeout by
 * itself; psql and `prisma migrate deploy` do not. Only the runner runs down.sql.
 */
const lockTimeoutMissing: Rule = ({ script, direction, statements }): readonly Finding[] => {
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
        message: `The statement waits without limit for ${strongest.lock} on ${strongest.table}, and later sessions queue behind it.`,
        help: `Write "${set} lock_timeout = '5s';" before the statement.`,
      },
    ];
  }
  return [];
};

/** Whether a limit is set after the statement; undefined when the statement does not change that. */
function limitAfter(node: Node, transactional: boolean): boolean | undefined {
  if (!('VariableSetStmt' in node)) return undefined;
  const { kind, name, args: [value] = [], is_local: local = false } = node.VariableSetStmt;
  if (kind === 'VAR_RESET_ALL') return false;
  if (name !== 'lock_timeout') return undefined;
  // Outside of a transaction, SET LOCAL only causes a warning.
  if (local && !transactional) return undefined;
  return kind === 'VAR_SET_VALUE' && value !== undefined && !isZero(value);
}

/** Zero means no limit. The parser leaves zeros out. */
function isZero(value: Node): boolean {
  if (!('A_Const' in value)) return false;
  const { ival, sval } = value.A_Const;
  return sval === undefined ? (ival?.ival ?? 0) === 0 : Number.parseFloat(sval.sval ?? '0') === 0;
}

function strongestOf(effects: readonly Effect[]): Effect | undefined {
  const rank = ({ lock }: Effect) => LOCK_MODES.indexOf(lock);
  return effects.filter((effect) => rank(effect) >= STOPS_WRITERS).sort((a, b) => rank(b) - rank(a))[0];
}

/** The rules of the suite, by the names that `-- lint-ignore` takes. */
export const OUR_RULES: Readonly<Record<string, Rule>> = {
  'lock-timeout-missing': lockTimeoutMissing,
  'index-not-concurrent': indexNotConcurrent,
  'concurrent-in-transaction': concurrentInTransaction,
  'several-concurrent': severalConcurrent,
  'drops-unmanaged': dropsUnmanaged,
  cascade,
};
