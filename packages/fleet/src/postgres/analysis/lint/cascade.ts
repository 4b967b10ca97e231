import type { Node } from 'libpg-query';
import type { Finding, Rule } from './finding';

/** `cascade`: a drop takes with it what nobody listed, also what schema.prisma cannot express. */
export const cascade: Rule = ({ direction, statements }): readonly Finding[] =>
  direction === 'down'
    ? []
    : statements
        .filter(({ node }) => dropsInCascade(node))
        .map(({ offset }) => ({
          rule: 'cascade',
          level: 'warning',
          offset,
          message: 'CASCADE drops whatever depends on it, by names that stand nowhere.',
          help: 'Drop what depends on it by name first, then drop it without CASCADE.',
        }));

function dropsInCascade(node: Node): boolean {
  if ('DropStmt' in node) return node.DropStmt.behavior === 'DROP_CASCADE';
  if ('DropOwnedStmt' in node) return node.DropOwnedStmt.behavior === 'DROP_CASCADE';
  if (!('AlterTableStmt' in node)) return false;
  return (node.AlterTableStmt.cmds ?? []).some(
    (it) => 'AlterTableCmd' in it && it.AlterTableCmd.behavior === 'DROP_CASCADE',
  );
}
