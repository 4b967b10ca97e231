import type { Base, Definition, Expr, NodeKind } from '../syntax/facts';
import type { FileIndex } from './file-index';
import { MODULE_RULES, type ModuleRules, type World } from './modules';
import {
  type Context,
  contentOf,
  distinct,
  type Environment,
  itemOf,
  nameOfType,
  type Place,
  pointedAt,
  takesContent,
  type Value,
} from './values';

const TYPES: ReadonlySet<NodeKind> = new Set(['class', 'interface', 'struct', 'record', 'enum', 'type']);
const VARIABLES: ReadonlySet<NodeKind> = new Set(['variable', 'field', 'property']);
/** Chains of calls and assignments that are longer than this are not followed. */
const MAX_DEPTH = 40;

export const isType = ({ kind }: Definition): boolean => TYPES.has(kind);

/**
 * Evaluates the expressions of one file to the definitions and the types for which they stand. It reads other files through
 * the world only, so that the world knows on which files the result depends.
 */
export class Evaluator {
  readonly #known = new Map<string, readonly Value[]>();
  readonly #running = new Set<string>();
  #depth = 0;

  constructor(readonly world: World) {}

  /** The definitions that an expression names; variables are not read. */
  find(expr: Expr, context: Context): readonly Value[] {
    if (this.#depth >= MAX_DEPTH) return [];
    this.#depth += 1;
    try {
      return distinct(this.#find(expr, context));
    } finally {
      this.#depth -= 1;
    }
  }

  /** The values of an expression. */
  evaluate(expr: Expr, context: Context): readonly Value[] {
    return distinct(this.find(expr, context).flatMap((value) => this.read(value)));
  }

  /** Replaces a variable by its values. */
  read(value: Value): readonly Value[] {
    if (value.is !== 'definition' || !VARIABLES.has(value.place.definition.kind)) return [value];
    const { file, definition, environment } = value.place;
    return this.#once(`read ${definition.id} ${describe(environment)}`, () => {
      if (definition.type !== undefined) return this.instancesOf(definition.type, value.place);
      if (definition.returns.length > 0) return this.#all(definition.returns, value.place);
      const parent = file.parentOf(definition);
      const values = parent?.bindings.filter(({ name }) => name === definition.name).map((it) => it.value) ?? [];
      if (parent === undefined || values.length === 0) return file.childrenOf(definition).length > 0 ? [value] : [];
      const read = this.#all(values, { file, definition: parent, environment });
      // An object literal is a value of its own: its members are definitions below the variable.
      return file.childrenOf(definition).length > 0 ? [value, ...read] : read;
    });
  }

  /** Values of the type that an expression names. */
  instancesOf(type: Expr, context: Context): readonly Value[] {
    switch (type.is) {
      case 'any':
        return distinct(type.of.flatMap((it) => this.instancesOf(it, context)));
      case 'tuple':
        return [{ is: 'tuple', items: type.of.map((it) => this.instancesOf(it, context)) }];
      case 'generic': {
        const args = type.args.map((it) => this.instancesOf(it, context));
        return this.instancesOf(type.of, context).map((value) => withArguments(value, args));
      }
      case 'name':
      case 'member':
      case 'class':
      case 'node':
        return this.#instancesOfNamed(type, context);
      default:
        return this.evaluate(type, context);
    }
  }

