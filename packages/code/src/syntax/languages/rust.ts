import type { Expr } from '../facts';
import { anyOf, dotted, element, instance, member, name, type Scope, UNKNOWN } from '../facts-builder';
import type { SyntaxNode } from '../syntax-node';
import type { Handler, Reader, Walk } from '../walker';

function expression(node: SyntaxNode | undefined): Expr {
  switch (node?.type) {
    case 'identifier':
    case 'type_identifier':
      return name(node.text);
    case 'self':
      return { is: 'self' };
    case 'field_expression':
      return fieldOf(node);
    case 'scoped_identifier':
    case 'scoped_type_identifier':
      return path(node);
    case 'generic_function':
      return expression(node.child('function'));
    case 'call_expression':
      return call(node);
    case 'struct_expression':
      return instance(type(node.child('name')) ?? UNKNOWN);
    case 'reference_expression':
      return expression(node.child('value'));
    case 'parenthesized_expression':
    case 'unary_expression':
      return expression(node.children[0]);
    case 'try_expression':
    case 'await_expression':
      return element(expression(node.children[0]));
    case 'index_expression':
      return element(expression(node.children[0]));
    case 'type_cast_expression':
      return instance(type(node.child('type')) ?? UNKNOWN);
    case 'tuple_expression':
    case 'array_expression':
      return { is: 'tuple', of: node.children.map(expression) };
    case 'block':
      return expression(node.children.at(-1));
    case 'if_expression':
      return anyOf([expression(node.child('consequence')), expression(node.child('alternative')?.children[0])]);
    case 'match_expression':
      return {
        is: 'any',
        of: (node.child('body')?.every('match_arm') ?? []).map((arm) => expression(arm.child('value'))),
      };
    default:
      return UNKNOWN;
  }
}

function fieldOf(node: SyntaxNode): Expr {
  const of = expression(node.child('value'));
  const field = node.child('field');
  if (field?.type === 'integer_literal') return { is: 'item', of, index: Number(field.text) };
  return member(of, field?.text ?? '');
}

/** `Some(x)`, `Ok(x)` and the constructors of pointers stand for what they hold. */
const HOLDS =
  /^(Some|Ok|Box::new|Rc::new|Arc::new|RefCell::new|Mutex::new|RwLock::new|Cell::new|Pin::new|Box::pin|Arc::clone|Rc::clone)$/;
/** Methods that return their receiver, or a view of it. */
const SAME =
  /^(clone|as_ref|as_mut|as_deref|as_deref_mut|borrow|borrow_mut|iter|iter_mut|into_iter|to_owned|by_ref|cloned|copied)$/;

function call(node: SyntaxNode): Expr {
  const callee = node.child('function');
  const args = node.child('arguments')?.children ?? [];
  if (callee !== undefined && HOLDS.test(callee.text)) return expression(args[0]);
  const receiver = callee?.type === 'field_expression' ? callee.child('value') : undefined;
  if (receiver !== undefined && SAME.test(callee?.child('field')?.text ?? '')) {
    return anyOf([{ is: 'call', of: expression(callee), args: args.length }, expression(receiver)]);
  }
  return { is: 'call', of: expression(callee), args: args.length };
}

/** A path such as `Self::new`, `crate::user::find` and `<T as Repository>::find`. */
function path(node: SyntaxNode): Expr {
  const head = node.child('path');
  const last = node.child('name')?.text ?? '';
  return head === undefined ? name(last) : member(pathHead(head), last);
}

function pathHead(head: SyntaxNode): Expr {
  switch (head.type) {
    case 'crate':
    case 'super':
      return { is: 'module', source: head.text };
    case 'self':
      return { is: 'module', source: 'self' };
    case 'scoped_identifier':
    case 'scoped_type_identifier':
      return path(head);
    case 'generic_type':
      return pathHead(head.child('type') ?? head);
    case 'bracketed_type': {
      const qualified = head.first('qualified_type');
      return type(qualified?.child('alias') ?? head.children[0]) ?? UNKNOWN;
    }
    default:
      return head.text === 'Self' ? { is: 'class' } : name(head.text);
  }
}

