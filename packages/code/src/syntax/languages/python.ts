import type { Expr } from '../facts';
import {
  anyOf,
  dotted,
  element,
  type FactsBuilder,
  instance,
  member,
  name,
  type Scope,
  UNKNOWN,
} from '../facts-builder';
import type { SyntaxNode } from '../syntax-node';
import type { Handler, Reader, Walk } from '../walker';

/** Subscripted names that stand for their argument. */
const TRANSPARENT = new Set(['Optional', 'Annotated', 'Final', 'ClassVar', 'Required', 'NotRequired']);

function expression(node: SyntaxNode | undefined): Expr {
  switch (node?.type) {
    case 'identifier':
      return name(node.text);
    case 'attribute':
      return member(expression(node.child('object')), node.child('attribute')?.text ?? '');
    case 'call':
      return call(node);
    case 'await':
    case 'subscript':
      return element(expression(node.children[0]));
    case 'parenthesized_expression':
    case 'named_expression':
      return expression(node.child('value') ?? node.children[0]);
    case 'conditional_expression':
      return anyOf([expression(node.children[0]), expression(node.children[2])]);
    case 'boolean_operator':
      return anyOf([expression(node.child('left')), expression(node.child('right'))]);
    case 'list':
    case 'tuple':
    case 'set':
    case 'expression_list':
      return { is: 'tuple', of: node.children.map(expression) };
    case 'dictionary':
      return { is: 'tuple', of: node.every('pair').map((pair) => expression(pair.child('value'))) };
    case 'list_comprehension':
    case 'generator_expression':
    case 'set_comprehension':
      return { is: 'tuple', of: [expression(node.child('body'))] };
    default:
      return UNKNOWN;
  }
}

function call(node: SyntaxNode): Expr {
  const callee = node.child('function');
  const args = node.child('arguments')?.children ?? [];
  if (callee?.text === 'super') return { is: 'super' };
  return { is: 'call', of: expression(callee), args: args.length };
}

function type(node: SyntaxNode | undefined): Expr | undefined {
  switch (node?.type) {
    case 'type':
    case 'parenthesized_expression':
      return type(node.children[0]);
    case 'identifier':
      return name(node.text);
    case 'attribute':
      return dotted(node.text);
    case 'string':
      return /^[A-Za-z_][\w.]*$/.test(unquoted(node)) ? dotted(unquoted(node)) : undefined;
    case 'generic_type':
    case 'subscript':
      return generic(node);
    case 'binary_operator':
    case 'union_type':
      return union(node.children);
    case 'member_type':
      return dotted(node.text);
    default:
      return undefined;
  }
}

function generic(node: SyntaxNode): Expr | undefined {
  const [of, ...rest] = node.children;
  const args = rest.flatMap((it) => (it.type === 'type_parameter' ? it.children : [it]));
  if (of !== undefined && TRANSPARENT.has(of.text)) return type(args[0]);
  if (of?.text === 'Union') return union(args);
  return { is: 'generic', of: type(of) ?? UNKNOWN, args: args.map((it) => type(it) ?? UNKNOWN) };
}

function union(nodes: readonly SyntaxNode[]): Expr | undefined {
  const types = nodes.map(type).filter((it) => it !== undefined);
  return types.length === 0 ? undefined : anyOf(types);
}

