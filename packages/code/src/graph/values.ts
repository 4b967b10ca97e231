import type { Definition, Expr } from '../syntax/facts';
import type { FileIndex } from './file-index';

/** The types that stand for the parameters of generic types. */
export type Environment = ReadonlyMap<string, readonly Value[]>;

/** A definition in its file. */
export interface Place {
  readonly file: FileIndex;
  readonly definition: Definition;
}

/** A place from which an expression is evaluated. */
export interface Context extends Place {
  readonly environment?: Environment | undefined;
}

/** What an expression can stand for. */
export type Value =
  /** A function, a type, or a variable that is not yet read. */
  | { readonly is: 'definition'; readonly place: Context }
  | { readonly is: 'instance'; readonly place: Place; readonly args: readonly (readonly Value[])[] }
  | { readonly is: 'module'; readonly path: string; readonly files: readonly FileIndex[] }
  /** A value of a type outside the tree, such as a list; only its type arguments are known. */
  | { readonly is: 'external'; readonly name: string; readonly args: readonly (readonly Value[])[] }
  /** A member of such a value. */
  | { readonly is: 'external-member'; readonly of: Value; readonly name: string }
  | { readonly is: 'tuple'; readonly items: readonly (readonly Value[])[] };

/** The most alternatives of one expression that are followed. */
const MAX_VALUES = 12;

export function distinct(values: readonly Value[]): readonly Value[] {
  if (values.length < 2) return values;
  const seen = new Map<string, Value>();
  for (const value of values) seen.set(keyOf(value), value);
  return [...seen.values()].slice(0, MAX_VALUES);
}

function keyOf(value: Value): string {
  switch (value.is) {
    case 'definition':
      return `d ${value.place.definition.id}`;
    case 'instance':
      return `i ${value.place.definition.id} ${value.args.length}`;
    case 'module':
      return `m ${value.path}`;
    case 'external':
      return `e ${value.name} ${value.args.map((arg) => arg.map(keyOf).join()).join(';')}`;
    case 'external-member':
      return `x ${keyOf(value.of)} ${value.name}`;
    case 'tuple':
      return `t ${value.items.map((item) => item.map(keyOf).join()).join(';')}`;
  }
}

/** External types whose first argument is the element; it is the last one in the others. */
const FIRST_ARGUMENT = new Set(['Result', 'Either', 'Generator', 'AsyncGenerator']);
/** External types that pass members on to what they hold. */
const POINTERS = new Set([
  'Box',
  'Rc',
  'Arc',
  'Cow',
  'Pin',
  'Ref',
  'RefMut',
  'MutexGuard',
  'Readonly',
  'Partial',
  'Required',
  'NonNullable',
]);
/** Methods of external types that return the element or the content. */
const TAKES_CONTENT =
  /^(unwrap\w*|expect|borrow(_mut)?|lock|read|write|get(_mut|_or_insert_with|OrDefault|First|Last|AndIncrement)?|first|last|pop\w*|next|find(First|Any|Last)?|orElse\w*|remove\w*|poll\w*|peek\w*|take|First\w*|Last\w*|Single\w*|Find|GetValueOrDefault|Value|Result|at|shift|join|load|into_inner|ok_or\w*|ok|max_by_key|min_by_key)$/;

export const takesContent = (name: string): boolean => TAKES_CONTENT.test(name);

/** What a pointer holds; undefined for other external types. */
export function pointedAt(value: Value): readonly Value[] | undefined {
  return value.is === 'external' && POINTERS.has(value.name) ? (value.args[0] ?? []) : undefined;
}

/** The elements of a collection, or the content of a promise or an optional. Another value is its own content. */
export function contentOf(value: Value): readonly Value[] {
  switch (value.is) {
    case 'external': {
      const index = FIRST_ARGUMENT.has(value.name) ? 0 : value.args.length - 1;
      return value.args[index] ?? [];
    }
    case 'tuple':
      return value.items.flat();
    case 'external-member':
      return contentOf(value.of);
    default:
      return [value];
  }
}

export function itemOf(value: Value, index: number): readonly Value[] {
  if (value.is === 'tuple') return value.items[index] ?? [];
  if (value.is === 'external' && /^(tuple|Tuple|Pair|Entry|Map\.Entry|KeyValuePair)$/.test(value.name))
    return value.args[index] ?? [];
  return index === 0 ? [value] : [];
}

/** The name of a type without its arguments; empty for a type without a name. */
export function nameOfType(expr: Expr): string {
  if (expr.is === 'name') return expr.name;
  if (expr.is === 'member') return expr.name;
  return expr.is === 'generic' ? nameOfType(expr.of) : '';
}
