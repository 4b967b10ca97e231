import type { Node } from 'libpg-query';
import { nameOf, typeNameOf } from '../names';
import type { Finding, Rule } from './finding';
import { type Drop, dropsOf, isDropped, objectsMadeBy, type UnmanagedObjects } from './unmanaged-objects';

/**
 * `drops-unmanaged`: what goes is nowhere in schema.prisma, so that no comparison will ever miss it. What the same file
 * makes again, as one does to change a CHECK, does not go. No trigger and no function is in the schema.
 */
export const dropsUnmanaged: Rule = ({ direction, statements, unmanaged }): readonly Finding[] =>
  direction === 'down'
    ? []
    : statements.flatMap(({ node, offset }, at) => {
        const before = statements.slice(0, at).map((it) => it.node);
        const after = statements.slice(at + 1).map((it) => it.node);
        return dropsOf(node).flatMap((drop) => {
          const what = lostBy(drop, unmanaged, before);
          return what === undefined || after.some((later) => makes(later, drop)) ? [] : [finding(offset, what, drop)];
        });
      });

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

/** It may have been there before the file. */
function replaces(node: Node): boolean {
  if ('CreateTrigStmt' in node) return node.CreateTrigStmt.replace === true;
  return 'CreateFunctionStmt' in node && node.CreateFunctionStmt.replace === true;
}

function finding(offset: number, what: string, { name }: Drop): Finding {
  return {
    rule: 'drops-unmanaged',
    level: 'warning',
    offset,
    message: `It drops ${what} ${name}, which schema.prisma cannot express: nothing will tell that it is missing.`,
    help: 'Keep it, or make it again in this file, or give the reason above the statement.',
  };
}
