import type { Base, Definition, FileFacts, Import } from '../syntax/facts';

type ByName = Map<string, Definition[]>;

/** The facts of one file, found by name. It is built once, when the file becomes part of a graph. */
export class FileIndex {
  readonly file: Definition;
  readonly #byId = new Map<string, Definition>();
  readonly #children = new Map<string, ByName>();
  readonly #attached = new Map<string, ByName>();
  readonly #byQualifiedName: ByName = new Map();
  readonly #extensions: ByName = new Map();
  readonly #imports = new Map<string, Import[]>();

  constructor(readonly facts: FileFacts) {
    const [file] = facts.definitions;
    if (file === undefined) throw new Error('The first definition of a file is the file itself');
    this.file = file;
    for (const definition of facts.definitions) this.#add(definition);
    for (const one of facts.imports) push(this.#imports, one.local, one);
  }

  byId(id: string): Definition | undefined {
    return this.#byId.get(id);
  }

  /** The definition directly around another; the file itself at the top. */
  parentOf(definition: Definition): Definition | undefined {
    if (definition === this.file) return undefined;
    return (definition.parent === undefined ? undefined : this.#byId.get(definition.parent)) ?? this.file;
  }

  childrenNamed(parent: Definition, name: string): readonly Definition[] {
    return this.#children.get(parent.id)?.get(name) ?? [];
  }

  childrenOf(parent: Definition): readonly Definition[] {
    return [...(this.#children.get(parent.id)?.values() ?? [])].flat();
  }

  /** The methods that the file adds to a type outside its body. */
  attachedTo(owner: string): readonly Definition[] {
    return [...(this.#attached.get(owner)?.values() ?? [])].flat();
  }

  attachedNamed(owner: string, name: string): readonly Definition[] {
    return this.#attached.get(owner)?.get(name) ?? [];
  }

  /** The bases that the file adds to a type outside its body. */
  basesAttachedTo(owner: string): readonly Base[] {
    return this.facts.implementations
      .filter((it) => it.owner === owner)
      .map(({ type }): Base => ({ kind: 'implements', type }));
  }

  /** The extension methods of C# with a name. */
  extensionsNamed(name: string): readonly Definition[] {
    return this.#extensions.get(name) ?? [];
  }

  byQualifiedName(name: string): readonly Definition[] {
    return this.#byQualifiedName.get(name) ?? [];
  }

  importsOf(local: string): readonly Import[] {
    return this.#imports.get(local) ?? [];
  }

  #add(definition: Definition): void {
    this.#byId.set(definition.id, definition);
    push(this.#byQualifiedName, definition.qualifiedName, definition);
    if (definition === this.file) return;
    if (definition.isExtension) push(this.#extensions, definition.name, definition);
    const { owner } = definition;
    if (owner?.is === 'name') {
      push(nested(this.#attached, owner.name), definition.name, definition);
      return;
    }
    push(nested(this.#children, definition.parent ?? this.file.id), definition.name, definition);
  }
}

function nested(map: Map<string, ByName>, key: string): ByName {
  const found = map.get(key) ?? new Map();
  map.set(key, found);
  return found;
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const found = map.get(key);
  if (found === undefined) map.set(key, [value]);
  else found.push(value);
}
