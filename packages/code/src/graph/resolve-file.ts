import type { CodeEdge, Definition, EdgeKind, RawEdge } from '../syntax/facts';
import { Evaluator, isType } from './evaluate';
import type { FileIndex } from './file-index';
import type { World } from './modules';
import type { Context, Place, Value } from './values';

/** All edges from the definitions of one file. The result depends on what the world answers, and on nothing else. */
export function resolveFile(world: World, file: FileIndex): readonly CodeEdge[] {
  const evaluator = new Evaluator(world);
  const edges = new EdgeList();
  for (const definition of file.facts.definitions) {
    if (definition === file.file) continue;
    contain(edges, evaluator, file, definition);
    if (isType(definition)) relateType(edges, evaluator, { file, definition });
  }
  for (const raw of file.facts.edges) {
    const definition = file.byId(raw.from);
    if (definition === undefined) continue;
    for (const target of targetsOf(evaluator, raw, { file, definition }))
      edges.add(raw.kind, raw.from, target.id, raw.line);
  }
  return edges.sorted();
}

/** Edges by kind and ends, each once, with the first line. */
class EdgeList {
  readonly #edges = new Map<string, CodeEdge>();

  add(kind: EdgeKind, from: string, to: string, line: number): void {
    if (from === to && kind !== 'calls') return;
    const key = `${from}\n${to}\n${kind}`;
    const known = this.#edges.get(key);
    if (known === undefined || known.line > line) this.#edges.set(key, { kind, from, to, line });
  }

  sorted(): readonly CodeEdge[] {
    return [...this.#edges.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, edge]) => edge);
  }
}

function contain(edges: EdgeList, evaluator: Evaluator, file: FileIndex, definition: Definition): void {
  const owner = evaluator.ownerOf(file, definition)?.definition ?? file.parentOf(definition);
  if (owner !== undefined) edges.add('contains', owner.id, definition.id, definition.startLine);
}

/** The bases of a type, and the members of the bases that its own members override. */
function relateType(edges: EdgeList, evaluator: Evaluator, place: Place): void {
  const { definition } = place;
  const members = membersOf(evaluator, place);
  const bases = evaluator
    .bases(place)
    .flatMap(({ value, kind }) => (value.is === 'instance' ? [{ base: value.place, kind }] : []));
  for (const { base, kind } of bases) {
    const isImplemented = base.definition.kind === 'interface' && definition.kind !== 'interface';
    edges.add(
      kind === 'implements' || isImplemented ? 'implements' : 'inherits',
      definition.id,
      base.definition.id,
      definition.startLine,
    );
    for (const member of members) override(edges, evaluator, member, base);
  }
  if (place.file.facts.language === 'go') implementImplicitly(edges, evaluator, place, members);
}

function override(edges: EdgeList, evaluator: Evaluator, member: Place, base: Place): void {
  if (member.definition.kind !== 'method' && member.definition.kind !== 'property') return;
  const found = evaluator.member({ is: 'instance', place: base, args: [] }, member.definition.name);
  const overridden = bestOverload(definitionsOf(found), member.definition.parameters?.[1]);
  if (overridden !== undefined)
    edges.add('overrides', member.definition.id, overridden.id, member.definition.startLine);
}

function membersOf(evaluator: Evaluator, { file, definition }: Place): readonly Place[] {
  const own = file.childrenOf(definition).map((it): Place => ({ file, definition: it }));
  const attached = evaluator
    .partsOf({ file, definition })
    .flatMap((part) => part.file.attachedTo(definition.name).map((it): Place => ({ file: part.file, definition: it })));
  return [...own, ...attached];
}

/** A type of Go implements each interface of its package whose methods it has. */
function implementImplicitly(edges: EdgeList, evaluator: Evaluator, place: Place, members: readonly Place[]): void {
  if (place.definition.kind === 'interface' || members.length === 0) return;
  const names = new Set(members.map(({ definition }) => definition.name));
  for (const part of evaluator.partsOf(place)) {
    for (const candidate of part.file.childrenOf(part.file.file)) {
      const methods = candidate.kind === 'interface' ? part.file.childrenOf(candidate) : [];
      if (methods.length === 0 || !methods.every(({ name }) => names.has(name))) continue;
      edges.add('implements', place.definition.id, candidate.id, place.definition.startLine);
      for (const member of members) override(edges, evaluator, member, { file: part.file, definition: candidate });
    }
  }
}

/** The definitions to which a raw edge leads. */
function targetsOf(evaluator: Evaluator, raw: RawEdge, context: Context): readonly Definition[] {
  const found = evaluator.find(raw.target, context);
  if (raw.kind !== 'calls')
    return definitionsOf(found).filter(({ kind }) => raw.kind === 'references' || kind !== 'variable');
  // The constructor of a base is called through `super`.
  if (raw.target.is === 'super') return definitionsOf(found, true).slice(0, 1);
  const callable = found.flatMap((value) => evaluator.read(value));
  const called = callable.flatMap((value) => (value.is === 'instance' ? evaluator.member(value, '__call__') : [value]));
  return overloads(definitionsOf(called).filter(isCallable), raw.args);
}

/** A class without a constructor is called too. `new` before an interface creates an object of a class without a name. */
const isCallable = ({ kind }: Definition): boolean =>
  /^(class|struct|record|enum|function|method|constructor|property)$/.test(kind);

function definitionsOf(values: readonly Value[], instances = false): readonly Definition[] {
  return values.flatMap((value) =>
    value.is === 'definition' || (instances && value.is === 'instance') ? [value.place.definition] : [],
  );
}

/** Of definitions with one qualified name, the overload that takes this many arguments. */
function overloads(definitions: readonly Definition[], args: number): readonly Definition[] {
  const byName = new Map<string, Definition[]>();
  for (const definition of definitions) {
    byName.set(definition.qualifiedName, [...(byName.get(definition.qualifiedName) ?? []), definition]);
  }
  return [...byName.values()].flatMap((same) => bestOverload(same, args) ?? []);
}

function bestOverload(definitions: readonly Definition[], args: number | undefined): Definition | undefined {
  const fits = ({ parameters }: Definition) =>
    parameters !== undefined && args !== undefined && args >= parameters[0] && args <= parameters[1];
  return definitions.find(fits) ?? definitions[0];
}