  #instancesOfNamed(type: Expr, context: Context): readonly Value[] {
    const bound = type.is === 'name' ? this.#typeParameter(type.name, context) : undefined;
    if (bound !== undefined) return bound;
    const found = type.is === 'name' ? this.#lookUp(type.name, context, true) : this.find(type, context);
    const instances = found.flatMap((value): readonly Value[] => {
      if (value.is !== 'definition') return value.is === 'instance' ? [value] : [];
      const { definition } = value.place;
      if (!isType(definition)) return [];
      if (definition.type === undefined) return [{ is: 'instance', place: value.place, args: [] }];
      return this.#once(`alias ${definition.id}`, () =>
        definition.type === undefined ? [] : this.instancesOf(definition.type, value.place),
      ).concat({ is: 'instance', place: value.place, args: [] });
    });
    const isUnknown = found.length === 0 && nameOfType(type) !== '';
    return isUnknown ? [{ is: 'external', name: nameOfType(type), args: [] }] : instances;
  }

  /** What a type parameter of a scope around stands for: its argument, else its bound. */
  #typeParameter(name: string, context: Context): readonly Value[] | undefined {
    const argument = context.environment?.get(name);
    if (argument !== undefined) return argument;
    for (const scope of scopesOf(context)) {
      const parameter = scope.definition.typeParameters?.find((it) => it.name === name);
      if (parameter !== undefined) return this.instancesOf(parameter.value, scope);
    }
    return undefined;
  }

  #find(expr: Expr, context: Context): readonly Value[] {
    switch (expr.is) {
      case 'name':
        return this.#lookUp(expr.name, context);
      case 'member':
        return this.#withModules(expr, context) ?? this.#members(expr, context);
      case 'call':
        return this.find(expr.of, context).flatMap((callee) => this.result(callee, expr.args));
      case 'instance':
        return this.instancesOf(expr.of, context);
      case 'generic':
        return this.find(expr.of, context);
      case 'self':
        return this.#typeAround(context).map(
          (place): Value => ({ is: 'instance', place, args: this.#ownArguments(place) }),
        );
      case 'class':
        return this.#typeAround(context).map((place): Value => ({ is: 'definition', place }));
      case 'super':
        return this.#typeAround(context).flatMap((place) => this.bases(place).map(({ value }) => value));
      case 'element':
        return this.evaluate(expr.of, context).flatMap(contentOf);
      case 'item':
        return this.evaluate(expr.of, context).flatMap((value) => itemOf(value, expr.index));
      case 'tuple':
        return [{ is: 'tuple', items: expr.of.map((it) => this.evaluate(it, context)) }];
      case 'any':
        return expr.of.flatMap((it) => this.find(it, context));
      case 'at': {
        const scope = context.file.byId(expr.scope);
        return scope === undefined ? [] : this.find(expr.of, { ...context, definition: scope });
      }
      case 'node': {
        const definition = context.file.byId(expr.id);
        return definition === undefined ? [] : [{ is: 'definition', place: { ...context, definition } }];
      }
      case 'module':
        return this.#module(expr.source, context.file).flatMap((it) => this.#exportedWhole(it));
    }
  }

  #members(expr: Extract<Expr, { is: 'member' }>, context: Context): readonly Value[] {
    const receivers = this.evaluate(expr.of, context);
    const found = receivers.flatMap((it) => this.member(it, expr.name));
    const isOwn = found.some((it) => it.is !== 'external-member');
    if (isOwn || context.file.facts.language !== 'csharp') return found;
    const extensions = receivers.flatMap((it) =>
      it.is === 'instance' ? this.#extensionsOf(it.place, expr.name, context) : [],
    );
    return extensions.length > 0 ? extensions : found;
  }

  /** The extension methods for a type in the namespaces that a place sees. */
  #extensionsOf(type: Place, name: string, { file, definition }: Context): readonly Value[] {
    const around = MODULE_RULES.csharp.around(this.world, file, definition.qualifiedName);
    const used = file.importsOf('*').flatMap(({ source }) => MODULE_RULES.csharp.find(this.world, source, file) ?? []);
    const files = new Set([file, ...[...around, ...used].flatMap((module) => module.files)]);
    return [...files].flatMap((other) =>
      other.extensionsNamed(name).flatMap((extension): readonly Value[] => {
        const place = { file: other, definition: extension };
        const [first = ''] = extension.parameterNames;
        const extended = this.#all(
          extension.bindings.filter((it) => it.name === first).map((it) => it.value),
          place,
        );
        return extended.some((it) => it.is === 'instance' && this.#isA(type, it.place.definition))
          ? [{ is: 'definition', place }]
          : [];
      }),
    );
  }

  #isA(type: Place, base: Definition): boolean {
    if (type.definition === base || type.definition.qualifiedName === base.qualifiedName) return true;
    return this.bases(type).some(({ value }) => value.is === 'instance' && this.#isA(value.place, base));
  }

  /** A member of a module that is imported under a dotted name, such as `import a.b` in Python. */
  #withModules(expr: Extract<Expr, { is: 'member' }>, context: Context): readonly Value[] | undefined {
    const path = context.file.facts.language === 'python' ? dottedName(expr) : undefined;
    const imported = path === undefined ? [] : context.file.importsOf(path);
    return imported.length === 0 ? undefined : imported.flatMap((it) => this.#module(it.source, context.file));
  }

  /**
   * What a name stands for: in the scopes around it, in the imports of the file, then in the modules around it. Where a type is
   * expected, a property with the name of its type does not hide the type.
   */
  #lookUp(name: string, context: Context, isTypeExpected = false): readonly Value[] {
    return this.#once(
      `name ${context.definition.id} ${name} ${isTypeExpected} ${describe(context.environment)}`,
      () => {
        for (const scope of scopesOf(context)) {
          const found = this.#inScope(name, scope, scope.definition === context.definition);
          const accepted = isTypeExpected ? found.filter(namesType) : found;
          if (accepted.length > 0) return accepted;
        }
        return this.#outside(name, context);
      },
    );
  }

  #inScope(name: string, scope: Context, isInnermost: boolean): readonly Value[] {
    const { file, definition } = scope;
    if (definition.typeParameters?.some((it) => it.name === name)) return this.#typeParameter(name, scope) ?? [];
    const rules = rulesOf(file);
    if (isType(definition)) {
      // A constructor has the name of its type, and the name means the type.
      const isOwnName = name === definition.name;
      if (rules?.hasImplicitReceiver && !isOwnName) return this.#memberOfType(scope, name, scope.environment);
      return isInnermost ? definitionsIn(file.childrenNamed(definition, name), scope) : [];
    }
    const children = file.childrenNamed(definition, name);
    const constant = children.filter(({ kind }) => kind !== 'variable');
    if (constant.length > 0) return definitionsIn(constant, scope);
    if (children.length > 0) return definitionsIn(children, scope);
    const values = definition.bindings.filter((it) => it.name === name).map((it) => it.value);
    return this.#all(values, scope);
  }

  #outside(name: string, context: Context): readonly Value[] {
    const { file, definition } = context;
    if (name === 'exports' && file.facts.language === 'javascript')
      return [{ is: 'module', path: file.facts.path, files: [file] }];
    const imported = file.importsOf(name).flatMap((it) => this.#imported(it.source, it.name, file));
    if (imported.length > 0) return imported;
    const rules = rulesOf(file);
    for (const module of rules?.around(this.world, file, definition.qualifiedName) ?? []) {
      const found = this.#memberOfModule(module, name, file);
      if (found.length > 0) return found;
    }
    for (const { source } of file.importsOf('*')) {
      const found = this.#imported(source, name, file);
      if (found.length > 0) return found;
    }
    return [];
  }

  #imported(source: string, name: string | undefined, file: FileIndex): readonly Value[] {
    const modules = this.#module(source, file);
    if (name === undefined) return modules;
    return modules.flatMap((module) => this.member(module, name));
  }

  /** The module with this name; a type, where an import names a type as if it were a module. */
  #module(source: string, file: FileIndex): readonly Value[] {
    const rules = rulesOf(file);
    const module = rules?.find(this.world, source, file);
    if (module === undefined) return [];
    if (!rules?.byQualifiedName || module.files.length > 0) return [module];
    const cut = source.lastIndexOf('.');
    if (cut === -1) return [module];
    const outer = this.#module(source.slice(0, cut), file);
    const types = outer.flatMap((it) =>
      it.is === 'module' && it.files.length === 0 ? [] : this.member(it, source.slice(cut + 1)),
    );
    return types.length > 0 ? types : [module];
  }

  /** The members of a value with a name. */
  member(value: Value, name: string): readonly Value[] {
    switch (value.is) {
      case 'definition':
        return this.#memberOfDefinition(value.place, name);
      case 'instance': {
        const environment = environmentOf(value);
        const found = this.#memberOfType(value.place, name, environment);
        // An optional or a guard that was already replaced by its content.
        return found.length === 0 && takesContent(name) ? [{ is: 'external-member', of: value, name }] : found;
      }
      case 'module':
        return this.#memberOfModule(value, name, value.files[0]);
      case 'external':
        return (pointedAt(value) ?? [])
          .flatMap((it) => this.member(it, name))
          .concat({ is: 'external-member', of: value, name });
      case 'tuple':
        return [{ is: 'external-member', of: value, name }];
      case 'external-member':
        return [];
    }
  }

  #memberOfDefinition(place: Context, name: string): readonly Value[] {
    const { file, definition } = place;
    if (isType(definition)) return this.#memberOfType(place, name, place.environment);
    const children = file.childrenNamed(definition, name);
    if (children.length > 0) return definitionsIn(children, { file, definition });
    const isModule = definition.kind === 'namespace';
    return isModule
      ? this.#all(
          definition.bindings.filter((it) => it.name === name).map((it) => it.value),
          place,
        )
      : [];
  }

  #memberOfType(place: Context, name: string, environment: Environment | undefined): readonly Value[] {
    return this.#once(`member ${place.definition.id} ${name} ${describe(environment)}`, () => {
      const own = this.#ownMembers(place, name);
      if (own.length > 0) return own.map((it): Value => ({ is: 'definition', place: { ...it, environment } }));
      const bound = place.definition.bindings.filter((it) => it.name === name).map((it) => it.value);
      const values = this.#all(bound, { ...place, environment });
      if (values.length > 0) return values;
      for (const { value } of this.bases({ ...place, environment })) {
        const inherited = this.member(value, name).filter((it) => it.is !== 'external-member');
        if (inherited.length > 0) return inherited;
      }
      return [];
    });
  }

  #ownMembers({ file, definition }: Place, name: string): readonly Place[] {
    const own = file.childrenNamed(definition, name).map((it): Place => ({ file, definition: it }));
    const attached = this.partsOf({ file, definition }).flatMap((part) => part.attached(name));
    return [...own, ...attached];
  }

  /** The files that add members or bases to a type outside its body, and what they add. */
  partsOf({ file, definition }: Place): readonly TypePart[] {
    const { language, path } = file.facts;
    if (language === 'go')
      return this.#attaching(`go:${path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''}`, definition);
    if (language === 'rust') return this.#attaching(`rust:impl:${definition.name}`, definition);
    // Functions that are assigned to the prototype of a constructor function.
    if (language === 'javascript' || language === 'typescript') return [attachedIn(file, definition)];
    if (language !== 'csharp' || !/\bpartial\b/.test(definition.signature)) return [];
    const namespace = definition.qualifiedName.slice(0, -definition.scopedName.length - 1);
    return this.world.filesOf(`csharp:${namespace}`).flatMap((other) =>
      other
        .byQualifiedName(definition.qualifiedName)
        .filter((part) => part.id !== definition.id)
        .map((part) => ({
          file: other,
          attached: (name) => other.childrenNamed(part, name).map((it): Place => ({ file: other, definition: it })),
          bases: part.bases,
        })),
    );
  }

  #attaching(key: string, owner: Definition): readonly TypePart[] {
    return this.world.filesOf(key).map((file) => attachedIn(file, owner));
  }

  /** The bases of a type that are known, with what the syntax says about each. */
  bases(place: Context): readonly { readonly value: Value; readonly kind: Base['kind'] }[] {
    const key = `bases ${place.definition.id}`;
    if (this.#running.has(key)) return [];
    this.#running.add(key);
    try {
      const own = this.#basesIn(place.definition.bases, place);
      const attached = this.partsOf(place).flatMap((part) =>
        this.#basesIn(part.bases, { file: part.file, definition: part.file.file }),
      );
      return [...own, ...attached];
    } finally {
      this.#running.delete(key);
    }
  }

  #basesIn(bases: readonly Base[], { file, definition, environment }: Context) {
    // The base is looked up outside the type: inside, a member with its name would be found first.
    const outside = { file, definition: file.parentOf(definition) ?? definition, environment };
    return bases.flatMap(({ type, kind }) => {
      const context =
        environment === undefined && definition.typeParameters === undefined ? outside : { ...outside, environment };
      return this.instancesOf(type, context)
        .filter((value) => value.is === 'instance' && value.place.definition !== definition)
        .map((value) => ({ value, kind }));
    });
  }

  #memberOfModule(
    module: Extract<Value, { is: 'module' }>,
    name: string,
    from: FileIndex | undefined,
  ): readonly Value[] {
    const rules = from === undefined ? MODULE_RULES.python : rulesOf(from);
    for (const file of module.files) {
      const found = rules?.byQualifiedName
        ? definitionsIn(file.byQualifiedName(module.path === '' ? name : `${module.path}.${name}`), {
            file,
            definition: file.file,
          })
        : this.#exported(file, name);
      if (found.length > 0) return found;
    }
    const inside = rules?.inside(this.world, module, name);
    return inside === undefined || (rules?.byQualifiedName && inside.files.length === 0) ? [] : [inside];
  }

  /** What a file exports under a name: by a statement, by a definition, or by passing on what it imports. */
  #exported(file: FileIndex, name: string): readonly Value[] {
    return this.#once(`export ${file.facts.path} ${name}`, () => {
      const context = { file, definition: file.file };
      const exported = file.facts.exports.filter((it) => it.name === name).map((it) => it.value);
      const values = exported.flatMap((it) => this.find(it, context));
      if (values.length > 0) return values;
      const defined = this.#inScope(name, context, true);
      if (defined.length > 0) return defined;
      const whole = file.facts.exports
        .filter((it) => it.name === 'export=')
        .flatMap((it) => this.evaluate(it.value, context));
      const member = whole.flatMap((it) => (name === 'default' ? [it] : this.member(it, name)));
      if (member.length > 0) return member;
      const passed = file.importsOf(name).filter((it) => it.reexported);
      const own = passed.flatMap((it) => this.#imported(it.source, it.name, file));
      if (own.length > 0) return own;
      const all = file.importsOf('*').filter((it) => it.reexported && name !== 'default');
      return all.flatMap((it) => this.#imported(it.source, name, file));
    });
  }

  /** What `module.exports = value` makes of a module; the module itself without it. */
  #exportedWhole(module: Value): readonly Value[] {
    const file = module.is === 'module' ? module.files[0] : undefined;
    const whole = file?.facts.exports.find((it) => it.name === 'export=');
    if (file === undefined || whole === undefined) return [module];
    const values = this.evaluate(whole.value, { file, definition: file.file });
    return values.length > 0 ? values : [module];
  }

  /** What a call returns. */
  result(callee: Value, args: number): readonly Value[] {
    return this.read(callee).flatMap((value): readonly Value[] => {
      if (value.is === 'instance')
        return this.member(value, '__call__').flatMap((it) => (it.is === 'definition' ? this.result(it, args) : []));
      if (value.is === 'external-member') return takesContent(value.name) ? contentOf(value.of) : [value.of];
      if (value.is !== 'definition') return [];
      const { definition } = value.place;
      const isConstructed = isType(definition) || value.place.file.attachedTo(definition.name).length > 0;
      if (isConstructed) return [{ is: 'instance', place: value.place, args: [] }];
      return this.#resultOf(value.place);
    });
  }

  #resultOf(place: Context): readonly Value[] {
    const { definition, environment } = place;
    return this.#once(`result ${definition.id} ${describe(environment)}`, () => {
      if (definition.kind === 'constructor')
        return this.#typeAround(place).map((it): Value => ({ is: 'instance', place: it, args: [] }));
      if (definition.type !== undefined) return this.instancesOf(definition.type, place);
      return this.#all(definition.returns, place);
    });
  }

  /** The type around a context, or the type to which the method belongs. */
  #typeAround(context: Context): readonly Place[] {
    for (const { file, definition, environment } of scopesOf(context)) {
      if (isType(definition)) return [{ file, definition, environment } as Place];
      if (definition.owner !== undefined) {
        return this.find(definition.owner, { file, definition: file.file }).flatMap((it) =>
          it.is === 'definition' ? [it.place] : [],
        );
      }
    }
    return [];
  }

  #ownArguments(place: Context): readonly (readonly Value[])[] {
    const { environment } = place;
    return environment === undefined
      ? []
      : (place.definition.typeParameters ?? []).map(({ name }) => environment.get(name) ?? []);
  }

  /** The type to which a definition belongs that stands outside its body. */
  ownerOf(file: FileIndex, definition: Definition): Place | undefined {
    if (definition.owner === undefined) return undefined;
    return this.#typeAround({ file, definition })[0];
  }

  #all(values: readonly Expr[], context: Context): readonly Value[] {
    return distinct(values.flatMap((value) => this.evaluate(value, context)));
  }

  /** Remembers a result; a question that is asked while it is being answered has no answer. */
  #once(key: string, answer: () => readonly Value[]): readonly Value[] {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#running.has(key)) return [];
    this.#running.add(key);
    try {
      const values = distinct(answer());
      this.#known.set(key, values);
      return values;
    } finally {
      this.#running.delete(key);
    }
  }
}