function type(node: SyntaxNode | undefined): Expr | undefined {
  switch (node?.type) {
    case 'type_identifier':
    case 'identifier':
      return node.text === 'Self' ? { is: 'class' } : name(node.text);
    case 'scoped_type_identifier':
      return path(node);
    case 'generic_type':
      return {
        is: 'generic',
        of: type(node.child('type')) ?? UNKNOWN,
        args: (node.child('type_arguments')?.children ?? [])
          .filter((it) => it.type !== 'lifetime')
          .map((it) => type(it) ?? UNKNOWN),
      };
    case 'reference_type':
    case 'pointer_type':
      return type(node.child('type'));
    case 'dynamic_type':
    case 'abstract_type':
      return type(node.child('trait'));
    case 'bounded_type':
    case 'trait_bounds':
      return type(node.children[0]);
    case 'array_type':
      return { is: 'generic', of: name('[]'), args: [type(node.child('element')) ?? UNKNOWN] };
    case 'tuple_type':
      return { is: 'tuple', of: node.children.map((it) => type(it) ?? UNKNOWN) };
    default:
      return undefined;
  }
}

function typeParameters(node: SyntaxNode, scope: Scope): void {
  const where = node.first('where_clause')?.every('where_predicate') ?? [];
  const bindings = (node.child('type_parameters')?.every('type_parameter') ?? []).map((it) => {
    const text = it.child('name')?.text ?? '';
    const bounds = it.child('bounds') ?? where.find((one) => one.child('left')?.text === text)?.child('bounds');
    return { name: text, value: anyOf((bounds?.children ?? []).flatMap((bound) => type(bound) ?? [])) };
  });
  if (bindings.length > 0) scope.typeParameters = [...(scope.typeParameters ?? []), ...bindings];
}

const structure: Handler = (node, scope, walk) => {
  const kind = node.type === 'trait_item' ? 'interface' : node.type === 'enum_item' ? 'enum' : 'struct';
  const defined = walk.builder.define(scope, { kind, name: node.child('name')?.text ?? '', node });
  typeParameters(node, defined);
  for (const bound of node.child('bounds')?.children ?? []) {
    const base = type(bound);
    if (base !== undefined) defined.bases.push({ kind: 'inherits', type: base });
  }
  const body = node.child('body');
  if (body?.type === 'ordered_field_declaration_list') {
    body.all('type').forEach((it, index) => {
      const declared = walk.typed(defined, it);
      if (declared !== undefined) walk.builder.bind(defined, String(index), instance(declared));
    });
  } else {
    walk.children(body, defined);
  }
};

const implementation: Handler = (node, scope, walk) => {
  const owner = ownerName(node.child('type'));
  if (owner === undefined) return;
  const trait = type(node.child('trait'));
  walk.builder.key(`rust:impl:${owner}`);
  if (trait !== undefined) walk.builder.implementation(owner, trait, node);
  for (const item of node.child('body')?.children ?? []) {
    if (item.type === 'function_item') functionItem(item, scope, walk, owner, node);
    else if (item.type !== 'attribute_item') walk.visit(item, scope);
  }
};

function ownerName(node: SyntaxNode | undefined): string | undefined {
  if (node?.type === 'generic_type') return ownerName(node.child('type'));
  if (node?.type === 'scoped_type_identifier') return node.child('name')?.text;
  return node?.type === 'type_identifier' ? node.text : undefined;
}

function functionItem(node: SyntaxNode, scope: Scope, walk: Walk, owner?: string, block?: SyntaxNode): void {
  const isMethod = owner !== undefined || scope.kind === 'interface';
  const list = node.child('parameters');
  const defined = walk.builder.define(scope, {
    kind: isMethod ? 'method' : 'function',
    name: node.child('name')?.text ?? '',
    node,
    owner,
    isStatic: isMethod && list?.first('self_parameter') === undefined,
  });
  if (block !== undefined) typeParameters(block, defined);
  typeParameters(node, defined);
  const result = walk.typed(defined, node.child('return_type'), 'returns');
  if (result !== undefined) defined.type = result;
  for (const parameter of list?.every('parameter') ?? []) {
    const declared = walk.typed(defined, parameter.child('type'));
    defined.parameterNames.push(parameter.child('pattern')?.text ?? '');
    if (declared !== undefined) bindPattern(parameter.child('pattern'), instance(declared), defined, walk);
  }
  walk.visit(node.child('body'), defined);
}

