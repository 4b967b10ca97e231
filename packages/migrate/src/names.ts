import { quoteIdentifier } from '@azora/db-core/quote';

/** A part of a dotted name: quoted if it holds a dot or a quote itself, as the queries about the catalog write it. */
function partOf(name: string): string {
  return /[."]/.test(name) ? quoteIdentifier(name) : name;
}

/** A name for people: with its schema unless that is public. No two objects of a kind have the same one. */
export function dottedName(schema: string | undefined, name: string): string {
  return schema === undefined || schema === '' || schema === 'public'
    ? partOf(name)
    : `${partOf(schema)}.${partOf(name)}`;
}

/** The name of a column, given the name of its table. */
export function columnName(table: string, column: string): string {
  return `${table}.${partOf(column)}`;
}

/** The parts of a name that {@link dottedName} gave. */
export function partsOf(dotted: string): { readonly schema: string; readonly name: string } {
  const parts = [...dotted.matchAll(/"((?:[^"]|"")*)"|[^."]+/g)].map(
    ([text, quoted]) => quoted?.replaceAll('""', '"') ?? text,
  );
  const [first = '', second] = parts;
  return second === undefined ? { schema: 'public', name: first } : { schema: first, name: second };
}

/** The name as SQL in a migration, whose search path is the one of the database. */
export function sqlOfName(dotted: string): string {
  const { schema, name } = partsOf(dotted);
  return schema === 'public' ? quoteIdentifier(name) : `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}
