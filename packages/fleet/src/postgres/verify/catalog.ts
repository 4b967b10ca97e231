import { CATALOG_GRANTS, CATALOG_OBJECTS } from '@azora/db-migrate';
import type { ClientBase, QueryResult } from 'pg';

/** An object that a migration can make: a column, a constraint, an index, … */
export interface CatalogObject {
  readonly kind: string;
  /** The name, with the name of its table if it has one: `users.email`. */
  readonly object: string;
  readonly definition: string;
}

export interface CatalogChange {
  readonly kind: string;
  readonly object: string;
  readonly change: 'missing' | 'unexpected' | 'changed';
  /** The definition in the expected catalog, and in the actual one. */
  readonly expected?: string;
  readonly actual?: string;
}

/** Reads all objects in schema public that a migration can make. */
export async function readObjects(
  client: ClientBase,
  { grants }: { readonly grants: boolean },
): Promise<readonly CatalogObject[]> {
  const select = grants ? `(${CATALOG_OBJECTS}) UNION ALL (${CATALOG_GRANTS})` : CATALOG_OBJECTS;
  // With an empty search path, every definition includes its schema names.
  const results: unknown = await client.query(`
    BEGIN READ ONLY; SET LOCAL search_path = '';
    SELECT * FROM (${select}) AS objects ORDER BY kind COLLATE "C", object COLLATE "C", definition COLLATE "C";
    COMMIT`);
  return (results as readonly QueryResult<CatalogObject>[])[2]?.rows ?? [];
}

/** The differences between two catalogs, object by object. */
export function compareCatalogs(
  expected: readonly CatalogObject[],
  actual: readonly CatalogObject[],
): readonly CatalogChange[] {
  const keyOf = ({ kind, object }: CatalogObject) => `${kind}\0${object}`;
  const are = new Map(actual.map((it) => [keyOf(it), it]));
  const should = new Set(expected.map(keyOf));
  const gone = expected.flatMap((it): CatalogChange[] => {
    const is = are.get(keyOf(it));
    const { kind, object, definition } = it;
    if (is === undefined) return [{ kind, object, change: 'missing', expected: definition }];
    if (is.definition === definition) return [];
    return [{ kind, object, change: 'changed', expected: definition, actual: is.definition }];
  });
  const extra = actual
    .filter((it) => !should.has(keyOf(it)))
    .map(({ kind, object, definition }): CatalogChange => ({ kind, object, change: 'unexpected', actual: definition }));
  return [...gone, ...extra];
}