/** Makes the names of a pattern stand for the parts of a value. */
function bindPattern(node: SyntaxNode | undefined, value: Expr, scope: Scope, walk: Walk): void {
  switch (node?.type) {
    case 'identifier':
      walk.builder.bind(scope, node.text, value);
      return;
    case 'tuple_pattern':
    case 'slice_pattern':
      node.children.forEach((it, index) => {
        bindPattern(it, { is: 'item', of: value, index }, scope, walk);
      });
      return;
    case 'tuple_struct_pattern':
      tupleStruct(node, value, scope, walk);
      return;
    case 'struct_pattern':
      node.every('field_pattern').forEach((it) => {
        const field = it.child('name')?.text ?? '';
        const own = member(instance(type(node.child('type')) ?? UNKNOWN), field);
        const inner = it.child('pattern');
        if (inner === undefined) walk.builder.bind(scope, field, own);
        else bindPattern(inner, own, scope, walk);
      });
      return;
    case 'match_pattern':
    case 'ref_pattern':
    case 'mut_pattern':
    case 'reference_pattern':
    case 'captured_pattern':
      bindPattern(
        node.children.find((it) => it.type !== 'mutable_specifier'),
        value,
        scope,
        walk,
      );
      return;
    default:
      return;
  }
}

/** `Some(x)` and `Ok(x)` hold the content of the value; the variant of an enum holds its own fields. */
function tupleStruct(node: SyntaxNode, value: Expr, scope: Scope, walk: Walk): void {
  const variant = node.child('type');
  const isContent = /^(Some|Ok)$/.test(variant?.text ?? '');
  const inner = node.children.filter((it) => it !== variant);
  inner.forEach((it, index) => {
    const own = isContent ? element(value) : member(expression(variant), String(index));
    bindPattern(it, own, scope, walk);
  });
}

const letItem: Handler = (node, scope, walk) => {
  const declared = walk.typed(scope, node.child('type'));
  const value = declared === undefined ? expression(node.child('value')) : instance(declared);
  bindPattern(node.child('pattern'), value, scope, walk);
  walk.visit(node.child('value'), scope);
  walk.visit(node.child('alternative'), scope);
};

/** The names that a `use` brings in, each with the path before it. */
function useTree(node: SyntaxNode | undefined, prefix: readonly string[], walk: Walk, isPublic: boolean): void {
  const segments = (it: SyntaxNode | undefined) => (it === undefined ? [] : it.text.replaceAll(/\s/g, '').split('::'));
  switch (node?.type) {
    case 'scoped_use_list':
      useTree(node.child('list'), [...prefix, ...segments(node.child('path'))], walk, isPublic);
      return;
    case 'use_list':
      node.children.forEach((it) => {
        useTree(it, prefix, walk, isPublic);
      });
      return;
    case 'use_wildcard':
      walk.builder.import('*', [...prefix, ...segments(node.children[0])].join('::'), undefined, isPublic);
      return;
    case 'use_as_clause':
      useName(node.child('alias')?.text ?? '', [...prefix, ...segments(node.child('path'))], walk, isPublic);
      return;
    case 'self':
      useName(prefix.at(-1) ?? '', prefix, walk, isPublic);
      return;
    default: {
      const path = [...prefix, ...segments(node)];
      useName(path.at(-1) ?? '', path, walk, isPublic);
    }
  }
}

function useName(local: string, path: readonly string[], walk: Walk, isPublic: boolean): void {
  const last = path.at(-1);
  if (local === '' || local === '_' || last === undefined) return;
  if (path.length === 1) walk.builder.import(local, last, undefined, isPublic);
  else walk.builder.import(local, path.slice(0, -1).join('::'), last, isPublic);
}

/** The calls in the arguments of a macro: their tokens are not parsed, so that only names and paths are found. */
function callsInMacro(node: SyntaxNode, scope: Scope, walk: Walk): void {
  const text = (node.first('token_tree')?.text ?? '').replaceAll(/"(?:\\.|[^"\\])*"/g, '""');
  for (const [, chain = ''] of text.matchAll(/((?:[A-Za-z_]\w*\s*(?:::|\.)\s*)*[A-Za-z_]\w*)\s*\(/g)) {
    walk.builder.call(scope, chainOf(chain.replaceAll(/\s/g, '')), node);
  }
}

function chainOf(chain: string): Expr {
  const [head = '', ...rest] = chain.split('.');
  const first = head === 'self' ? ({ is: 'self' } as const) : scoped(head);
  return rest.reduce<Expr>(member, first);
}

function scoped(text: string): Expr {
  const [first = '', ...rest] = text.split('::');
  const head: Expr =
    first === 'Self'
      ? { is: 'class' }
      : /^(crate|super|self)$/.test(first)
        ? { is: 'module', source: first }
        : dotted(first);
  return rest.reduce<Expr>(member, head);
}

