import { setImmediate } from 'node:timers/promises';
import ts from '@typescript/typescript6';
import { type CodeGraph, openCodeGraph } from '../graph/code-graph';
import type { CodeEdge, Definition, FileFacts } from '../syntax/facts';
import { ProgramHost } from './program';
import { callKey, type FindDefinition, readFileEdges, type SemanticFile } from './read-file';

/** A file of TypeScript or JavaScript: its facts, and the text from which they were read. */
export interface SemanticSource {
  readonly facts: FileFacts;
  readonly text: string;
}

export interface SemanticChange {
  readonly changed: readonly SemanticSource[];
  readonly removed: readonly string[];
}

export interface SemanticOptions {
  /** Ends an update before its next file. The graph cannot be used afterwards. */
  readonly signal?: AbortSignal | undefined;
  /** Called before the first file, and after each one. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface SemanticGraph {
  /**
   * Takes new texts of changed files, and removes files. Files in other languages are left out. Only the changed files are read
   * again, and those that import them, directly or not, when what they show to others changed. Timers and connections of the
   * process get their turn between two files. Updates must not overlap.
   * @returns the paths of the files that were read again
   */
  update(change: SemanticChange, options?: SemanticOptions): Promise<readonly string[]>;
  edgesOf(path: string): readonly CodeEdge[];
  edges(): readonly CodeEdge[];
}

/**
 * The edges of the TypeScript and JavaScript files, by the types of the compiler. A call that the compiler cannot resolve, such as
 * one of an untyped parameter, has the targets that the syntax shows.
 */
export async function readSemanticEdges(root: string, files: readonly SemanticSource[]): Promise<readonly CodeEdge[]> {
  const graph = openSemanticGraph(root);
  await graph.update({ changed: files, removed: [] });
  return graph.edges();
}

/** @param root the absolute path of the tree; packages and types outside the given files are read below it */
export function openSemanticGraph(root: string): SemanticGraph {
  return new CompilerGraph(root.replaceAll('\\', '/'));
}

interface Entry {
  readonly definitions: ReadonlyMap<number, Definition>;
  readonly file: Definition;
  /** What a change must alter before files that import this one can have other edges. */
  readonly visible: string;
}

const FILES_PER_CHECKER = 200;
const LANGUAGES = new Set(['typescript', 'tsx', 'javascript']);

class CompilerGraph implements SemanticGraph {
  readonly #host: ProgramHost;
  readonly #syntactic: CodeGraph = openCodeGraph();
  readonly #entries = new Map<string, Entry>();
  readonly #read = new Map<string, SemanticFile>();

  constructor(root: string) {
    this.#host = new ProgramHost(root);
  }

  async update({ changed, removed }: SemanticChange, options: SemanticOptions = {}): Promise<readonly string[]> {
    const sources = changed.filter(({ facts }) => LANGUAGES.has(facts.language ?? ''));
    const gone = removed.filter((path) => this.#entries.has(path));
    if (sources.length === 0 && gone.length === 0) return [];
    this.#syntactic.update({ changed: sources.map(({ facts }) => facts), removed: gone });
    const before = this.#importsOfAll();
    const shown = new Set<string>();
    let isGlobal = false;
    for (const path of gone) {
      isGlobal ||= this.#entries.get(path)?.visible.startsWith(GLOBAL) ?? false;
      this.#entries.delete(path);
      this.#read.delete(path);
      this.#host.set(path, undefined);
      shown.add(path);
    }
    for (const { facts, text } of sources) {
      const known = this.#entries.get(facts.path)?.visible;
      const entry = entryOf(facts, text);
      this.#entries.set(facts.path, entry);
      this.#host.set(facts.path, text);
      if (known !== entry.visible) shown.add(facts.path);
      isGlobal ||=
        known !== entry.visible && (entry.visible.startsWith(GLOBAL) || (known?.startsWith(GLOBAL) ?? false));
    }
    this.#host.build();
    const stale = new Set(sources.map(({ facts }) => facts.path));
    for (const path of isGlobal ? this.#entries.keys() : this.#importersOf(shown, before)) stale.add(path);
    const paths = [...stale].filter((path) => this.#entries.has(path)).sort();
    await this.#readFiles(paths, options);
    return paths;
  }

  async #readFiles(paths: readonly string[], { signal, onProgress }: SemanticOptions): Promise<void> {
    onProgress?.(0, paths.length);
    for (let done = 0; done < paths.length; ) {
      // A checker keeps every type that it has seen, so that one checker for a large tree would take gigabytes.
      const program = this.#host.build();
      const checker = program.getTypeChecker();
      for (const path of paths.slice(done, done + FILES_PER_CHECKER)) {
        await setImmediate();
        signal?.throwIfAborted();
        this.#readFile(program, checker, path);
        done += 1;
        onProgress?.(done, paths.length);
      }
    }
  }

  edgesOf(path: string): readonly CodeEdge[] {
    const semantic = this.#read.get(path);
    if (semantic === undefined) return [];
    const shown = new Set(semantic.edges.map(keyOf));
    const added = this.#syntactic.edgesOf(path).filter((edge) => {
      const isNeeded =
        edge.kind === 'contains' || (edge.kind === 'calls' && semantic.unknownCalls.has(callKey(edge.from, edge.line)));
      return isNeeded && !shown.has(keyOf(edge));
    });
    return [...semantic.edges, ...added].sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
  }