const unquoted = (node: SyntaxNode): string => node.text.replaceAll(/^[a-zA-Z]*("""|'''|"|')|("""|'''|"|')$/g, '');

/** The text of the string with which a body begins. */
function docstring(body: SyntaxNode | undefined): string | undefined {
  const first = body?.children[0];
  const text = first?.type === 'expression_statement' ? first.children[0] : undefined;
  return text?.type === 'string' ? unquoted(text).trim() : undefined;
}

const classDefinition: Handler = (node, scope, walk) => {
  const nameNode = node.child('name');
  const body = node.child('body');
  const documentation = docstring(body);
  const defined = walk.builder.define(scope, { kind: 'class', name: nameNode?.text ?? '', node, documentation });
  for (const base of node.child('superclasses')?.children ?? []) {
    const value = base.type === 'keyword_argument' ? undefined : type(base);
    if (value !== undefined) defined.bases.push({ kind: 'inherits', type: value });
  }
  walk.children(body, defined);
};

const functionDefinition: Handler = (node, scope, walk) => {
  const decorators =
    node.parent?.type === 'decorated_definition' ? node.parent.every('decorator').map((it) => it.text) : [];
  const isMethod = scope.kind === 'class';
  const isStatic = decorators.some((it) => /^@staticmethod\b/.test(it));
  const body = node.child('body');
  const defined = walk.builder.define(scope, {
    kind: isMethod ? kindOfMethod(node, decorators) : 'function',
    name: node.child('name')?.text ?? '',
    node,
    documentation: docstring(body),
    isStatic,
  });
  const result = walk.typed(defined, node.child('return_type'), 'returns');
  if (result !== undefined) defined.type = result;
  const isClassMethod = decorators.some((it) => /^@classmethod\b/.test(it));
  parameters(
    node.child('parameters'),
    defined,
    walk,
    isMethod && !isStatic ? (isClassMethod ? 'class' : 'self') : undefined,
  );
  walk.children(body, defined);
};

function kindOfMethod(node: SyntaxNode, decorators: readonly string[]) {
  if (node.child('name')?.text === '__init__') return 'constructor';
  return decorators.some((it) => /^@((functools\.)?cached_)?property\b/.test(it)) ? 'property' : 'method';
}

function parameters(list: SyntaxNode | undefined, scope: Scope, walk: Walk, first: 'self' | 'class' | undefined): void {
  const own = (list?.children ?? []).filter((it) => !it.type.endsWith('separator'));
  own.forEach((parameter, index) => {
    const nameNode = parameter.child('name') ?? (parameter.type === 'identifier' ? parameter : parameter.children[0]);
    const local = nameNode?.text ?? '';
    if (index === 0 && first !== undefined) {
      walk.builder.bind(scope, local, { is: first });
      return;
    }
    scope.parameterNames.push(local);
    const declared = walk.typed(scope, parameter.child('type'));
    if (declared !== undefined) walk.builder.bind(scope, local, instance(declared));
    const value = parameter.child('value');
    if (value !== undefined && declared === undefined) walk.builder.bind(scope, local, expression(value));
    walk.visit(value, scope);
  });
}

/** The function or class in which `self` of a method is declared. */
function classOfSelf(scope: Scope, target: SyntaxNode, builder: FactsBuilder): Scope | undefined {
  const object = target.child('object');
  const isSelf =
    object !== undefined && scope.bindings.some(({ name: it, value }) => it === object.text && value.is === 'self');
  return isSelf ? builder.typeAround(scope) : undefined;
}

/** Makes a name, an attribute of `self`, or each name of a pattern stand for a value. */
function assign(target: SyntaxNode | undefined, value: Expr, scope: Scope, walk: Walk): void {
  if (target === undefined) return;
  if (/^(pattern_list|tuple_pattern|list_pattern)$/.test(target.type)) {
    target.children.forEach((it, index) => {
      assign(it, { is: 'item', of: value, index }, scope, walk);
    });
  } else if (target.type === 'identifier') {
    walk.builder.bind(scope, target.text, value);
  } else if (target.type === 'attribute') {
    const owner = classOfSelf(scope, target, walk.builder);
    if (owner !== undefined) walk.builder.bind(owner, target.child('attribute')?.text ?? '', at(scope, value));
  } else if (target.type === 'as_pattern_target') {
    assign(target.children[0], value, scope, walk);
  }
}

const at = (scope: Scope, of: Expr): Expr => ({ is: 'at', scope: scope.id, of });

const assignment: Handler = (node, scope, walk) => {
  const left = node.child('left');
  const right = node.child('right');
  const declared = walk.typed(scope, node.child('type'));
  defineVariable(node, scope, walk, declared);
  assign(left, declared === undefined ? expression(right) : instance(declared), scope, walk);
  if (left?.type !== 'identifier') walk.visit(left, scope);
  walk.visit(right, scope);
};

/** Makes nodes of the fields of a class and of the variables of a module; one per name. */
function defineVariable(node: SyntaxNode, scope: Scope, walk: Walk, declared: Expr | undefined): void {
  const left = node.child('left');
  const isField = scope.kind === 'class';
  if (left?.type !== 'identifier' || !(isField || scope.kind === 'file')) return;
  if (scope.bindings.some(({ name: known }) => known === left.text)) return;
  const defined = walk.builder.define(scope, {
    kind: isField ? 'field' : 'variable',
    name: left.text,
    node,
    nameNode: left,
  });
  if (declared !== undefined) defined.type = declared;
}

const imports: Handler = (node, _scope, { builder }) => {
  for (const item of node.all('name')) {
    const source = item.child('name')?.text ?? item.text;
    const alias = item.child('alias')?.text;
    if (alias !== undefined) builder.import(alias, source);
    else builder.import(source.split('.')[0] ?? source, source.split('.')[0] ?? source);
    // `import a.b` binds `a`, and makes `a.b` reachable through it.
    if (alias === undefined && source.includes('.')) builder.import(source, source);
  }
};

const importsFrom: Handler = (node, _scope, { builder }) => {
  const source = node.child('module_name')?.text ?? '';
  if (node.first('wildcard_import') !== undefined) builder.import('*', source, undefined, true);
  for (const item of node.all('name')) {
    const imported = item.child('name')?.text ?? item.text;
    builder.import(item.child('alias')?.text ?? imported, source, imported, true);
  }
};

const invocation: Handler = (node, scope, walk) => {
  const callee = node.child('function');
  const args = node.child('arguments');
  walk.builder.call(scope, expression(callee), callee ?? node, (args?.children ?? []).map(expression));
  for (const argument of args?.children ?? []) {
    const value = argument.type === 'keyword_argument' ? argument.child('value') : argument;
    if (value?.type === 'identifier' || value?.type === 'attribute')
      walk.builder.reference(scope, expression(value), value);
  }
  walk.children(node, scope);
};

export const python: Reader = {
  expression,
  type,
  typeNames: ['identifier', 'attribute', 'member_type', 'string'],
  handlers: {
    class_definition: classDefinition,
    function_definition: functionDefinition,
    assignment,
    import_statement: imports,
    import_from_statement: importsFrom,
    call: invocation,
    named_expression(node, scope, walk) {
      assign(node.child('name'), expression(node.child('value')), scope, walk);
      walk.children(node, scope);
    },
    for_statement(node, scope, walk) {
      assign(node.child('left'), element(expression(node.child('right'))), scope, walk);
      walk.children(node, scope);
    },
    for_in_clause(node, scope, walk) {
      assign(node.child('left'), element(expression(node.child('right'))), scope, walk);
      walk.children(node, scope);
    },
    as_pattern(node, scope, walk) {
      const [value, target] = node.children;
      const isException = node.parent?.type === 'except_clause';
      assign(target, isException ? instance(expression(value)) : expression(value), scope, walk);
      walk.children(node, scope);
    },
    return_statement(node, scope, walk) {
      const value = node.children[0];
      if (value !== undefined && scope.type === undefined) scope.returns.push(expression(value));
      walk.children(node, scope);
    },
    decorator(node, scope, walk) {
      const value = node.children[0];
      if (value !== undefined && value.type !== 'call') walk.builder.call(scope, expression(value), node);
      walk.children(node, scope);
    },
  },
};
