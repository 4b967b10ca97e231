import ts from '@typescript/typescript6';
import type { CodeEdge, Definition, EdgeKind } from '../syntax/facts';

/** The definition that a declaration of the compiler is; undefined outside the tree. */
export type FindDefinition = (file: ts.SourceFile, nameOffset: number) => Definition | undefined;

export interface SemanticFile {
  readonly edges: readonly CodeEdge[];
  /** Calls whose target the compiler does not know, as `from` and line. */
  readonly unknownCalls: ReadonlySet<string>;
}

export const callKey = (from: string, line: number): string => `${from}\n${line}`;

const SCOPES = /^(function|method|constructor|class|interface|enum|namespace)$/;
const CALLABLE = /^(class|function|method|constructor|property)$/;

/** The edges of one file, by the types and the resolved signatures of the compiler. */
export function readFileEdges(
  checker: ts.TypeChecker,
  source: ts.SourceFile,
  file: Definition,
  find: FindDefinition,
): SemanticFile {
  const reading = new Reading(checker, source, find);
  reading.visit(source, file);
  return reading.result();
}

class Reading {
  readonly #edges = new Map<string, CodeEdge>();
  readonly #unknown = new Set<string>();

  constructor(
    readonly checker: ts.TypeChecker,
    readonly source: ts.SourceFile,
    readonly find: FindDefinition,
  ) {}

  result(): SemanticFile {
    const edges = [...this.#edges.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, edge]) => edge);
    return { edges, unknownCalls: this.#unknown };
  }

  visit(node: ts.Node, scope: Definition): void {
    const own = this.#definitionOf(node);
    const inner =
      own !== undefined && SCOPES.test(own.kind) ? own : own?.kind === 'property' && isAccessor(node) ? own : scope;
    this.#read(node, inner);
    ts.forEachChild(node, (child) => this.visit(child, inner));
  }

  #read(node: ts.Node, scope: Definition): void {
    if (ts.isCallLikeExpression(node)) this.#call(node, scope);
    else if (ts.isTypeReferenceNode(node)) this.#type(node, scope);
    else if (ts.isHeritageClause(node)) this.#heritage(node, scope);
    else if (isMember(node)) this.#override(node);
  }

  #call(node: ts.CallLikeExpression, scope: Definition): void {
    const line = this.#lineOf(node);
    const target = this.#targetOf(node);
    if (target === 'unknown') this.#unknown.add(callKey(scope.id, line));
    else if (target !== undefined && CALLABLE.test(target.kind)) this.#add('calls', scope, target, line);
    const args = ts.isCallExpression(node) || ts.isNewExpression(node) ? (node.arguments ?? []) : [];
    for (const argument of args) {
      if (!ts.isIdentifier(argument) && !ts.isPropertyAccessExpression(argument)) continue;
      const referred = this.#ofSymbol(this.checker.getSymbolAtLocation(argument));
      if (referred !== undefined) this.#add('references', scope, referred, this.#lineOf(argument));
    }
  }

  /** What a call runs: a function, or the class of a constructor. */
  #targetOf(node: ts.CallLikeExpression): Definition | 'unknown' | undefined {
    if (ts.isNewExpression(node)) return this.#created(node);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.SuperKeyword) return this.#superclass(node);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return undefined;
    if (ts.isJsxOpeningLikeElement(node) && /^[a-z]/.test(node.tagName.getText())) return undefined;
    const declaration = this.checker.getResolvedSignature(node)?.declaration;
    const found = declaration === undefined ? undefined : this.#ofDeclaration(declaration);
    if (found !== undefined) return found;
    const byName = this.#ofSymbol(this.#calleeSymbol(node));
    if (byName !== undefined && byName.kind !== 'variable') return byName;
    const isOutside = declaration !== undefined && this.find(declaration.getSourceFile(), -1) === undefined;
    return isOutside ? undefined : 'unknown';
  }

  #calleeSymbol(node: ts.CallLikeExpression): ts.Symbol | undefined {
    if (ts.isCallExpression(node)) return this.checker.getSymbolAtLocation(nameOfCallee(node.expression));
    if (ts.isTaggedTemplateExpression(node)) return this.checker.getSymbolAtLocation(nameOfCallee(node.tag));
    if (ts.isDecorator(node)) return this.checker.getSymbolAtLocation(nameOfCallee(node.expression));
    return ts.isJsxOpeningLikeElement(node) ? this.checker.getSymbolAtLocation(node.tagName) : undefined;
  }

  #created(node: ts.NewExpression): Definition | 'unknown' | undefined {
    const named = this.#ofSymbol(this.checker.getSymbolAtLocation(nameOfCallee(node.expression)));
    if (named?.kind === 'class' || named?.kind === 'function') return named;
    const created = this.#ofSymbol(this.checker.getTypeAtLocation(node).getSymbol());
    return created?.kind === 'class' || created?.kind === 'function' ? created : 'unknown';
  }

  #superclass(node: ts.CallExpression): Definition | undefined {
    const type = this.checker.getTypeAtLocation(node.expression);
    return this.#ofSymbol(type.getSymbol());
  }

  #type(node: ts.TypeReferenceNode, scope: Definition): void {
    const target = this.#ofSymbol(this.checker.getSymbolAtLocation(node.typeName));
    if (target !== undefined) this.#add(isResult(node) ? 'returns' : 'references', scope, target, this.#lineOf(node));
  }

  #heritage(node: ts.HeritageClause, scope: Definition): void {
    for (const { expression } of node.types) {
      const target = this.#ofSymbol(this.checker.getSymbolAtLocation(expression));
      const kind = node.token === ts.SyntaxKind.ImplementsKeyword ? 'implements' : 'inherits';
      if (target !== undefined && target.kind !== 'variable') this.#add(kind, scope, target, scope.startLine);
    }
  }

  /** The members of the bases that a member overrides or implements. */
  #override(node: ts.ClassElement | ts.TypeElement): void {
    const own = this.#definitionOf(node);
    const { parent } = node;
    if (own === undefined || node.name === undefined || !(ts.isClassLike(parent) || ts.isInterfaceDeclaration(parent)))
      return;
    const bases = (parent.heritageClauses ?? []).flatMap((clause) => clause.types);
    for (const base of bases) {
      const property = this.checker.getTypeAtLocation(base).getProperty(node.name.getText());
      const target = this.#ofSymbol(property);
      if (target !== undefined) this.#add('overrides', own, target, own.startLine);
    }
  }

  #add(kind: EdgeKind, from: Definition, to: Definition, line: number): void {
    if (from === to && kind !== 'calls') return;
    const key = `${from.id}\n${to.id}\n${kind}`;
    const known = this.#edges.get(key);
    if (known === undefined || known.line > line) this.#edges.set(key, { kind, from: from.id, to: to.id, line });
  }

  #ofSymbol(symbol: ts.Symbol | undefined): Definition | undefined {
    if (symbol === undefined) return undefined;
    const target = (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : this.checker.getAliasedSymbol(symbol);
    for (const declaration of [target.valueDeclaration, ...(target.declarations ?? [])]) {
      const found = declaration === undefined ? undefined : this.#ofDeclaration(declaration);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The definition of a declaration; a constructor stands for its class, and a signature for the implementation beside it. */
  #ofDeclaration(declaration: ts.Node): Definition | undefined {
    if (ts.isConstructorDeclaration(declaration)) return this.#definitionOf(declaration.parent);
    const implementation = implementationOf(declaration, this.checker);
    return this.#definitionOf(implementation) ?? this.#definitionOf(declaration);
  }

  #definitionOf(node: ts.Node): Definition | undefined {
    const offset = nameOffsetOf(node);
    return offset === undefined ? undefined : this.find(node.getSourceFile(), offset);
  }

  #lineOf(node: ts.Node): number {
    const at = ts.isCallExpression(node) ? nameOfCallee(node.expression) : node;
    return this.source.getLineAndCharacterOfPosition(at.getStart(this.source)).line + 1;
  }
}