  edges(): readonly CodeEdge[] {
    return [...this.#read.keys()].sort().flatMap((path) => this.edgesOf(path));
  }

  #readFile(program: ts.Program, checker: ts.TypeChecker, path: string): void {
    const source = program.getSourceFile(this.#host.absolute(path));
    const entry = this.#entries.get(path);
    if (source === undefined || entry === undefined) return;
    this.#read.set(path, readFileEdges(checker, source, entry.file, this.#find));
  }

  readonly #find: FindDefinition = (source, offset) => {
    const path = this.#host.relative(source.fileName);
    const entry = path === undefined ? undefined : this.#entries.get(path);
    return offset < 0 ? entry?.file : entry?.definitions.get(offset);
  };

  #importsOfAll(): ReadonlyMap<string, ReadonlySet<string>> {
    return new Map([...this.#entries.keys()].map((path) => [path, this.#host.importsOf(path)]));
  }

  /** The files that import one of these, directly or not. An import that now finds another file counts as a change too. */
  #importersOf(shown: ReadonlySet<string>, before: ReadonlyMap<string, ReadonlySet<string>>): ReadonlySet<string> {
    const now = this.#importsOfAll();
    const importers = new Map<string, string[]>();
    const found = new Set(shown);
    for (const [path, imports] of now) {
      const earlier = before.get(path);
      if (earlier !== undefined && earlier !== imports && !isSameSet(earlier, imports)) found.add(path);
      for (const imported of imports) importers.set(imported, [...(importers.get(imported) ?? []), path]);
    }
    for (const path of found) for (const importer of importers.get(path) ?? []) found.add(importer);
    return found;
  }
}

const keyOf = ({ kind, from, to }: CodeEdge): string => `${from}\n${to}\n${kind}`;
const isSameSet = (one: ReadonlySet<string>, other: ReadonlySet<string>): boolean =>
  one.size === other.size && [...one].every((it) => other.has(it));

/** Starts what a file shows whose declarations are visible without an import. */
const GLOBAL = 'global\n';

function entryOf(facts: FileFacts, text: string): Entry {
  const [file] = facts.definitions;
  if (file === undefined) throw new Error('The first definition of a file is the file itself');
  return {
    file,
    definitions: new Map(facts.definitions.slice(1).map((definition) => [definition.nameOffset, definition])),
    visible: visibleText(facts, text),
  };
}

/** The text of a file without comments and without the bodies that decide nothing outside: those with a declared result. */
function visibleText(facts: FileFacts, text: string): string {
  const source = ts.createSourceFile(facts.path, text, ts.ScriptTarget.ESNext, false);
  const isModule = ts.isExternalModule(source) || /\b(module\.exports|exports\.\w|require\()/.test(text);
  const isGlobal = !isModule || /\bdeclare\s+(global|module)\b/.test(text);
  const parts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (
      ts.isFunctionLike(node) &&
      'body' in node &&
      node.body !== undefined &&
      node.type !== undefined &&
      facts.language !== 'javascript'
    ) {
      parts.push(text.slice(node.getStart(source), node.body.pos));
    } else if (node.getChildCount(source) === 0) {
      parts.push(node.getText(source));
    } else {
      for (const child of node.getChildren(source)) visit(child);
    }
  };
  visit(source);
  const ids = facts.definitions.map(({ id, kind }) => `${kind} ${id}`);
  return `${isGlobal ? GLOBAL : ''}${parts.join(' ')}\n${ids.join('\n')}`;
}
