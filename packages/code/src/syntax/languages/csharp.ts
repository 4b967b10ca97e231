import type { Expr } from '../facts';
import { anyOf, dotted, element, instance, member, name, type Scope, UNKNOWN } from '../facts-builder';
import type { SyntaxNode } from '../syntax-node';
import type { Handler, Reader, Walk } from '../walker';

function expression(node: SyntaxNode | undefined): Expr {
  switch (node?.type) {
    case 'identifier':
      return name(node.text);
    case 'generic_name':
      return expression(node.children[0]);
    case 'this':
    case 'this_expression':
      return { is: 'self' };
    case 'base':
    case 'base_expression':
      return { is: 'super' };
    case 'member_access_expression':
    case 'qualified_name':
      return member(receiver(node), nameOf(node.child('name')));
    case 'conditional_access_expression':
      return conditional(expression(node.child('condition')), node.children[1]);
    case 'invocation_expression':
      return { is: 'call', of: expression(node.child('function')), args: argumentsOf(node).length };
    case 'object_creation_expression':
    case 'cast_expression':
    case 'as_expression':
      return instance(type(node.child('type') ?? node.child('right')) ?? UNKNOWN);
    case 'await_expression':
      return element(expression(node.children[0]));
    case 'parenthesized_expression':
    case 'checked_expression':
    case 'postfix_unary_expression':
      return expression(node.children[0]);
    case 'element_access_expression':
      return element(expression(node.child('expression')));
    case 'binary_expression':
      return anyOf([expression(node.child('left')), expression(node.child('right'))]);
    case 'conditional_expression':
      return anyOf([expression(node.child('consequence')), expression(node.child('alternative'))]);
    case 'assignment_expression':
      return expression(node.child('right'));
    case 'tuple_expression':
      return { is: 'tuple', of: node.children.map((it) => expression(it.children.at(-1))) };
    case 'switch_expression':
      return { is: 'any', of: node.every('switch_expression_arm').map((it) => expression(it.children.at(-1))) };
    default:
      return UNKNOWN;
  }
}

/** `this` and `base` are tokens without a node of their own. */
function receiver(node: SyntaxNode): Expr {
  const object = node.child('expression') ?? node.child('qualifier');
  if (object !== undefined) return expression(object);
  return /^base\b/.test(node.text) ? { is: 'super' } : { is: 'self' };
}

function conditional(of: Expr, node: SyntaxNode | undefined): Expr {
  if (node?.type === 'member_binding_expression') return member(of, nameOf(node.child('name')));
  if (node?.type === 'member_access_expression')
    return member(conditional(of, node.child('expression')), nameOf(node.child('name')));
  if (node?.type === 'invocation_expression') {
    return { is: 'call', of: conditional(of, node.child('function')), args: argumentsOf(node).length };
  }
  return UNKNOWN;
}

const nameOf = (node: SyntaxNode | undefined): string =>
  (node?.type === 'generic_name' ? node.children[0]?.text : node?.text) ?? '';
const argumentsOf = (node: SyntaxNode): readonly SyntaxNode[] =>
  (node.child('arguments') ?? node.first('argument_list'))?.every('argument') ?? [];

function type(node: SyntaxNode | undefined): Expr | undefined {
  switch (node?.type) {
    case 'identifier':
      return name(node.text);
    case 'qualified_name':
    case 'alias_qualified_name':
      return dotted(node.text.replaceAll(/<[^>]*>/g, '').replace('global::', ''));
    case 'generic_name':
      return {
        is: 'generic',
        of: name(nameOf(node)),
        args: (node.first('type_argument_list')?.children ?? []).map((it) => type(it) ?? UNKNOWN),
      };
    case 'nullable_type':
    case 'ref_type':
    case 'scoped_type':
      return type(node.child('type') ?? node.children[0]);
    case 'array_type':
      return { is: 'generic', of: name('[]'), args: [type(node.child('type')) ?? UNKNOWN] };
    case 'tuple_type':
      return { is: 'tuple', of: node.children.map((it) => type(it.child('type') ?? it.children[0]) ?? UNKNOWN) };
    case 'primary_constructor_base_type':
      return type(node.child('type') ?? node.children[0]);
    default:
      return undefined;
  }
}

