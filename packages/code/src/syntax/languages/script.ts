import type { Expr } from '../facts';
import { anyOf, dotted, element, instance, member, name, type Scope, UNKNOWN } from '../facts-builder';
import type { SyntaxNode } from '../syntax-node';
import type { Handler, Reader, Walk } from '../walker';

const FUNCTIONS = /^(arrow_function|function_expression|generator_function)$/;

function expression(node: SyntaxNode | undefined): Expr {
  switch (node?.type) {
    case 'identifier':
    case 'property_identifier':
    case 'shorthand_property_identifier':
      return name(node.text);
    case 'this':
      return { is: 'self' };
    case 'super':
      return { is: 'super' };
    case 'member_expression':
      return member(expression(node.child('object')), node.child('property')?.text ?? '');
    case 'subscript_expression':
      return subscript(node);
    case 'call_expression':
      return call(node);
    case 'new_expression':
      return { is: 'call', of: expression(node.child('constructor')), args: argumentsOf(node).length };
    case 'await_expression':
      return element(expression(node.children[0]));
    case 'parenthesized_expression':
    case 'non_null_expression':
    case 'satisfies_expression':
      return expression(node.children[0]);
    case 'as_expression':
      return node.children[1] === undefined
        ? expression(node.children[0])
        : instance(type(node.children[1]) ?? UNKNOWN);
    case 'binary_expression':
      return anyOf([expression(node.child('left')), expression(node.child('right'))]);
    case 'ternary_expression':
      return anyOf([expression(node.child('consequence')), expression(node.child('alternative'))]);
    case 'assignment_expression':
      return expression(node.child('right'));
    case 'array':
      return { is: 'tuple', of: node.children.map(expression) };
    case 'object':
      return { is: 'tuple', of: node.children.map((it) => expression(it.child('value') ?? it)) };
    default:
      return UNKNOWN;
  }
}

const argumentsOf = (node: SyntaxNode): readonly SyntaxNode[] => {
  const list = node.child('arguments');
  return list?.type === 'arguments' ? list.children : [];
};

function subscript(node: SyntaxNode): Expr {
  const of = expression(node.child('object'));
  const index = node.child('index');
  return index?.type === 'string' ? member(of, index.text.slice(1, -1)) : element(of);
}

function call(node: SyntaxNode): Expr {
  const callee = node.child('function');
  const args = argumentsOf(node);
  const [first] = args;
  const isModule = callee?.text === 'require' || callee?.type === 'import';
  if (isModule && first?.type === 'string') return { is: 'module', source: first.text.slice(1, -1) };
  return { is: 'call', of: expression(callee), args: args.length };
}

function type(node: SyntaxNode | undefined): Expr | undefined {
  switch (node?.type) {
    case 'type_annotation':
    case 'parenthesized_type':
    case 'readonly_type':
    case 'constraint':
      return type(node.children[0]);
    case 'type_identifier':
    case 'identifier':
      return name(node.text);
    case 'nested_type_identifier':
    case 'member_expression':
      return dotted(node.text);
    case 'this_type':
      return { is: 'class' };
    case 'generic_type':
      return {
        is: 'generic',
        of: type(node.child('name')) ?? UNKNOWN,
        args: (node.child('type_arguments')?.children ?? []).map((it) => type(it) ?? UNKNOWN),
      };
    case 'array_type':
      return { is: 'generic', of: name('[]'), args: [type(node.children[0]) ?? UNKNOWN] };
    case 'tuple_type':
      return { is: 'tuple', of: node.children.map((it) => type(it) ?? UNKNOWN) };
    case 'union_type':
    case 'intersection_type': {
      const types = node.children.flatMap((it) => type(it) ?? []);
      return types.length === 0 ? undefined : anyOf(types);
    }
    case 'type_query':
      return { is: 'at', scope: '', of: expression(node.children[0]) };
    default:
      return undefined;
  }
}

const classDeclaration: Handler = (node, scope, walk) => {
  const own = node.child('name')?.text ?? assignedName(node);
  if (own === undefined) return walk.children(node, scope);
  const isInterface = node.type === 'interface_declaration';
  const defined = walk.builder.define(scope, {
    kind: isInterface ? 'interface' : 'class',
    name: own,
    node,
    nameNode: node.child('name') ?? nameNodeOf(node),
  });
  exportDefault(node, own, walk);
  typeParameters(node, defined);
  heritageOf(node, defined, scope, walk);
  for (const decorator of node.every('decorator')) walk.visit(decorator, defined);
  walk.children(node.child('body'), defined);
};

