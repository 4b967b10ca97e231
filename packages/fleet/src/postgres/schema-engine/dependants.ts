import type { ClientBase } from 'pg';
import { type ParsedStatement, parseScript, typeNameOf } from '../analysis/parse';

/** An object that must be dropped before the type of its column changes, and made again afterwards. */
interface Dependant {
  readonly drop: string;
  readonly make: string;
}

/**
 * The constraints, indexes, triggers and policies that depend on an enumeration, or on a column of it. PostgreSQL rebuilds
 * primary keys and plain indexes itself.
 */
const DEPENDANTS = `
  WITH enumeration AS (SELECT oid, typarray FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typname = ANY ($1)),
  dependent AS (
    SELECT DISTINCT classid, objid FROM pg_depend
    WHERE refclassid = 'pg_type'::regclass AND refobjid IN (SELECT oid FROM enumeration)
      OR refclassid = 'pg_class'::regclass AND (refobjid, refobjsubid) IN (
        SELECT attrelid, attnum::int FROM pg_attribute, enumeration WHERE atttypid IN (enumeration.oid, typarray))
  )
  SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS drop,
         format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS make
    FROM pg_constraint JOIN dependent ON objid = oid AND classid = 'pg_constraint'::regclass
    WHERE contype IN ('c', 'x', 'f') AND conrelid <> 0 AND conparentid = 0
  UNION ALL
  SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
    FROM pg_index JOIN dependent ON objid = indexrelid AND classid = 'pg_class'::regclass
    WHERE (indpred IS NOT NULL OR indexprs IS NOT NULL) AND NOT indisexclusion
  UNION ALL
  SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass), pg_get_triggerdef(oid)
    FROM pg_trigger JOIN dependent ON objid = oid AND classid = 'pg_trigger'::regclass
    WHERE NOT tgisinternal AND tgparentid = 0 AND tgenabled = 'O'
  UNION ALL
  SELECT format('DROP POLICY %I ON %s', polname, polrelid::regclass),
      concat_ws(' ', format('CREATE POLICY %I ON %s AS', polname, polrelid::regclass),
        CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, 'FOR',
        CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        'TO', (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ') FROM unnest(polroles) AS role),
        'USING (' || pg_get_expr(polqual, polrelid) || ')', 'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')')
    FROM pg_policy JOIN dependent ON objid = oid AND classid = 'pg_policy'::regclass`;

/**
 * The statements with the dependants of every enumeration that they replace: dropped before, and made again after that. The
 * client's database must be in the state in which the statements will run.
 */
export async function withDependants(client: ClientBase, statements: readonly string[]): Promise<readonly string[]> {
  const parsed = await parseScript({ file: 'migration.sql', sql: statements.map((text) => `${text};\n`).join('') });
  const types = parsed.flatMap(replacedType);
  const first = parsed.findIndex(({ node }) => 'CreateEnumStmt' in node);
  const last = parsed.findLastIndex(({ node }) => 'DropStmt' in node && node.DropStmt.removeType === 'OBJECT_TYPE');
  if (types.length === 0 || first === -1 || last < first) return statements;
  const { rows } = await client.query<Dependant>(DEPENDANTS, [types]);
  const foreignLast = (text: string) => Number(/ FOREIGN KEY /.test(text));
  return [
    ...statements.slice(0, first),
    ...rows.map(({ drop }) => drop),
    ...statements.slice(first, last + 1),
    ...rows.map(({ make }) => make).sort((left, right) => foreignLast(left) - foreignLast(right)),
    ...statements.slice(last + 1),
  ];
}

/** The engine renames an enumeration that it replaces to `<name>_old`. */
function replacedType({ node }: ParsedStatement): readonly string[] {
  if (!('RenameStmt' in node) || node.RenameStmt.renameType !== 'OBJECT_TYPE') return [];
  const { object, newname = '' } = node.RenameStmt;
  const name = object !== undefined && 'List' in object ? typeNameOf(object.List.items) : '';
  return newname === `${name}_old` ? [name] : [];
}
