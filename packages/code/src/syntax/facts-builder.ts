import type {
  Base,
  Binding,
  Definition,
  Expr,
  FileFacts,
  Implementation,
  Import,
  Language,
  NodeKind,
  RawEdge,
} from './facts';
import type { SyntaxNode } from './syntax-node';

/** A definition while its file is read. */
export interface Scope extends Definition {
  readonly bases: Base[];
  readonly bindings: Binding[];
  readonly returns: Expr[];
  owner?: Expr;
  isExtension?: boolean;
  type?: Expr;
  typeParameters?: readonly Binding[];
  parameters?: readonly [number, number];
  readonly parameterNames: string[];
  readonly around: Scope | undefined;
}

export interface DefinitionInput {
  readonly kind: NodeKind;
  readonly name: string;
  /** The node of the whole definition, and the one of its name. */
  readonly node: SyntaxNode;
  readonly nameNode?: SyntaxNode | undefined;
  readonly documentation?: string | undefined;
  /** The name of the type to which a method belongs that stands outside the type's body. */
  readonly owner?: string | undefined;
  readonly isStatic?: boolean;
}

const MAX_SIGNATURE = 300;
const TYPES: ReadonlySet<NodeKind> = new Set(['class', 'interface', 'struct', 'record', 'enum']);

export const name = (text: string): Expr => ({ is: 'name', name: text });
export const member = (of: Expr, text: string): Expr => ({ is: 'member', of, name: text });
export const instance = (of: Expr): Expr => ({ is: 'instance', of });
export const element = (of: Expr): Expr => ({ is: 'element', of });
export const anyOf = (of: readonly Expr[]): Expr =>
  of.length === 1 && of[0] !== undefined ? of[0] : { is: 'any', of };
export const UNKNOWN: Expr = { is: 'any', of: [] };

/** A dotted name such as `a.b.c` as nested members. */
export function dotted(text: string, separator = '.'): Expr {
  const [first = '', ...rest] = text.split(separator).map((part) => part.trim());
  return rest.reduce<Expr>(member, name(first));
}

/** Collects the facts of one file while a reader of its language walks the tree. */
export class FactsBuilder {
  readonly file: Scope;
  readonly #definitions: Scope[] = [];
  readonly #imports: Import[] = [];
  readonly #exports: Binding[] = [];
  readonly #edges: RawEdge[] = [];
  readonly #implementations: Implementation[] = [];
  readonly #passed: { readonly callee: string; readonly scope: string; readonly args: readonly Expr[] }[] = [];
  readonly #keys = new Set<string>();
  readonly #taken = new Map<string, number>();
  /** The package, namespace or module of what is defined next. */
  module = '';

  constructor(
    readonly path: string,
    readonly language: Language,
    readonly root: SyntaxNode,
  ) {
    this.file = {
      ...emptyFacts(path),
      signature: path,
      endLine: root.source.lines,
      around: undefined,
    };
    this.#definitions.push(this.file);
  }

  define(around: Scope, input: DefinitionInput): Scope {
    const { node, kind } = input;
    const nameNode = input.nameNode ?? node.child('name') ?? node;
    const prefix = input.owner ?? (around === this.file ? '' : around.scopedName);
    const scopedName = prefix === '' ? input.name : `${prefix}.${input.name}`;
    const comments = commentsAbove(node);
    const documentation = input.documentation ?? comments?.text;
    const definition: Scope = {
      id: `${this.path}#${this.#unique(scopedName)}`,
      kind,
      name: input.name,
      scopedName,
      qualifiedName: this.module === '' ? scopedName : `${this.module}.${scopedName}`,
      signature: signatureOf(node),
      documentation,
      startLine: node.source.lineAt(comments?.start ?? outermost(node).start),
      endLine: node.endLine,
      parent: around === this.file ? undefined : around.id,
      nameOffset: nameNode.start,
      bases: [],
      bindings: [],
      returns: [],
      parameterNames: [],
      isStatic: input.isStatic ?? false,
      around,
    };
    if (input.owner !== undefined) definition.owner = name(input.owner);
    this.#definitions.push(definition);
    return definition;
  }

  bind(scope: Scope, local: string, value: Expr): void {
    if (local !== '_') scope.bindings.push({ name: local, value });
  }

  /** @param args what the call passes, in order */
  call(scope: Scope, target: Expr, node: SyntaxNode, args: readonly Expr[] = []): void {
    this.#edges.push({ kind: 'calls', from: scope.id, target, args: args.length, line: node.startLine });
    if (target.is === 'name' && args.length > 0) this.#passed.push({ callee: target.name, scope: scope.id, args });
  }

  reference(scope: Scope, target: Expr, node: SyntaxNode, kind: 'references' | 'returns' = 'references'): void {
    this.#edges.push({ kind, from: scope.id, target, args: 0, line: node.startLine });
  }

  import(local: string, source: string, imported?: string, reexported = false): void {
    this.#imports.push({ local, source, name: imported, reexported });
  }

  export(exported: string, value: Expr): void {
    this.#exports.push({ name: exported, value });
  }

  implementation(owner: string, type: Expr, node: SyntaxNode): void {
    this.#implementations.push({ owner, type, line: node.startLine });
  }

  key(key: string): void {
    this.#keys.add(key);
  }