const modifiers = (node: SyntaxNode): readonly string[] => node.every('modifier').map((it) => it.text);

const KINDS = {
  class_declaration: 'class',
  interface_declaration: 'interface',
  struct_declaration: 'struct',
  record_declaration: 'record',
  record_struct_declaration: 'record',
  enum_declaration: 'enum',
} as const;

const typeDeclaration: Handler = (node, scope, walk) => {
  const kind = KINDS[node.type as keyof typeof KINDS];
  const defined = walk.builder.define(scope, { kind, name: node.child('name')?.text ?? '', node });
  typeParameters(node, defined);
  for (const base of node.first('base_list')?.children ?? []) {
    const value = base.type === 'argument_list' ? undefined : walk.reader.type(base);
    if (value !== undefined) defined.bases.push({ kind: 'inherits', type: value });
    if (base.type === 'primary_constructor_base_type' && value !== undefined) walk.builder.call(defined, value, base);
  }
  primaryConstructor(node, defined, walk);
  walk.children(node.child('body'), defined);
};

/** The parameters of a primary constructor are visible in the whole type, and are properties of a record. */
function primaryConstructor(node: SyntaxNode, defined: Scope, walk: Walk): void {
  for (const parameter of node.first('parameter_list')?.every('parameter') ?? []) {
    const declared = walk.typed(defined, parameter.child('type'));
    const field = walk.builder.define(defined, {
      kind: defined.kind === 'record' ? 'property' : 'field',
      name: parameter.child('name')?.text ?? '',
      node: parameter,
    });
    if (declared !== undefined) field.type = declared;
  }
}

function typeParameters(node: SyntaxNode, scope: Scope): void {
  const bounds = node.every('type_parameter_constraints_clause');
  const bindings = (node.child('type_parameters') ?? node.first('type_parameter_list'))
    ?.every('type_parameter')
    .map((it) => {
      const text = it.child('name')?.text ?? it.text;
      const bound = bounds.find((one) => one.children[0]?.text === text)?.first('type_parameter_constraint');
      return { name: text, value: type(bound?.child('type')) ?? UNKNOWN };
    });
  if (bindings !== undefined && bindings.length > 0) scope.typeParameters = bindings;
}

const method: Handler = (node, scope, walk) => {
  const kind =
    node.type === 'constructor_declaration'
      ? 'constructor'
      : node.type === 'local_function_statement'
        ? 'function'
        : 'method';
  const defined = walk.builder.define(scope, {
    kind,
    name: node.child('name')?.text ?? '',
    node,
    isStatic: modifiers(node).includes('static'),
  });
  typeParameters(node, defined);
  const result = walk.typed(defined, node.child('returns') ?? node.child('type'), 'returns');
  if (result !== undefined) defined.type = result;
  parameters(node.child('parameters'), defined, walk);
  const initializer = node.first('constructor_initializer');
  if (initializer !== undefined) {
    const isBase = /^:\s*base\b/.test(initializer.text);
    if (isBase) walk.builder.call(defined, { is: 'super' }, initializer);
    walk.children(initializer, defined);
  }
  walk.visit(node.child('body'), defined);
};

function parameters(list: SyntaxNode | undefined, scope: Scope, walk: Walk): void {
  const all = list?.every('parameter') ?? [];
  if (all[0] !== undefined && modifiers(all[0]).includes('this')) scope.isExtension = true;
  for (const parameter of all) {
    const declared = walk.typed(scope, parameter.child('type'));
    const local = parameter.child('name')?.text ?? '';
    scope.parameterNames.push(local);
    if (declared !== undefined) walk.builder.bind(scope, local, instance(declared));
  }
  // `params` is not a parameter node: its type and its name stand in the list.
  const rest = list?.child('name');
  const restType = walk.typed(scope, list?.child('type'));
  if (rest !== undefined && restType !== undefined) walk.builder.bind(scope, rest.text, instance(restType));
  const optional = all.filter((it) => it.children.at(-1) !== it.child('name')).length;
  scope.parameters = [all.length - optional, rest === undefined ? all.length : Number.MAX_SAFE_INTEGER];
}

