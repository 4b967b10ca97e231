import { CATALOG_GRANTS, CATALOG_OBJECTS, PIN_SESSION, settledWording } from '@azora/db-migrate';
import type { ClientBase, QueryResult } from 'pg';

/** An object that a migration can make: a column, a constraint, an index, … */
export interface CatalogObject {
  readonly kind: string;
  /** The name, with the name of its table if it has one: `users.email`. */
  readonly object: string;
  readonly definition: string;
  /** The relation as SQL, with its schema, and the name within it; null for what belongs to no relation. */
  readonly relation: string | null;
  readonly name: string | null;
}

export interface CatalogChange extends Pick<CatalogObject, 'kind' | 'object' | 'relation' | 'name'> {
  readonly change: 'missing' | 'unexpected' | 'changed';
  /** The definition in the expected catalog, and in the actual one. */
  readonly expected?: string;
  readonly actual?: string;
}

/** Reads all objects in the schemas of users that a migration can make, in the wording that a dump and restore keeps. */
export async function readObjects(
  client: ClientBase,
  { grants }: { readonly grants: boolean },
): Promise<readonly CatalogObject[]> {
  const select = grants ? `(${CATALOG_OBJECTS}) UNION ALL (${CATALOG_GRANTS})` : CATALOG_OBJECTS;
  const results: unknown = await client.query(`
    BEGIN READ ONLY; ${PIN_SESSION};
    SELECT * FROM (${select}) AS objects ORDER BY kind COLLATE "C", object COLLATE "C", definition COLLATE "C";
    COMMIT`);
  const rows = (results as readonly QueryResult<CatalogObject>[])[2]?.rows ?? [];
  return rows.map((row) => (row.kind === 'comment' ? row : { ...row, definition: settledWording(row.definition) }));
}

/** The differences between two catalogs, object by object. */
export function compareCatalogs(
  expected: readonly CatalogObject[],
  actual: readonly CatalogObject[],
): readonly CatalogChange[] {
  const keyOf = ({ kind, object }: Pick<CatalogObject, 'kind' | 'object'>) => `${kind}\0${object}`;
  const are = new Map(actual.map((it) => [keyOf(it), it]));
  const should = new Set(expected.map(keyOf));
  const gone = expected.flatMap(({ definition, ...it }): CatalogChange[] => {
    const is = are.get(keyOf(it));
    if (is === undefined) return [{ ...it, change: 'missing', expected: definition }];
    if (is.definition === definition) return [];
    return [{ ...it, change: 'changed', expected: definition, actual: is.definition }];
  });
  const extra = actual
    .filter((it) => !should.has(keyOf(it)))
    .map(({ definition, ...it }): CatalogChange => ({ ...it, change: 'unexpected', actual: definition }));
  return [...gone, ...extra];
}