function heritageOf(node: SyntaxNode, defined: Scope, scope: Scope, walk: Walk): void {
  const heritage = node.first('class_heritage');
  const extended = heritage?.first('extends_clause');
  const base = extended?.child('value') ?? heritage?.children.find((it) => !it.type.endsWith('_clause'));
  if (base !== undefined) {
    const value = expression(base);
    const args = (extended?.child('type_arguments')?.children ?? []).map((it) => type(it) ?? UNKNOWN);
    defined.bases.push({ kind: 'inherits', type: args.length === 0 ? value : { is: 'generic', of: value, args } });
    walk.visit(base, scope);
  }
  for (const one of heritage?.first('implements_clause')?.children ?? [])
    defined.bases.push({ kind: 'implements', type: type(one) ?? UNKNOWN });
  for (const one of node.first('extends_type_clause')?.all('type') ?? [])
    defined.bases.push({ kind: 'inherits', type: type(one) ?? UNKNOWN });
}

function typeParameters(node: SyntaxNode, scope: Scope): void {
  const bindings = (node.child('type_parameters')?.every('type_parameter') ?? []).map((it) => ({
    name: it.child('name')?.text ?? '',
    value: type(it.child('constraint')) ?? UNKNOWN,
  }));
  if (bindings.length > 0) scope.typeParameters = bindings;
}

/** The node of the name of the variable or the property to which a function or class without a name is assigned. */
function nameNodeOf(node: SyntaxNode): SyntaxNode | undefined {
  const { parent } = node;
  if (parent === undefined || node.field !== 'value') {
    const left = parent?.type === 'assignment_expression' && node.field === 'right' ? parent.child('left') : undefined;
    return left?.type === 'identifier' ? left : left?.child('property');
  }
  return parent.child('name') ?? parent.child('key') ?? parent.child('property');
}