const isAccessor = (node: ts.Node): boolean => ts.isGetAccessorDeclaration(node) || ts.isSetAccessorDeclaration(node);
const isMember = (node: ts.Node): node is ts.ClassElement | ts.TypeElement =>
  ts.isMethodDeclaration(node) || ts.isPropertyDeclaration(node) || isAccessor(node) || ts.isMethodSignature(node);

/** The name in a callee: `c` in `a.b.c`. */
function nameOfCallee(node: ts.Expression): ts.Node {
  let at: ts.Expression = node;
  while (ts.isParenthesizedExpression(at) || ts.isNonNullExpression(at) || ts.isAsExpression(at)) at = at.expression;
  if (ts.isCallExpression(at)) return at.expression;
  if (ts.isPropertyAccessExpression(at)) return at.name;
  return ts.isElementAccessExpression(at) ? at.argumentExpression : at;
}

/** Of the declarations of an overloaded function, the one with the body. */
function implementationOf(declaration: ts.Node, checker: ts.TypeChecker): ts.Node {
  const isSignature =
    (ts.isFunctionDeclaration(declaration) || ts.isMethodDeclaration(declaration)) && declaration.body === undefined;
  const name = isSignature ? declaration.name : undefined;
  if (name === undefined) return declaration;
  const all = checker.getSymbolAtLocation(name)?.declarations ?? [];
  const isBody = (it: ts.Declaration) =>
    (ts.isFunctionDeclaration(it) || ts.isMethodDeclaration(it)) && it.body !== undefined;
  return all.find(isBody) ?? declaration;
}

/** Where the name of a declaration stands. A function without a name has the name of the variable or the property that holds it. */
function nameOffsetOf(node: ts.Node): number | undefined {
  const source = node.getSourceFile();
  if (ts.isConstructorDeclaration(node)) return source.text.indexOf('constructor', node.getStart(source));
  if (ts.isFunctionExpression(node) || ts.isArrowFunction(node) || ts.isClassExpression(node)) {
    return node.name?.getStart(source) ?? nameOffsetOfHolder(node.parent, source);
  }
  const name = ts.getNameOfDeclaration(node as ts.Declaration);
  if (name !== undefined) return name.getStart(source);
  return ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node)
    ? source.text.indexOf(ts.isClassDeclaration(node) ? 'class' : 'function', node.getStart(source))
    : undefined;
}

function nameOffsetOfHolder(holder: ts.Node, source: ts.SourceFile): number | undefined {
  if (ts.isVariableDeclaration(holder) || ts.isPropertyAssignment(holder) || ts.isPropertyDeclaration(holder)) {
    return holder.name.getStart(source);
  }
  const isAssigned = ts.isBinaryExpression(holder) && holder.operatorToken.kind === ts.SyntaxKind.EqualsToken;
  return isAssigned ? nameOfCallee(holder.left).getStart(source) : undefined;
}

/** Whether a type stands in the declared result of a function. */
function isResult(node: ts.Node): boolean {
  let at = node;
  while (at.parent !== undefined && ts.isTypeNode(at.parent)) at = at.parent;
  return at.parent !== undefined && ts.isFunctionLike(at.parent) && at.parent.type === at;
}
