import type { Expr } from '../facts';
import { anyOf, dotted, element, instance, member, name, type Scope, UNKNOWN } from '../facts-builder';
import type { SyntaxNode } from '../syntax-node';
import type { Handler, Reader, Walk } from '../walker';

function expression(node: SyntaxNode | undefined): Expr {
  switch (node?.type) {
    case 'identifier':
      return name(node.text);
    case 'selector_expression':
      return member(expression(node.child('operand')), node.child('field')?.text ?? '');
    case 'call_expression':
      return call(node);
    case 'composite_literal':
      return instance(type(node.child('type')) ?? UNKNOWN);
    case 'unary_expression':
      return expression(node.child('operand'));
    case 'parenthesized_expression':
      return expression(node.children[0]);
    case 'type_assertion_expression':
    case 'type_conversion_expression':
      return instance(type(node.child('type')) ?? UNKNOWN);
    case 'index_expression':
      return element(expression(node.child('operand')));
    case 'slice_expression':
      return expression(node.child('operand'));
    case 'expression_list':
      return node.children.length === 1
        ? expression(node.children[0])
        : { is: 'tuple', of: node.children.map(expression) };
    default:
      return UNKNOWN;
  }
}

function call(node: SyntaxNode): Expr {
  const callee = node.child('function');
  const args = node.child('arguments')?.children ?? [];
  if (callee?.text === 'new' || callee?.text === 'make') return instance(type(args[0]) ?? name(args[0]?.text ?? ''));
  if (callee?.text === 'append') return expression(args[0]);
  return { is: 'call', of: expression(callee), args: args.length };
}

function type(node: SyntaxNode | undefined): Expr | undefined {
  switch (node?.type) {
    case 'type_identifier':
    case 'identifier':
      return name(node.text);
    case 'qualified_type':
      return dotted(node.text);
    case 'pointer_type':
    case 'parenthesized_type':
    case 'negated_type':
      return type(node.children[0]);
    case 'generic_type':
      return {
        is: 'generic',
        of: type(node.child('type')) ?? UNKNOWN,
        args: (node.child('type_arguments')?.children ?? []).map(argument),
      };
    case 'slice_type':
    case 'array_type':
      return collection(node.child('element'));
    case 'map_type':
    case 'channel_type':
      return collection(node.child('value'));
    case 'function_type':
      return undefined;
    case 'parameter_list': {
      const results = node.every('parameter_declaration').flatMap((it) => {
        const one = type(it.child('type')) ?? UNKNOWN;
        return Array<Expr>(Math.max(1, it.all('name').length)).fill(one);
      });
      return results.length === 1 ? results[0] : { is: 'tuple', of: results };
    }
    default:
      return undefined;
  }
}

const argument = (node: SyntaxNode): Expr => type(node.type === 'type_elem' ? node.children[0] : node) ?? UNKNOWN;
const collection = (of: SyntaxNode | undefined): Expr => ({
  is: 'generic',
  of: name('[]'),
  args: [type(of) ?? UNKNOWN],
});

const functionDeclaration: Handler = (node, scope, walk) => {
  const receiver = node.child('receiver')?.first('parameter_declaration');
  const owner = receiver === undefined ? undefined : nameOfReceiver(receiver.child('type'));
  const defined = walk.builder.define(scope, {
    kind: owner === undefined ? 'function' : 'method',
    name: node.child('name')?.text ?? '',
    node,
    owner,
  });
  if (receiver !== undefined && owner !== undefined) {
    walk.builder.bind(defined, receiver.child('name')?.text ?? '_', instance(name(owner)));
  }
  signature(node, defined, walk);
  walk.visit(node.child('body'), defined);
};

function nameOfReceiver(node: SyntaxNode | undefined): string | undefined {
  if (node?.type === 'pointer_type' || node?.type === 'parenthesized_type') return nameOfReceiver(node.children[0]);
  return node?.type === 'generic_type' ? node.child('type')?.text : node?.text;
}

/** Binds type parameters and parameters, and reads the result. */
function signature(node: SyntaxNode, scope: Scope, walk: Walk): void {
  typeParameters(node, scope);
  const result = walk.typed(scope, node.child('result'), 'returns');
  if (result !== undefined) scope.type = result;
  bindParameters(node.child('parameters'), scope, walk);
  if (node.child('result')?.type === 'parameter_list') bindParameters(node.child('result'), scope, walk, false);
}

function typeParameters(node: SyntaxNode, scope: Scope): void {
  const declared = node.child('type_parameters')?.every('type_parameter_declaration') ?? [];
  const bindings = declared.flatMap((it) => {
    const constraint = it.child('type')?.children[0];
    return it.all('name').map((one) => ({ name: one.text, value: type(constraint) ?? UNKNOWN }));
  });
  if (bindings.length > 0) scope.typeParameters = bindings;
}

function bindParameters(list: SyntaxNode | undefined, scope: Scope, walk: Walk, areParameters = true): void {
  for (const parameter of list?.every('parameter_declaration', 'variadic_parameter_declaration') ?? []) {
    const declared = walk.typed(scope, parameter.child('type'));
    for (const one of parameter.all('name')) {
      if (areParameters) scope.parameterNames.push(one.text);
      const isVariadic = parameter.type === 'variadic_parameter_declaration';
      const value = isVariadic ? collection(parameter.child('type')) : declared;
      if (value !== undefined) walk.builder.bind(scope, one.text, instance(value));
    }
  }
}

