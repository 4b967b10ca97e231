import type { Node } from 'libpg-query';
import type { Effect } from './effect';
import { nameOf } from './names';

/** Locks of statements that are maintenance or rare; modes as in «Explicit Locking», 13.3.1. */
export function maintenanceLocks(node: Node): readonly Effect[] {
  if ('ReindexStmt' in node) {
    const { relation, kind } = node.ReindexStmt;
    if (relation === undefined || isConcurrentReindex(node)) return [];
    if (kind === 'REINDEX_OBJECT_TABLE') return [{ table: nameOf(relation), lock: 'SHARE', work: 'scan' }];
    return [{ table: `index ${nameOf(relation)}`, lock: 'ACCESS EXCLUSIVE', work: 'scan' }];
  }
  if ('VacuumStmt' in node) {
    const full = hasOption(node.VacuumStmt.options, 'full');
    const tables = (node.VacuumStmt.rels ?? []).flatMap((rel) =>
      'VacuumRelation' in rel ? [nameOf(rel.VacuumRelation.relation)] : [],
    );
    return full ? tables.map((table) => ({ table, lock: 'ACCESS EXCLUSIVE', work: 'rewrite' })) : [];
  }
  const table = exclusivelyLocked(node);
  return table === undefined ? [] : [{ table, lock: 'ACCESS EXCLUSIVE' }];
}

export function isConcurrentReindex(node: Node): boolean {
  return 'ReindexStmt' in node && hasOption(node.ReindexStmt.params, 'concurrently');
}

function exclusivelyLocked(node: Node): string | undefined {
  if ('ClusterStmt' in node && node.ClusterStmt.relation !== undefined) return nameOf(node.ClusterStmt.relation);
  if ('CreatePolicyStmt' in node) return nameOf(node.CreatePolicyStmt.table);
  if ('AlterPolicyStmt' in node) return nameOf(node.AlterPolicyStmt.table);
  if ('RuleStmt' in node) return nameOf(node.RuleStmt.relation);
  if ('RefreshMatViewStmt' in node && !node.RefreshMatViewStmt.concurrent) {
    return nameOf(node.RefreshMatViewStmt.relation);
  }
  if ('AlterObjectSchemaStmt' in node && node.AlterObjectSchemaStmt.relation !== undefined) {
    return nameOf(node.AlterObjectSchemaStmt.relation);
  }
  // A new partition locks the table that it becomes a part of.
  if ('CreateStmt' in node && node.CreateStmt.partbound !== undefined) {
    const [parent] = node.CreateStmt.inhRelations ?? [];
    if (parent !== undefined && 'RangeVar' in parent) return nameOf(parent.RangeVar);
  }
  return undefined;
}

/** `(FULL)` has no value, `(FULL false)` has one. */
function hasOption(options: readonly Node[] = [], name: string): boolean {
  return options.some((node) => {
    if (!('DefElem' in node) || node.DefElem.defname !== name) return false;
    const { arg } = node.DefElem;
    return !(arg !== undefined && 'String' in arg && /^(false|off|0)$/i.test(arg.String.sval ?? ''));
  });
}
