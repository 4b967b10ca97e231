import type { Expr } from '../facts';
import { anyOf, dotted, element, instance, member, name, type Scope, UNKNOWN } from '../facts-builder';
import type { SyntaxNode } from '../syntax-node';
import type { Handler, Reader, Walk } from '../walker';

function expression(node: SyntaxNode | undefined): Expr {
  switch (node?.type) {
    case 'identifier':
    case 'type_identifier':
      return name(node.text);
    case 'this':
      return { is: 'self' };
    case 'super':
      return { is: 'super' };
    case 'field_access':
      return member(expression(node.child('object')), node.child('field')?.text ?? '');
    case 'scoped_identifier':
      return dotted(node.text);
    case 'method_invocation':
      return { is: 'call', of: callee(node), args: argumentsOf(node).length };
    case 'object_creation_expression':
      return instance(type(node.child('type')) ?? UNKNOWN);
    case 'cast_expression':
      return instance(type(node.child('type')) ?? UNKNOWN);
    case 'parenthesized_expression':
      return expression(node.children[0]);
    case 'ternary_expression':
      return anyOf([expression(node.child('consequence')), expression(node.child('alternative'))]);
    case 'assignment_expression':
      return expression(node.child('right'));
    case 'array_access':
      return element(expression(node.child('array')));
    case 'switch_expression':
    case 'array_initializer':
      return { is: 'tuple', of: node.children.map(expression) };
    default:
      return UNKNOWN;
  }
}

const argumentsOf = (node: SyntaxNode): readonly SyntaxNode[] => node.child('arguments')?.children ?? [];

/** A method of its object, or of the class around and its bases. */
function callee(node: SyntaxNode): Expr {
  const object = node.child('object');
  const method = node.child('name')?.text ?? '';
  return object === undefined ? name(method) : member(expression(object), method);
}

function type(node: SyntaxNode | undefined): Expr | undefined {
  switch (node?.type) {
    case 'type_identifier':
    case 'identifier':
      return name(node.text);
    case 'scoped_type_identifier':
      return dotted(node.children.map((it) => it.text).join('.'));
    case 'generic_type': {
      const [of, args] = node.children;
      return { is: 'generic', of: type(of) ?? UNKNOWN, args: (args?.children ?? []).map((it) => type(it) ?? UNKNOWN) };
    }
    case 'array_type':
      return { is: 'generic', of: name('[]'), args: [type(node.child('element')) ?? UNKNOWN] };
    case 'annotated_type':
    case 'wildcard':
      return type(node.children.at(-1));
    default:
      return undefined;
  }
}

const KINDS = {
  class_declaration: 'class',
  interface_declaration: 'interface',
  enum_declaration: 'enum',
  record_declaration: 'record',
  annotation_type_declaration: 'interface',
} as const;

const typeDeclaration: Handler = (node, scope, walk) => {
  const kind = KINDS[node.type as keyof typeof KINDS];
  const defined = walk.builder.define(scope, { kind, name: node.child('name')?.text ?? '', node });
  typeParameters(node, defined);
  bases(node, defined, walk);
  // The parts of a record are fields, and methods that return them.
  for (const part of node.child('parameters')?.every('formal_parameter') ?? []) {
    const field = walk.builder.define(defined, { kind: 'field', name: part.child('name')?.text ?? '', node: part });
    const declared = walk.typed(defined, part.child('type'));
    if (declared !== undefined) field.type = declared;
  }
  walk.children(node.child('body'), defined);
};

function bases(node: SyntaxNode, defined: Scope, walk: Walk): void {
  const add = (kind: 'inherits' | 'implements', list: SyntaxNode | undefined) => {
    for (const one of list?.first('type_list')?.children ?? list?.children ?? []) {
      const base = walk.reader.type(one);
      if (base !== undefined) defined.bases.push({ kind, type: base });
    }
  };
  add('inherits', node.child('superclass'));
  add('implements', node.child('interfaces'));
  add('inherits', node.first('extends_interfaces'));
}

