import type { Node } from 'libpg-query';
import { alterEffects } from './alter-table';
import type { Effect } from './effect';
import { maintenanceLocks } from './maintenance-locks';
import { listedNames, nameOf, typeNameOf } from './names';

/**
 * What a statement does to the tables that it names. What DO blocks, functions and dynamic SQL do is not seen. The modes
 * are those of the reference page of each command (Locks in «Explicit Locking», 13.3.1).
 */
export function statementEffects(node: Node): readonly Effect[] {
  if ('AlterTableStmt' in node) return alterEffects(node.AlterTableStmt);
  if ('DropStmt' in node) return dropEffects(node.DropStmt);
  if ('CreateStmt' in node) return [...referencesOf(node.CreateStmt.tableElts ?? []), ...maintenanceLocks(node)];
  if ('IndexStmt' in node) {
    const { relation, concurrent } = node.IndexStmt;
    return [{ table: nameOf(relation), lock: concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE', work: 'scan' }];
  }
  if ('RenameStmt' in node && node.RenameStmt.relation !== undefined) {
    return [{ table: nameOf(node.RenameStmt.relation), lock: 'ACCESS EXCLUSIVE' }];
  }
  if ('CreateTrigStmt' in node) return [{ table: nameOf(node.CreateTrigStmt.relation), lock: 'SHARE ROW EXCLUSIVE' }];
  if ('TruncateStmt' in node) {
    return listedRelations(node.TruncateStmt.relations).map((table) => ({
      table,
      lock: 'ACCESS EXCLUSIVE',
      loss: { what: 'rows', table },
    }));
  }
  if ('DeleteStmt' in node) {
    const table = nameOf(node.DeleteStmt.relation);
    return [{ table, lock: 'ROW EXCLUSIVE', work: 'scan', loss: { what: 'rows', table } }];
  }
  if ('UpdateStmt' in node) return [{ table: nameOf(node.UpdateStmt.relation), lock: 'ROW EXCLUSIVE', work: 'scan' }];
  if ('InsertStmt' in node) return [{ table: nameOf(node.InsertStmt.relation), lock: 'ROW EXCLUSIVE' }];
  if ('LockStmt' in node)
    return listedRelations(node.LockStmt.relations).map((table) => ({ table, lock: 'ACCESS EXCLUSIVE' }));
  return maintenanceLocks(node);
}

function dropEffects(drop: Extract<Node, { DropStmt: unknown }>['DropStmt']): readonly Effect[] {
  const cascade = drop.behavior === 'DROP_CASCADE';
  const names = listedNames(drop.objects);
  if (drop.removeType === 'OBJECT_TABLE') {
    return names.map((table) => ({ table, lock: 'ACCESS EXCLUSIVE', loss: { what: 'table', table } }));
  }
  if (drop.removeType === 'OBJECT_TRIGGER' || drop.removeType === 'OBJECT_POLICY') {
    return listedTables(drop.objects).map((table) => ({ table, lock: 'ACCESS EXCLUSIVE' }));
  }
  if (drop.removeType === 'OBJECT_INDEX') {
    // Whose index it is, only the catalog knows.
    const lock = drop.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE';
    return names.map((index) => ({ table: `index ${index}`, lock }));
  }
  // A type, schema, sequence or extension takes the columns that use it with it.
  if (!cascade) return [];
  return names.map((object) => ({ table: object, lock: 'ACCESS EXCLUSIVE', loss: { what: 'objects', table: object } }));
}

/** The tables whose rows new foreign keys will point at. */
function referencesOf(elements: readonly Node[]): readonly Effect[] {
  return elements.flatMap((element) => {
    const constraints = 'ColumnDef' in element ? (element.ColumnDef.constraints ?? []) : [element];
    return constraints.flatMap((node): Effect[] =>
      'Constraint' in node && node.Constraint.contype === 'CONSTR_FOREIGN'
        ? [{ table: nameOf(node.Constraint.pktable), lock: 'SHARE ROW EXCLUSIVE' }]
        : [],
    );
  });
}

function listedRelations(nodes: readonly Node[] = []): readonly string[] {
  return nodes.flatMap((node) => ('RangeVar' in node ? [nameOf(node.RangeVar)] : []));
}

/** Of `DROP TRIGGER name ON table`, whose parsed name is table and name in one. */
function listedTables(nodes: readonly Node[] = []): readonly string[] {
  return nodes.flatMap((node) => ('List' in node ? [typeNameOf(node.List.items?.slice(0, -1))] : []));
}