export const rust: Reader = {
  expression,
  type,
  typeNames: ['type_identifier', 'scoped_type_identifier'],
  handlers: {
    use_declaration(node, _scope, walk) {
      useTree(node.child('argument'), [], walk, node.first('visibility_modifier') !== undefined);
    },
    mod_item(node, scope, walk) {
      const own = node.child('name')?.text ?? '';
      const body = node.child('body');
      if (body === undefined) return walk.builder.import(own, `self::${own}`, undefined, true);
      walk.children(body, walk.builder.define(scope, { kind: 'namespace', name: own, node }));
    },
    struct_item: structure,
    enum_item: structure,
    union_item: structure,
    trait_item: structure,
    impl_item: implementation,
    function_item: (node, scope, walk) => functionItem(node, scope, walk),
    function_signature_item: (node, scope, walk) => functionItem(node, scope, walk),
    field_declaration(node, scope, walk) {
      const defined = walk.builder.define(scope, { kind: 'field', name: node.child('name')?.text ?? '', node });
      const declared = walk.typed(scope, node.child('type'));
      if (declared !== undefined) defined.type = declared;
    },
    enum_variant(node, scope, walk) {
      const defined = walk.builder.define(scope, {
        kind: 'field',
        name: node.child('name')?.text ?? '',
        node,
        isStatic: true,
      });
      defined.type = { is: 'node', id: scope.id };
      node
        .child('body')
        ?.all('type')
        .forEach((it) => {
          walk.typed(scope, it);
        });
    },
    type_item(node, scope, walk) {
      const defined = walk.builder.define(scope, { kind: 'type', name: node.child('name')?.text ?? '', node });
      const behind = walk.typed(defined, node.child('type'));
      if (behind !== undefined) defined.type = behind;
    },
    const_item(node, scope, walk) {
      const defined = walk.builder.define(scope, { kind: 'variable', name: node.child('name')?.text ?? '', node });
      const declared = walk.typed(defined, node.child('type'));
      if (declared !== undefined) defined.type = declared;
      walk.visit(node.child('value'), scope);
    },
    static_item: (node, scope, walk) => rust.handlers['const_item']?.(node, scope, walk),
    let_declaration: letItem,
    let_condition(node, scope, walk) {
      bindPattern(node.child('pattern'), expression(node.child('value')), scope, walk);
      walk.visit(node.child('value'), scope);
    },
    match_expression(node, scope, walk) {
      const value = expression(node.child('value'));
      for (const arm of node.child('body')?.every('match_arm') ?? [])
        bindPattern(arm.child('pattern'), value, scope, walk);
      walk.children(node, scope);
    },
    for_expression(node, scope, walk) {
      bindPattern(node.child('pattern'), element(expression(node.child('value'))), scope, walk);
      walk.visit(node.child('value'), scope);
      walk.visit(node.child('body'), scope);
    },
    closure_expression(node, scope, walk) {
      closureParameters(node, scope, walk);
      walk.visit(node.child('body'), scope);
    },
    call_expression(node, scope, walk) {
      const callee = node.child('function');
      const args = node.child('arguments')?.children ?? [];
      walk.builder.call(scope, expression(callee), callee ?? node, args.map(expression));
      for (const one of args) {
        if (one.type === 'identifier' || one.type === 'scoped_identifier')
          walk.builder.reference(scope, expression(one), one);
      }
      walk.children(node, scope);
    },
    struct_expression(node, scope, walk) {
      walk.typed(scope, node.child('name'));
      walk.children(node.child('body'), scope);
    },
    macro_invocation: callsInMacro,
  },
};

/** The parameter of a closure in a call such as `users.iter().map(|user| …)` is an element of the receiver of the call. */
function closureParameters(node: SyntaxNode, scope: Scope, walk: Walk): void {
  const call = node.parent?.type === 'arguments' ? node.parent.parent : undefined;
  const receiver = call?.child('function')?.child('value');
  for (const parameter of node.child('parameters')?.children ?? []) {
    if (parameter.type === 'parameter') {
      const declared = walk.typed(scope, parameter.child('type'));
      if (declared !== undefined) bindPattern(parameter.child('pattern'), instance(declared), scope, walk);
    } else if (receiver !== undefined) {
      bindPattern(parameter, element(expression(receiver)), scope, walk);
    }
  }
}