function assignedName(node: SyntaxNode): string | undefined {
  const own = nameNodeOf(node);
  if (own !== undefined && /identifier|string/.test(own.type)) return own.text.replaceAll(/^['"]|['"]$/g, '');
  return node.parent?.type === 'export_statement' ? 'default' : undefined;
}

const functionDeclaration: Handler = (node, scope, walk) => {
  const own = node.child('name')?.text ?? assignedName(node);
  if (own === undefined || own === 'exports') return anonymous(node, scope, walk);
  const nameNode = node.child('name') ?? nameNodeOf(node);
  const owner = prototypeOwner(node);
  const isMember = owner !== undefined || /^(class|interface)$/.test(scope.kind) || node.type.startsWith('method_');
  defineFunction(node, own, nameNode, isMember, scope, walk, owner);
};

/** The class `A` in `A.prototype.method = function () {}` and in `A.method = function () {}`. */
function prototypeOwner(node: SyntaxNode): string | undefined {
  const left = node.parent?.type === 'assignment_expression' ? node.parent.child('left') : undefined;
  const object = left?.type === 'member_expression' ? left.child('object') : undefined;
  const target = object?.child('property')?.text === 'prototype' ? object.child('object') : object;
  return target?.type === 'identifier' && !/^(module|exports)$/.test(target.text) ? target.text : undefined;
}

function defineFunction(
  node: SyntaxNode,
  own: string,
  nameNode: SyntaxNode | undefined,
  isMember: boolean,
  scope: Scope,
  walk: Walk,
  owner?: string,
): void {
  const isAccessor = /^(static\s+)?(get|set)\s/.test(node.text.slice(0, 20)) && node.type === 'method_definition';
  const kind = own === 'constructor' ? 'constructor' : isAccessor ? 'property' : isMember ? 'method' : 'function';
  const defined = walk.builder.define(scope, {
    kind,
    name: own,
    node,
    nameNode,
    owner,
    isStatic: /^static\b/.test(node.text.slice(0, 7)),
  });
  exportDefault(node, own, walk);
  typeParameters(node, defined);
  const result = walk.typed(defined, node.child('return_type'), 'returns');
  if (result !== undefined) defined.type = result;
  parameters(node, defined, scope, walk);
  for (const decorator of node.every('decorator')) walk.visit(decorator, defined);
  const body = node.child('body');
  if (body !== undefined && body.type !== 'statement_block' && result === undefined)
    defined.returns.push(expression(body));
  walk.visit(body, defined);
}

function exportDefault(node: SyntaxNode, own: string, walk: Walk): void {
  const statement = node.parent;
  if (statement?.type === 'export_statement' && /^export\s+default\b/.test(statement.text.slice(0, 30))) {
    walk.builder.export('default', name(own));
  }
}

/** A function without a name belongs to the definition around it. */
function anonymous(node: SyntaxNode, scope: Scope, walk: Walk): void {
  callbackParameter(node, scope, walk);
  parameters(node, { ...scope, parameterNames: [] }, scope, walk);
  walk.visit(node.child('body'), scope);
}

/** The parameter of a callback in a call such as `users.map((user) => …)` is an element of the object of the call. */
function callbackParameter(node: SyntaxNode, scope: Scope, walk: Walk): void {
  const invocation = node.parent?.type === 'arguments' ? node.parent.parent : undefined;
  const object = invocation?.child('function')?.child('object');
  const [first] = node.child('parameters')?.children ?? [];
  const only = node.child('parameter') ?? first?.child('pattern') ?? first;
  const isTyped = first?.child('type') !== undefined;
  if (object !== undefined && only?.type === 'identifier' && !isTyped)
    walk.builder.bind(scope, only.text, element(expression(object)));
}

function parameters(node: SyntaxNode, scope: Scope, around: Scope, walk: Walk): void {
  const list = node.child('parameters')?.children ?? [];
  let required = 0;
  for (const parameter of list) {
    const isRequired = parameter.type === 'required_parameter' && parameter.child('value') === undefined;
    if (isRequired && parameter.child('pattern')?.type !== 'rest_pattern') required += 1;
    readParameter(parameter, scope, around, walk);
  }
  const hasRest = list.some((it) => it.child('pattern')?.type === 'rest_pattern');
  scope.parameters = [required, hasRest ? Number.MAX_SAFE_INTEGER : list.length];
}

function readParameter(parameter: SyntaxNode, scope: Scope, around: Scope, walk: Walk): void {
  const pattern = parameter.child('pattern') ?? parameter.child('left') ?? parameter;
  const declared = walk.typed(scope, parameter.child('type'));
  const local = pattern.type === 'identifier' ? pattern.text : '';
  scope.parameterNames.push(local);
  const value = parameter.child('value') ?? parameter.child('right');
  if (declared !== undefined) bindPattern(pattern, instance(declared), scope, walk);
  else if (value !== undefined) bindPattern(pattern, expression(value), scope, walk);
  // A parameter of a constructor with a modifier is a field too.
  if (parameter.first('accessibility_modifier') !== undefined || /^readonly\b/.test(parameter.text)) {
    const field = walk.builder.define(around, { kind: 'field', name: local, node: parameter, nameNode: pattern });
    if (declared !== undefined) field.type = declared;
  }
  walk.visit(value, scope);
}

/** Makes the names of a pattern stand for the parts of a value. */
function bindPattern(node: SyntaxNode | undefined, value: Expr, scope: Scope, walk: Walk): void {
  switch (node?.type) {
    case 'identifier':
      walk.builder.bind(scope, node.text, value);
      return;
    case 'array_pattern':
      node.children.forEach((it, index) => {
        bindPattern(it, { is: 'item', of: value, index }, scope, walk);
      });
      return;
    case 'assignment_pattern':
    case 'object_assignment_pattern':
      bindPattern(node.child('left'), value, scope, walk);
      return;
    case 'object_pattern':
      node.children.forEach((it) => {
        if (it.type === 'shorthand_property_identifier_pattern')
          walk.builder.bind(scope, it.text, member(value, it.text));
        else if (it.type === 'pair_pattern')
          bindPattern(it.child('value'), member(value, it.child('key')?.text ?? ''), scope, walk);
        else if (it.type === 'object_assignment_pattern') {
          const key = it.child('left')?.text ?? '';
          walk.builder.bind(scope, key, member(value, key));
        }
      });
      return;
    default:
      return;
  }
}

const declarator: Handler = (node, scope, walk) => {
  const nameNode = node.child('name');
  const value = node.child('value');
  const isNamed = nameNode?.type === 'identifier';
  if (isNamed && value !== undefined && (FUNCTIONS.test(value.type) || value.type === 'class'))
    return walk.visit(value, scope);
  const declared = walk.typed(scope, node.child('type'));
  const isObject = value?.type === 'object';
  if (isNamed && (scope.kind === 'file' || scope.kind === 'namespace' || isObject)) {
    const defined = walk.builder.define(scope, { kind: 'variable', name: nameNode.text, node, nameNode });
    if (declared !== undefined) defined.type = declared;
    else if (!isObject) walk.builder.bind(scope, nameNode.text, expression(value));
    return isObject ? objectMembers(value, defined, scope, walk) : walk.visit(value, scope);
  }
  bindPattern(nameNode, declared === undefined ? expression(value) : instance(declared), scope, walk);
  walk.visit(value, scope);
};

/** The functions of an object literal are members of its variable; its other values are bound to their keys. */
function objectMembers(object: SyntaxNode, defined: Scope, scope: Scope, walk: Walk): void {
  for (const item of object.children) {
    const value = item.child('value');
    const isFunction = item.type === 'method_definition' || (value !== undefined && FUNCTIONS.test(value.type));
    if (isFunction) {
      walk.visit(item.type === 'method_definition' ? item : value, defined);
      continue;
    }
    const key = item.child('key') ?? (item.type === 'shorthand_property_identifier' ? item : undefined);
    if (key !== undefined) {
      const field = walk.builder.define(defined, {
        kind: 'field',
        name: key.text.replaceAll(/^['"]|['"]$/g, ''),
        node: item,
        nameNode: key,
      });
      field.returns.push({ is: 'at', scope: scope.id, of: expression(value ?? item) });
    }
    walk.visit(value, scope);
  }
}

const field: Handler = (node, scope, walk) => {
  const nameNode = node.child('name') ?? node.child('property');
  const value = node.child('value');
  if (value !== undefined && FUNCTIONS.test(value.type)) return walk.visit(value, scope);
  const defined = walk.builder.define(scope, {
    kind: node.type === 'property_signature' ? 'property' : 'field',
    name: nameNode?.text ?? '',
    node,
    nameNode,
    isStatic: /\bstatic\b/.test(node.text.slice(0, 40)),
  });
  const declared = walk.typed(defined, node.child('type'));
  if (declared !== undefined) defined.type = declared;
  else if (value !== undefined) defined.returns.push(expression(value));
  walk.visit(value, scope);
};

const imports: Handler = (node, _scope, { builder }) => {
  const source = node.child('source')?.text.slice(1, -1) ?? '';
  const required = node.first('import_require_clause');
  if (required !== undefined) {
    return builder.import(required.children[0]?.text ?? '', required.child('source')?.text.slice(1, -1) ?? '');
  }
  for (const item of node.first('import_clause')?.children ?? []) {
    if (item.type === 'identifier') builder.import(item.text, source, 'default');
    if (item.type === 'namespace_import') builder.import(item.children[0]?.text ?? '', source);
    for (const one of item.every('import_specifier')) {
      const imported = one.child('name')?.text ?? '';
      builder.import(one.child('alias')?.text ?? imported, source, imported);
    }
  }
};

const exported: Handler = (node, scope, walk) => {
  const clause = node.first('export_clause');
  const source = node.child('source')?.text.slice(1, -1);
  if (source === undefined) exportValue(node, clause, walk);
  else exportFrom(node, source, clause, walk);
  for (const child of node.children) if (child !== clause && child.field !== 'source') walk.visit(child, scope);
};

/** `export … from` passes on names of another module. */
function exportFrom(node: SyntaxNode, source: string, clause: SyntaxNode | undefined, { builder }: Walk): void {
  const namespace = node.first('namespace_export');
  if (namespace !== undefined) builder.import(namespace.children[0]?.text ?? '', source, undefined, true);
  else if (clause === undefined) builder.import('*', source, undefined, true);
  for (const one of clause?.every('export_specifier') ?? []) {
    const local = one.child('name')?.text ?? '';
    builder.export(one.child('alias')?.text ?? local, member({ is: 'module', source }, local));
  }
}

function exportValue(node: SyntaxNode, clause: SyntaxNode | undefined, { builder }: Walk): void {
  for (const one of clause?.every('export_specifier') ?? []) {
    const local = one.child('name')?.text ?? '';
    builder.export(one.child('alias')?.text ?? local, name(local));
  }
  const value = node.child('value') ?? node.children.find((it) => it.type === 'identifier');
  if (value?.type === 'identifier')
    builder.export(/^export\s*=/.test(node.text) ? 'export=' : 'default', name(value.text));
  else if (value !== undefined && !FUNCTIONS.test(value.type) && value.type !== 'class')
    builder.export('default', expression(value));
}

/** `this.name = value`, and the assignments by which CommonJS exports. */
const assignment: Handler = (node, scope, walk) => {
  const left = node.child('left');
  const right = node.child('right');
  const object = left?.child('object')?.text;
  const property = left?.child('property')?.text ?? '';
  if (left?.text === 'module.exports') exportObject(right, walk);
  else if (object === 'module.exports' || object === 'exports')
    walk.builder.export(property, exportedValue(right, property));
  else if (object === 'this') bindToThis(property, right, scope, walk);
  else if (left?.type === 'identifier') walk.builder.bind(scope, left.text, expression(right));
  walk.children(node, scope);
};

const exportedValue = (value: SyntaxNode | undefined, property: string): Expr =>
  value !== undefined && (FUNCTIONS.test(value.type) || value.type === 'class')
    ? name(value.child('name')?.text ?? property)
    : expression(value);

function exportObject(value: SyntaxNode | undefined, walk: Walk): void {
  if (value?.type !== 'object') {
    walk.builder.export('export=', exportedValue(value, 'exports'));
    return;
  }
  for (const item of value.children) {
    if (item.type === 'shorthand_property_identifier') walk.builder.export(item.text, name(item.text));
    const key = item.child('key')?.text;
    if (key !== undefined) walk.builder.export(key, exportedValue(item.child('value'), key));
    if (item.type === 'method_definition')
      walk.builder.export(item.child('name')?.text ?? '', name(item.child('name')?.text ?? ''));
  }
}

function bindToThis(property: string, value: SyntaxNode | undefined, scope: Scope, walk: Walk): void {
  const owner = walk.builder.typeAround(scope) ?? scope;
  if (value === undefined || FUNCTIONS.test(value.type)) return;
  walk.builder.bind(owner, property, { is: 'at', scope: scope.id, of: expression(value) });
}

const invocation: Handler = (node, scope, walk) => {
  const callee = node.child('function') ?? node.child('constructor');
  const args = argumentsOf(node);
  const isModule = callee?.text === 'require' || callee?.type === 'import';
  if (callee !== undefined && !isModule)
    walk.builder.call(scope, expression(callee), callee.child('property') ?? callee, args.map(expression));
  for (const one of args) {
    if (one.type === 'identifier' || one.type === 'member_expression')
      walk.builder.reference(scope, expression(one), one);
  }
  walk.children(node, scope);
};

const jsxElement: Handler = (node, scope, walk) => {
  const tag = node.child('name');
  if (tag !== undefined && /^[A-Z]|\./.test(tag.text)) walk.builder.call(scope, expression(tag), tag);
  walk.children(node, scope);
};

export const script: Reader = {
  expression,
  type,
  typeNames: ['type_identifier', 'nested_type_identifier'],
  handlers: {
    import_statement: imports,
    export_statement: exported,
    class_declaration: classDeclaration,
    abstract_class_declaration: classDeclaration,
    class: classDeclaration,
    interface_declaration: classDeclaration,
    enum_declaration(node, scope, walk) {
      const defined = walk.builder.define(scope, { kind: 'enum', name: node.child('name')?.text ?? '', node });
      for (const item of node.child('body')?.children ?? []) {
        const nameNode = item.child('name') ?? item;
        const constant = walk.builder.define(defined, {
          kind: 'field',
          name: nameNode.text,
          node: item,
          nameNode,
          isStatic: true,
        });
        constant.type = { is: 'node', id: defined.id };
      }
    },
    type_alias_declaration(node, scope, walk) {
      const defined = walk.builder.define(scope, { kind: 'type', name: node.child('name')?.text ?? '', node });
      typeParameters(node, defined);
      const value = node.child('value');
      const behind = walk.typed(defined, value);
      if (behind !== undefined) defined.type = behind;
      if (value?.type === 'object_type') walk.children(value, defined);
    },
    internal_module(node, scope, walk) {
      const defined = walk.builder.define(scope, { kind: 'namespace', name: node.child('name')?.text ?? '', node });
      walk.children(node.child('body'), defined);
    },
    function_declaration: functionDeclaration,
    generator_function_declaration: functionDeclaration,
    function_signature: functionDeclaration,
    function_expression: functionDeclaration,
    arrow_function: functionDeclaration,
    generator_function: functionDeclaration,
    method_definition: functionDeclaration,
    method_signature: functionDeclaration,
    abstract_method_signature: functionDeclaration,
    public_field_definition: field,
    field_definition: field,
    property_signature: field,
    variable_declarator: declarator,
    assignment_expression: assignment,
    call_expression: invocation,
    new_expression: invocation,
    jsx_opening_element: jsxElement,
    jsx_self_closing_element: jsxElement,
    for_in_statement(node, scope, walk) {
      bindPattern(node.child('left'), element(expression(node.child('right'))), scope, walk);
      walk.children(node, scope);
    },
    decorator(node, scope, walk) {
      const [value] = node.children;
      if (value !== undefined && value.type !== 'call_expression') walk.builder.call(scope, expression(value), node);
      walk.children(node, scope);
    },
    return_statement(node, scope, walk) {
      const [value] = node.children;
      if (value !== undefined && scope.type === undefined) scope.returns.push(expression(value));
      walk.children(node, scope);
    },
  },
};