  /** The innermost type around a scope, itself included. */
  typeAround(scope: Scope): Scope | undefined {
    for (let at: Scope | undefined = scope; at !== undefined; at = at.around) if (TYPES.has(at.kind)) return at;
    return undefined;
  }

  facts(): FileFacts {
    this.#bindArguments();
    return {
      path: this.path,
      language: this.language,
      module: this.module,
      keys: [...this.#keys].sort(),
      definitions: this.#definitions.map(({ around: _, ...definition }) => definition),
      imports: this.#imports,
      exports: this.#exports,
      implementations: this.#implementations,
      edges: this.#edges,
    };
  }

  /**
   * A parameter without a type stands for what the calls in this file pass. Calls in other files are left out: otherwise each file
   * would depend on all files that import it.
   */
  #bindArguments(): void {
    for (const { callee, scope, args } of this.#passed) {
      const functions = this.#definitions.filter((it) => it.kind === 'function' && it.name === callee);
      const [only] = functions;
      if (only === undefined || functions.length > 1) continue;
      args.forEach((of, index) => {
        const parameter = only.parameterNames[index];
        if (parameter === undefined || !PASSED.has(of.is) || isTyped(only, parameter)) return;
        only.bindings.push({ name: parameter, value: { is: 'at', scope, of } });
      });
    }
  }

  #unique(scopedName: string): string {
    const times = (this.#taken.get(scopedName) ?? 0) + 1;
    this.#taken.set(scopedName, times);
    return times === 1 ? scopedName : `${scopedName}~${times}`;
  }
}

/** The expressions that are followed from a call into the function that it calls. */
const PASSED: ReadonlySet<Expr['is']> = new Set(['name', 'member', 'call', 'instance']);

const isTyped = ({ bindings }: Scope, parameter: string): boolean =>
  bindings.some(({ name: bound, value }) => bound === parameter && value.is !== 'at');

/** The definition of a file itself. */
export function emptyFacts(
  path: string,
): Definition & { bases: Base[]; bindings: Binding[]; returns: Expr[]; parameterNames: string[] } {
  const base = path.slice(path.lastIndexOf('/') + 1);
  const named = { id: path, kind: 'file', name: base, scopedName: base, qualifiedName: path } as const;
  const lines = { startLine: 1, endLine: 1, nameOffset: 0 };
  const empty = { bases: [], bindings: [], returns: [], parameterNames: [], isStatic: false };
  return { ...named, ...lines, ...empty, signature: path, documentation: undefined, parent: undefined };
}

const WRAPPERS = new Set([
  'export_statement',
  'decorated_definition',
  'ambient_declaration',
  'declaration',
  'global_statement',
]);
/** Wrappers of a single definition whose comments stand above the wrapper. */
const DECLARATIONS = new Set(['lexical_declaration', 'variable_declaration', 'type_declaration']);

function outermost(node: SyntaxNode): SyntaxNode {
  let at = node;
  while (at.parent !== undefined && (WRAPPERS.has(at.parent.type) || isOnlyChild(at, at.parent))) at = at.parent;
  return at;
}

function isOnlyChild(node: SyntaxNode, parent: SyntaxNode): boolean {
  return DECLARATIONS.has(parent.type) && parent.children[0] === node;
}

export const isComment = (node: SyntaxNode): boolean => node.type.endsWith('comment');
/** What stands between a comment and its definition. */
const isAttached = (node: SyntaxNode): boolean =>
  isComment(node) || node.type === 'attribute_item' || node.type === 'decorator';

/** The comments directly above a definition, without a blank line between. */
export function commentsAbove(
  node: SyntaxNode,
): { readonly start: number; readonly text: string | undefined } | undefined {
  const at = outermost(node);
  const siblings = at.parent?.children ?? [];
  let index = siblings.indexOf(at);
  let start: number | undefined;
  const comments: string[] = [];
  for (let below = at; index > 0; index -= 1) {
    const above = siblings[index - 1];
    if (above === undefined || !isAttached(above) || above.endLine + 1 < below.startLine) break;
    // A comment at the end of a line belongs to what stands before it.
    if (isComment(above) && isTrailing(above)) break;
    if (isComment(above)) comments.unshift(plainComment(above.text));
    start = above.start;
    below = above;
  }
  const text = comments.filter((comment) => comment !== '').join('\n');
  return start === undefined ? undefined : { start, text: text === '' ? undefined : text };
}

function isTrailing(comment: SyntaxNode): boolean {
  const { source } = comment;
  return source.text.slice(source.startOf(comment.startLine), comment.start).trim() !== '';
}

function plainComment(text: string): string {
  const inner = text.replace(/^\/\*+!?/, '').replace(/\*+\/\s*$/, '');
  return inner
    .split('\n')
    .map((line) => line.trim().replace(/^(\/\/[/!]?|#+|\*)\s?/, ''))
    .join('\n')
    .trim();
}

/** The text of a definition up to its body, on one line. */
function signatureOf(node: SyntaxNode): string {
  const body = node.child('body') ?? node.child('value')?.child('body');
  const text = node.source.text.slice(node.start, body?.start ?? node.end);
  const line = text.replaceAll(/\s+/g, ' ').replace(/\s*(=>|[{:;=])?\s*$/, '');
  return line.length > MAX_SIGNATURE ? `${line.slice(0, MAX_SIGNATURE)}…` : line;
}
