import type { Node, RangeVar, TypeName } from 'libpg-query';

/** A relation's name; with its schema where that is another than public, to which all of the suite belongs. */
export function nameOf(relation: RangeVar | undefined): string {
  const { schemaname, relname = '' } = relation ?? {};
  return schemaname === undefined || schemaname === 'public' ? relname : `${schemaname}.${relname}`;
}

/** The same for a name that is given as a list of strings. */
export function typeNameOf(nodes: readonly Node[] = []): string {
  const parts = nodes.flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : []));
  return (parts.length > 1 && parts[0] === 'public' ? parts.slice(1) : parts).join('.');
}

/** The objects of a DROP. */
export function listedNames(nodes: readonly Node[] = []): readonly string[] {
  return nodes.map((node) => {
    if ('List' in node) return typeNameOf(node.List.items);
    if ('TypeName' in node) return typeNameOf(node.TypeName.names);
    if ('ObjectWithArgs' in node) return typeNameOf(node.ObjectWithArgs.objname);
    return 'String' in node ? (node.String.sval ?? '') : '';
  });
}

/** A type as the parser gives it: `varchar(20)`, `numeric(18,8)`, `text[]`. */
export function typeText({ names = [], typmods = [], arrayBounds = [] }: TypeName = {}): string {
  const words = names.flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : []));
  const name = (words[0] === 'pg_catalog' ? words.slice(1) : words).join('.');
  const sizes = typmods.flatMap((node) => ('A_Const' in node ? [node.A_Const.ival?.ival ?? 0] : []));
  return `${name}${sizes.length > 0 ? `(${sizes.join(',')})` : ''}${arrayBounds.length > 0 ? '[]' : ''}`;
}