function typeParameters(node: SyntaxNode, scope: Scope): void {
  const declared = node.child('type_parameters')?.every('type_parameter') ?? [];
  const bindings = declared.map((it) => ({
    name: it.first('type_identifier', 'identifier')?.text ?? '',
    value: type(it.first('type_bound')?.children[0]) ?? UNKNOWN,
  }));
  if (bindings.length > 0) scope.typeParameters = bindings;
}

const isStatic = (node: SyntaxNode): boolean => /\bstatic\b/.test(node.first('modifiers')?.text ?? '');

const method: Handler = (node, scope, walk) => {
  const isConstructor = node.type.endsWith('constructor_declaration');
  const defined = walk.builder.define(scope, {
    kind: isConstructor ? 'constructor' : 'method',
    name: node.child('name')?.text ?? '',
    node,
    isStatic: isStatic(node),
  });
  typeParameters(node, defined);
  const result = walk.typed(defined, node.child('type'), 'returns');
  if (result !== undefined) defined.type = result;
  parameters(node.child('parameters'), defined, walk);
  walk.visit(node.child('body'), defined);
};

function parameters(list: SyntaxNode | undefined, scope: Scope, walk: Walk): void {
  const all = list?.every('formal_parameter', 'spread_parameter') ?? [];
  for (const parameter of all) {
    const declared = walk.typed(
      scope,
      parameter.child('type') ?? parameter.children.find((it) => type(it) !== undefined),
    );
    const isSpread = parameter.type === 'spread_parameter';
    const nameNode = parameter.child('name') ?? parameter.first('variable_declarator')?.child('name');
    scope.parameterNames.push(nameNode?.text ?? '');
    if (declared === undefined) continue;
    const value: Expr = isSpread ? { is: 'generic', of: name('[]'), args: [declared] } : declared;
    walk.builder.bind(scope, nameNode?.text ?? '_', instance(value));
  }
  if (list !== undefined) {
    const isSpread = all.some((it) => it.type === 'spread_parameter');
    scope.parameters = [all.length - (isSpread ? 1 : 0), isSpread ? Number.MAX_SAFE_INTEGER : all.length];
  }
}

const field: Handler = (node, scope, walk) => {
  const declared = walk.typed(scope, node.child('type'));
  for (const declarator of node.all('declarator')) {
    const nameNode = declarator.child('name');
    const defined = walk.builder.define(scope, {
      kind: 'field',
      name: nameNode?.text ?? '',
      node,
      nameNode,
      isStatic: isStatic(node),
    });
    if (declared !== undefined) defined.type = declared;
    walk.visit(declarator.child('value'), scope);
  }
};

const local: Handler = (node, scope, walk) => {
  for (const declarator of node.all('declarator')) {
    bindTyped(node.child('type'), declarator.child('name'), expression(declarator.child('value')), scope, walk);
    walk.visit(declarator.child('value'), scope);
  }
};

/** Binds a name to its declared type, or to its value where the type is `var`. */
function bindTyped(
  of: SyntaxNode | undefined,
  nameNode: SyntaxNode | undefined,
  value: Expr,
  scope: Scope,
  walk: Walk,
): void {
  const isVar = of === undefined || of.text === 'var';
  const declared = isVar ? undefined : walk.typed(scope, of);
  walk.builder.bind(scope, nameNode?.text ?? '_', declared === undefined ? value : instance(declared));
}