const typeSpec: Handler = (node, scope, walk) => {
  const body = node.child('type');
  const kind = body?.type === 'struct_type' ? 'struct' : body?.type === 'interface_type' ? 'interface' : 'type';
  const defined = walk.builder.define(scope, { kind, name: node.child('name')?.text ?? '', node });
  typeParameters(node, defined);
  if (body?.type === 'struct_type') return fields(body, defined, walk);
  if (body?.type === 'interface_type') return interfaceBody(body, defined, walk);
  const behind = walk.typed(defined, body);
  if (behind !== undefined) defined.type = behind;
};

function fields(body: SyntaxNode, struct: Scope, walk: Walk): void {
  for (const field of body.first('field_declaration_list')?.every('field_declaration') ?? []) {
    const declared = walk.typed(struct, field.child('type'));
    const names = field.all('name');
    for (const nameNode of names) {
      const defined = walk.builder.define(struct, { kind: 'field', name: nameNode.text, node: field, nameNode });
      if (declared !== undefined) defined.type = declared;
    }
    if (names.length > 0 || declared === undefined) continue;
    // An embedded type gives its members to the struct, and is a field by its own name.
    struct.bases.push({ kind: 'inherits', type: declared });
    const own = nameOfReceiver(field.child('type'))?.split('.').at(-1);
    if (own !== undefined) walk.builder.bind(struct, own, instance(declared));
  }
}

function interfaceBody(body: SyntaxNode, defined: Scope, walk: Walk): void {
  for (const item of body.children) {
    if (item.type === 'method_elem' || item.type === 'method_spec') {
      const method = walk.builder.define(defined, { kind: 'method', name: item.child('name')?.text ?? '', node: item });
      signature(item, method, walk);
    } else if (item.type === 'type_elem' && item.children.length === 1) {
      const base = walk.reader.type(item.children[0]);
      if (base !== undefined) defined.bases.push({ kind: 'inherits', type: base });
    }
  }
}

/** Makes the names on the left stand for the values on the right. */
function assign(left: SyntaxNode | undefined, value: Expr, scope: Scope, walk: Walk): void {
  const names = left?.type === 'expression_list' ? left.children : left === undefined ? [] : [left];
  names.forEach((one, index) => {
    const own: Expr = names.length === 1 ? value : { is: 'item', of: value, index };
    if (one.type === 'identifier') walk.builder.bind(scope, one.text, own);
  });
}

const variables: Handler = (node, scope, walk) => {
  const names = node.all('name');
  const declared = walk.typed(scope, node.child('type'));
  const value = node.child('value');
  names.forEach((nameNode, index) => {
    if (scope.kind === 'file') walk.builder.define(scope, { kind: 'variable', name: nameNode.text, node, nameNode });
    const own: Expr = names.length === 1 ? expression(value) : { is: 'item', of: expression(value), index };
    walk.builder.bind(scope, nameNode.text, declared === undefined ? own : instance(declared));
  });
  walk.visit(value, scope);
};

const assignment: Handler = (node, scope, walk) => {
  assign(node.child('left'), expression(node.child('right')), scope, walk);
  walk.children(node, scope);
};

export const go: Reader = {
  expression,
  type,
  typeNames: ['type_identifier', 'qualified_type'],
  handlers: {
    package_clause(node, _scope, { builder }) {
      const folder = builder.path.includes('/') ? builder.path.slice(0, builder.path.lastIndexOf('/')) : '';
      builder.module = node.children[0]?.text ?? '';
      builder.key(`go:${folder}`);
    },
    import_spec(node, _scope, { builder }) {
      const source = node.child('path')?.text.slice(1, -1) ?? '';
      const alias = node.child('name')?.text;
      const last = source.split('/').findLast((part) => !/^v\d+$/.test(part)) ?? source;
      builder.import(alias === '.' ? '*' : (alias ?? last), source);
    },
    function_declaration: functionDeclaration,
    method_declaration: functionDeclaration,
    type_spec: typeSpec,
    type_alias: typeSpec,
    var_spec: variables,
    const_spec: variables,
    short_var_declaration: assignment,
    range_clause(node, scope, walk) {
      const left = node.child('left');
      const value = element(expression(node.child('right')));
      // The first name of a pair is the index or the key.
      const [first, second] = left?.children ?? [];
      if (second?.type === 'identifier') walk.builder.bind(scope, second.text, value);
      else if (first !== undefined && node.child('right')?.type === 'call_expression') assign(left, value, scope, walk);
      walk.children(node, scope);
    },
    type_switch_statement(node, scope, walk) {
      const alias = node.child('alias')?.children[0]?.text;
      for (const one of node.every('type_case')) {
        const types = one
          .all('type')
          .map(type)
          .filter((it) => it !== undefined);
        if (alias !== undefined && types.length > 0) walk.builder.bind(scope, alias, instance(anyOf(types)));
      }
      walk.children(node, scope);
    },
    func_literal(node, scope, walk) {
      bindParameters(node.child('parameters'), scope, walk, false);
      walk.visit(node.child('body'), scope);
    },
    call_expression(node, scope, walk) {
      const callee = node.child('function');
      const args = node.child('arguments')?.children ?? [];
      walk.builder.call(scope, expression(callee), callee ?? node, args.map(expression));
      for (const one of args) {
        if (/^(identifier|selector_expression)$/.test(one.type)) walk.builder.reference(scope, expression(one), one);
      }
      walk.children(node, scope);
    },
    composite_literal(node, scope, walk) {
      walk.typed(scope, node.child('type'));
      walk.visit(node.child('body'), scope);
    },
    return_statement(node, scope, walk) {
      walk.children(node, scope);
    },
  },
};