const property: Handler = (node, scope, walk) => {
  const defined = walk.builder.define(scope, {
    kind: 'property',
    name: node.child('name')?.text ?? 'this[]',
    node,
    isStatic: modifiers(node).includes('static'),
  });
  const declared = walk.typed(defined, node.child('type'));
  if (declared !== undefined) defined.type = declared;
  walk.visit(node.child('accessors'), defined);
  walk.visit(node.child('value'), defined);
};

const fields: Handler = (node, scope, walk) => {
  const declaration = node.first('variable_declaration');
  const declared = walk.typed(scope, declaration?.child('type'));
  for (const declarator of declaration?.every('variable_declarator') ?? []) {
    const defined = walk.builder.define(scope, {
      kind: 'field',
      name: declarator.child('name')?.text ?? '',
      node,
      nameNode: declarator.child('name'),
      isStatic: modifiers(node).includes('static'),
    });
    if (declared !== undefined) defined.type = declared;
    walk.children(declarator, scope);
  }
};

const locals: Handler = (node, scope, walk) => {
  const declared = node.child('type')?.type === 'implicit_type' ? undefined : walk.typed(scope, node.child('type'));
  for (const declarator of node.every('variable_declarator')) {
    const value = declarator.children.at(-1);
    const local = declarator.child('name')?.text ?? '_';
    walk.builder.bind(scope, local, declared === undefined ? expression(value) : instance(declared));
    walk.children(declarator, scope);
  }
};

const pattern: Handler = (node, scope, walk) => {
  const declared = walk.typed(scope, node.child('type'));
  if (declared !== undefined) walk.builder.bind(scope, node.child('name')?.text ?? '_', instance(declared));
};

const creation: Handler = (node, scope, walk) => {
  const created = walk.reader.type(node.child('type'));
  if (created !== undefined) walk.builder.call(scope, created, node, argumentsOf(node).map(expression));
  walk.children(node.child('arguments'), scope);
  walk.children(node.child('initializer'), scope);
};

/** A `new()` without a name creates the declared type of its variable or property, or the result of its function. */
const implicitCreation: Handler = (node, scope, walk) => {
  const { parent } = node;
  const isDeclared = parent?.type === 'variable_declarator' || parent?.type === 'property_declaration';
  const declared = parent?.type === 'variable_declarator' ? parent.parent?.child('type') : parent?.child('type');
  const isResult = parent?.type === 'arrow_expression_clause' || parent?.type === 'return_statement';
  const created = isDeclared ? walk.reader.type(declared) : isResult ? scope.type : undefined;
  if (created !== undefined) walk.builder.call(scope, created, node, argumentsOf(node).map(expression));
  walk.children(node, scope);
};

/** Reads what stands in a namespace as its members. */
function inNamespace(node: SyntaxNode, { builder }: Walk, read: () => void): void {
  const outer = builder.module;
  const own = (node.child('name')?.text ?? '').replaceAll(/\s/g, '');
  builder.module = outer === '' ? own : `${outer}.${own}`;
  builder.key(`csharp:${builder.module}`);
  read();
  // A namespace without braces reaches to the end of the file.
  if (node.type === 'namespace_declaration') builder.module = outer;
}

