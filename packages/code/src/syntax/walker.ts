import type { Expr } from './facts';
import type { FactsBuilder, Scope } from './facts-builder';
import type { SyntaxNode } from './syntax-node';

export type Visit = (node: SyntaxNode, scope: Scope) => void;

/** How a language is read: what each node type adds to the facts, and what its expressions and types mean. */
export interface Reader {
  /** Called for each node of these types instead of visiting its children; it visits them itself where it wants. */
  readonly handlers: Readonly<Record<string, Handler>>;
  /** The value of an expression; `any` of nothing when its value is not known. */
  expression(node: SyntaxNode | undefined): Expr;
  /** The definition that a type names. */
  type(node: SyntaxNode | undefined): Expr | undefined;
  /** The names of the types in a type, each once, for edges to them. */
  readonly typeNames: readonly string[];
}

export type Handler = (node: SyntaxNode, scope: Scope, walk: Walk) => void;

/** One walk over the tree of a file. */
export interface Walk {
  readonly builder: FactsBuilder;
  readonly reader: Reader;
  visit(node: SyntaxNode | undefined, scope: Scope): void;
  children(node: SyntaxNode | undefined, scope: Scope): void;
  /** Adds a parameter, a variable or a field with this declared type, with references to the types that it names. */
  typed(scope: Scope, node: SyntaxNode | undefined, kind?: 'references' | 'returns'): Expr | undefined;
}

export function walkSyntax(builder: FactsBuilder, reader: Reader): void {
  const walk: Walk = {
    builder,
    reader,
    visit(node, scope) {
      if (node === undefined) return;
      const handler = Object.hasOwn(reader.handlers, node.type) ? reader.handlers[node.type] : undefined;
      if (handler === undefined) walk.children(node, scope);
      else handler(node, scope, walk);
    },
    children(node, scope) {
      for (const child of node?.children ?? []) walk.visit(child, scope);
    },
    typed(scope, node, kind = 'references') {
      if (node === undefined) return undefined;
      referToTypes(walk, scope, node, kind);
      return reader.type(node);
    },
  };
  walk.children(builder.root, builder.file);
}

function referToTypes({ builder, reader }: Walk, scope: Scope, node: SyntaxNode, kind: 'references' | 'returns'): void {
  if (reader.typeNames.includes(node.type)) {
    const type = reader.type(node);
    if (type !== undefined) builder.reference(scope, type, node, kind);
  }
  for (const child of node.children) referToTypes({ builder, reader } as Walk, scope, child, kind);
}