function attachedIn(file: FileIndex, { name: owner }: Definition): TypePart {
  return {
    file,
    attached: (name) => file.attachedNamed(owner, name).map((definition): Place => ({ file, definition })),
    bases: file.basesAttachedTo(owner),
  };
}

const namesType = (value: Value): boolean => value.is !== 'definition' || isType(value.place.definition);

interface TypePart {
  readonly file: FileIndex;
  readonly attached: (name: string) => readonly Place[];
  readonly bases: readonly Base[];
}

function rulesOf(file: FileIndex): ModuleRules | undefined {
  return file.facts.language === undefined ? undefined : MODULE_RULES[file.facts.language];
}

/** A context and those around it, innermost first; the file is the last. */
function* scopesOf(context: Context): Generator<Context> {
  for (let at: Definition | undefined = context.definition; at !== undefined; at = context.file.parentOf(at)) {
    yield { ...context, definition: at };
  }
}

function definitionsIn(definitions: readonly Definition[], { file, environment }: Context): readonly Value[] {
  return definitions.map((definition): Value => ({ is: 'definition', place: { file, definition, environment } }));
}

function withArguments(value: Value, args: readonly (readonly Value[])[]): Value {
  return value.is === 'instance' || value.is === 'external' ? { ...value, args } : value;
}

function environmentOf({ place, args }: Extract<Value, { is: 'instance' }>): Environment | undefined {
  const parameters = place.definition.typeParameters ?? [];
  if (parameters.length === 0 || args.length === 0) return undefined;
  return new Map(parameters.map(({ name }, index) => [name, args[index] ?? []]));
}

function describe(environment: Environment | undefined): string {
  if (environment === undefined) return '';
  return [...environment]
    .map(
      ([name, values]) => `${name}=${values.map((it) => ('place' in it ? it.place.definition.id : it.is)).join('|')}`,
    )
    .join();
}

function dottedName(expr: Expr): string | undefined {
  if (expr.is === 'name') return expr.name;
  const of = expr.is === 'member' ? dottedName(expr.of) : undefined;
  return of === undefined || expr.is !== 'member' ? undefined : `${of}.${expr.name}`;
}