export const csharp: Reader = {
  expression,
  type,
  typeNames: ['identifier', 'qualified_name', 'generic_name'],
  handlers: {
    using_directive(node, _scope, { builder }) {
      const alias = node.child('name')?.text;
      const target = node.children.at(-1);
      const source = target?.text.replaceAll(/\s/g, '') ?? '';
      if (alias === undefined) return builder.import('*', source);
      const cut = source.lastIndexOf('.');
      if (cut === -1) builder.import(alias, source);
      else builder.import(alias, source.slice(0, cut), source.slice(cut + 1));
    },
    file_scoped_namespace_declaration(node, scope, walk) {
      inNamespace(node, walk, () => walk.children(node, scope));
    },
    namespace_declaration(node, scope, walk) {
      inNamespace(node, walk, () => walk.children(node.child('body'), scope));
    },
    class_declaration: typeDeclaration,
    interface_declaration: typeDeclaration,
    struct_declaration: typeDeclaration,
    record_declaration: typeDeclaration,
    record_struct_declaration: typeDeclaration,
    enum_declaration: typeDeclaration,
    delegate_declaration(node, scope, walk) {
      walk.builder.define(scope, { kind: 'type', name: node.child('name')?.text ?? '', node });
    },
    enum_member_declaration(node, scope, walk) {
      const defined = walk.builder.define(scope, {
        kind: 'field',
        name: node.child('name')?.text ?? '',
        node,
        isStatic: true,
      });
      defined.type = { is: 'node', id: scope.id };
    },
    method_declaration: method,
    constructor_declaration: method,
    local_function_statement: method,
    operator_declaration(node, scope, walk) {
      walk.children(node.child('body'), scope);
    },
    property_declaration: property,
    indexer_declaration: property,
    field_declaration: fields,
    event_field_declaration: fields,
    variable_declaration: locals,
    declaration_pattern: pattern,
    declaration_expression: pattern,
    catch_declaration: pattern,
    foreach_statement(node, scope, walk) {
      const of = node.child('type');
      const declared = of === undefined || of.type === 'implicit_type' ? undefined : walk.typed(scope, of);
      const value = element(expression(node.child('right')));
      walk.builder.bind(scope, node.child('left')?.text ?? '_', declared === undefined ? value : instance(declared));
      walk.visit(node.child('right'), scope);
      walk.visit(node.child('body'), scope);
    },
    lambda_expression(node, scope, walk) {
      lambdaParameters(node, scope, walk);
      walk.visit(node.child('body'), scope);
    },
    invocation_expression(node, scope, walk) {
      const callee = node.child('function');
      const args = argumentsOf(node);
      const isNameof = callee?.text === 'nameof';
      if (callee !== undefined && !isNameof)
        walk.builder.call(
          scope,
          expression(callee),
          callee.child('name') ?? callee,
          args.map((it) => expression(it.children.at(-1))),
        );
      for (const one of args) {
        const value = one.children.at(-1);
        if (value?.type === 'identifier' || value?.type === 'member_access_expression')
          walk.builder.reference(scope, expression(value), value);
      }
      walk.children(node, scope);
    },
    object_creation_expression: creation,
    implicit_object_creation_expression: implicitCreation,
    attribute(node, scope, walk) {
      const own = node.child('name')?.text;
      if (own !== undefined) walk.builder.reference(scope, dotted(own), node);
    },
  },
};

/** The parameter of a lambda in a call such as `users.Select(user => …)` is an element of the object of the call. */
function lambdaParameters(node: SyntaxNode, scope: Scope, walk: Walk): void {
  const declared = node.child('parameters');
  const typed = declared?.every('parameter').filter((it) => it.child('type') !== undefined) ?? [];
  for (const parameter of typed) {
    const own = walk.typed(scope, parameter.child('type'));
    if (own !== undefined) walk.builder.bind(scope, parameter.child('name')?.text ?? '_', instance(own));
  }
  const call = node.parent?.type === 'argument' ? node.parent.parent?.parent : undefined;
  const object = call?.child('function')?.child('expression');
  const only = declared?.type === 'implicit_parameter' ? declared : declared?.first('parameter', 'implicit_parameter');
  if (typed.length === 0 && only !== undefined && object !== undefined) {
    walk.builder.bind(scope, only.child('name')?.text ?? only.text, element(expression(object)));
  }
}