export const java: Reader = {
  expression,
  type,
  typeNames: ['type_identifier', 'scoped_type_identifier'],
  handlers: {
    package_declaration(node, _scope, { builder }) {
      builder.module = node.children.at(-1)?.text ?? '';
    },
    import_declaration(node, _scope, { builder }) {
      const path = node.first('scoped_identifier', 'identifier')?.text ?? '';
      if (node.first('asterisk') !== undefined) return builder.import('*', path);
      const cut = path.lastIndexOf('.');
      builder.import(path.slice(cut + 1), path.slice(0, Math.max(0, cut)), path.slice(cut + 1));
    },
    class_declaration: typeDeclaration,
    interface_declaration: typeDeclaration,
    enum_declaration: typeDeclaration,
    record_declaration: typeDeclaration,
    annotation_type_declaration: typeDeclaration,
    method_declaration: method,
    constructor_declaration: method,
    compact_constructor_declaration: method,
    field_declaration: field,
    constant_declaration: field,
    enum_constant(node, scope, walk) {
      const defined = walk.builder.define(scope, {
        kind: 'field',
        name: node.child('name')?.text ?? '',
        node,
        isStatic: true,
      });
      defined.type = { is: 'node', id: scope.id };
      walk.children(node, scope);
    },
    local_variable_declaration: local,
    enhanced_for_statement(node, scope, walk) {
      bindTyped(node.child('type'), node.child('name'), element(expression(node.child('value'))), scope, walk);
      walk.visit(node.child('value'), scope);
      walk.visit(node.child('body'), scope);
    },
    catch_formal_parameter(node, scope, walk) {
      bindTyped(node.first('catch_type')?.children[0], node.child('name'), UNKNOWN, scope, walk);
    },
    resource(node, scope, walk) {
      bindTyped(node.child('type'), node.child('name'), expression(node.child('value')), scope, walk);
      walk.visit(node.child('value'), scope);
    },
    type_pattern(node, scope, walk) {
      bindTyped(node.children[0], node.children[1], UNKNOWN, scope, walk);
    },
    instanceof_expression(node, scope, walk) {
      if (node.child('name') !== undefined) bindTyped(node.child('right'), node.child('name'), UNKNOWN, scope, walk);
      walk.children(node, scope);
    },
    lambda_expression(node, scope, walk) {
      lambdaParameter(node, scope, walk);
      walk.visit(node.child('body'), scope);
    },
    method_invocation(node, scope, walk) {
      walk.builder.call(scope, callee(node), node.child('name') ?? node, argumentsOf(node).map(expression));
      for (const one of argumentsOf(node)) {
        if (one.type === 'identifier') walk.builder.reference(scope, expression(one), one);
      }
      walk.visit(node.child('object'), scope);
      walk.visit(node.child('arguments'), scope);
    },
    method_reference(node, scope, walk) {
      const [object, last] = node.children;
      const target = last === undefined ? expression(object) : member(expression(object), last.text);
      walk.builder.reference(scope, target, node);
      walk.visit(object, scope);
    },
    object_creation_expression(node, scope, walk) {
      const created = walk.reader.type(node.child('type'));
      if (created !== undefined) walk.builder.call(scope, created, node, argumentsOf(node).map(expression));
      walk.children(node.child('arguments'), scope);
      walk.children(node.first('class_body'), scope);
    },
    explicit_constructor_invocation(node, scope, walk) {
      if (node.child('constructor')?.type === 'super')
        walk.builder.call(scope, { is: 'super' }, node, argumentsOf(node).map(expression));
      walk.visit(node.child('arguments'), scope);
    },
  },
};

/** The parameter of a lambda in a call such as `users.forEach(user -> …)` is an element of the object of the call. */
function lambdaParameter(node: SyntaxNode, scope: Scope, walk: Walk): void {
  const declared = node.child('parameters');
  if (declared?.type === 'formal_parameters') {
    parameters(declared, { ...scope, parameterNames: [] }, walk);
    return;
  }
  const only = declared?.type === 'identifier' ? declared : declared?.children[0];
  const invocation = node.parent?.type === 'argument_list' ? node.parent.parent : undefined;
  const object = invocation?.child('object');
  if (only !== undefined && object !== undefined) walk.builder.bind(scope, only.text, element(expression(object)));
}
