import type { Language as Grammar, TreeCursor } from 'web-tree-sitter';

/** Deeper nodes are left out, so that code that recurses over the tree cannot exhaust the stack. */
const MAX_DEPTH = 600;

/** The text of a source file with the offsets of its lines. */
export class Source {
  readonly #lineStarts: number[] = [0];

  constructor(readonly text: string) {
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1);
  }

  /** The line of an offset, from 1. */
  lineAt(offset: number): number {
    let low = 0;
    let high = this.#lineStarts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  }

  /** The offset at which a line starts; the length of the text after the last line. */
  startOf(line: number): number {
    return this.#lineStarts[line - 1] ?? this.text.length;
  }

  get lines(): number {
    return this.#lineStarts.length;
  }
}

/**
 * A named node of a syntax tree, as a plain object: reading the tree of web-tree-sitter costs a call into WebAssembly per property,
 * and its nodes must be freed.
 */
export class SyntaxNode {
  readonly children: SyntaxNode[] = [];

  constructor(
    readonly source: Source,
    readonly type: string,
    readonly field: string | undefined,
    readonly start: number,
    readonly end: number,
    readonly parent: SyntaxNode | undefined,
  ) {}

  get text(): string {
    return this.source.text.slice(this.start, this.end);
  }

  get startLine(): number {
    return this.source.lineAt(this.start);
  }

  get endLine(): number {
    return this.source.lineAt(Math.max(this.start, this.end - 1));
  }

  child(field: string): SyntaxNode | undefined {
    return this.children.find((it) => it.field === field);
  }

  all(field: string): readonly SyntaxNode[] {
    return this.children.filter((it) => it.field === field);
  }

  first(...types: readonly string[]): SyntaxNode | undefined {
    return this.children.find((it) => types.includes(it.type));
  }

  every(...types: readonly string[]): readonly SyntaxNode[] {
    return this.children.filter((it) => types.includes(it.type));
  }
}

/** The names of a grammar's node types and fields, read once. */
export interface GrammarNames {
  readonly types: readonly (string | null)[];
  readonly fields: readonly (string | null)[];
}

export function namesOf(grammar: Grammar): GrammarNames {
  return {
    types: Array.from({ length: grammar.nodeTypeCount }, (_, id) => grammar.nodeTypeForId(id)),
    fields: Array.from({ length: grammar.fieldCount + 1 }, (_, id) => grammar.fieldNameForId(id)),
  };
}

/** Copies the tree at a cursor: named nodes only, in the order of the text. */
export function copyTree(cursor: TreeCursor, source: Source, names: GrammarNames): SyntaxNode {
  const copy = (parent: SyntaxNode | undefined): SyntaxNode => {
    // The last id is that of ERROR, which the table of the grammar does not contain.
    const type = names.types[cursor.nodeTypeId] ?? 'ERROR';
    const field = names.fields[cursor.currentFieldId] ?? undefined;
    return new SyntaxNode(source, type, field, cursor.startIndex, cursor.endIndex, parent);
  };
  const root = copy(undefined);
  let parent = root;
  if (!cursor.gotoFirstChild()) return root;
  for (let depth = 1; depth > 0; ) {
    if (cursor.nodeIsNamed) {
      const node = copy(parent);
      parent.children.push(node);
      if (depth < MAX_DEPTH && cursor.gotoFirstChild()) {
        parent = node;
        depth += 1;
        continue;
      }
    }
    while (depth > 0 && !cursor.gotoNextSibling()) {
      cursor.gotoParent();
      depth -= 1;
      parent = parent.parent ?? root;
    }
  }
  return root;
}
