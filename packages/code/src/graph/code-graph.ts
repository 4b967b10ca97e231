import type { CodeEdge, Definition, FileFacts } from '../syntax/facts';
import { FileIndex } from './file-index';
import type { World } from './modules';
import { resolveFile } from './resolve-file';

export interface CodeGraphChange {
  readonly changed: readonly FileFacts[];
  readonly removed: readonly string[];
}

/** The edges of a tree, kept true while its files change. */
export interface CodeGraph {
  /**
   * Takes new facts of changed files, and removes files. Only files whose edges can differ are resolved again: the changed ones,
   * and those that asked for a file or a key whose answer changed.
   * @returns the paths of the files that were resolved again
   */
  update(change: CodeGraphChange): readonly string[];
  /** The edges from the definitions of one file; empty for an unknown file. */
  edgesOf(path: string): readonly CodeEdge[];
  /** All edges, in the order of the paths. */
  edges(): readonly CodeEdge[];
}

/** A graph without files. */
export function openCodeGraph(): CodeGraph {
  return new RecordingGraph();
}

interface Entry {
  readonly index: FileIndex;
  /** What other files can see of this one: its facts without positions, comments and edges. */
  readonly visible: string;
}

interface Resolved {
  readonly edges: readonly CodeEdge[];
  /** The questions that the resolution asked, whether they had an answer or not. */
  readonly asked: ReadonlySet<string>;
}

class RecordingGraph implements CodeGraph {
  readonly #entries = new Map<string, Entry>();
  readonly #byKey = new Map<string, Set<string>>();
  readonly #resolved = new Map<string, Resolved>();
  /** The files that asked a question. */
  readonly #askers = new Map<string, Set<string>>();

  update({ changed, removed }: CodeGraphChange): readonly string[] {
    const questions = new Set<string>();
    const stale = new Set<string>();
    for (const path of removed) {
      this.#replace(path, undefined, questions);
      stale.add(path);
    }
    for (const facts of changed) {
      this.#replace(facts.path, { index: new FileIndex(facts), visible: visibleFacts(facts) }, questions);
      stale.add(facts.path);
    }
    for (const question of questions) for (const asker of this.#askers.get(question) ?? []) stale.add(asker);
    const paths = [...stale].sort();
    for (const path of paths) this.#resolve(path);
    return paths.filter((path) => this.#entries.has(path));
  }

  edgesOf(path: string): readonly CodeEdge[] {
    return this.#resolved.get(path)?.edges ?? [];
  }

  edges(): readonly CodeEdge[] {
    return [...this.#resolved.keys()].sort().flatMap((path) => this.edgesOf(path));
  }

  /** Puts an entry in the place of another and collects the questions that now have another answer. */
  #replace(path: string, next: Entry | undefined, questions: Set<string>): void {
    const before = this.#entries.get(path);
    const isSame = before !== undefined && next !== undefined && before.visible === next.visible;
    for (const entry of [before, next]) {
      if (entry === undefined || isSame) continue;
      questions.add(fileQuestion(path));
      for (const key of entry.index.facts.keys) questions.add(keyQuestion(key));
    }
    for (const key of before?.index.facts.keys ?? []) this.#byKey.get(key)?.delete(path);
    if (next === undefined) {
      this.#entries.delete(path);
      return;
    }
    this.#entries.set(path, next);
    for (const key of next.index.facts.keys) addTo(this.#byKey, key, path);
  }

  #resolve(path: string): void {
    for (const question of this.#resolved.get(path)?.asked ?? []) this.#askers.get(question)?.delete(path);
    this.#resolved.delete(path);
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    const asked = new Set<string>();
    const edges = resolveFile(this.#recording(asked), entry.index);
    this.#resolved.set(path, { edges, asked });
    for (const question of asked) addTo(this.#askers, question, path);
  }

  /** The files of the graph, seen by one resolution that records what it asks. */
  #recording(asked: Set<string>): World {
    return {
      file: (path) => {
        asked.add(fileQuestion(path));
        return this.#entries.get(path)?.index;
      },
      filesOf: (key) => {
        asked.add(keyQuestion(key));
        const paths = [...(this.#byKey.get(key) ?? [])].sort();
        return paths.flatMap((path) => this.#entries.get(path)?.index ?? []);
      },
    };
  }
}

const fileQuestion = (path: string): string => `file ${path}`;
const keyQuestion = (key: string): string => `key ${key}`;

function addTo(map: Map<string, Set<string>>, key: string, path: string): void {
  const found = map.get(key);
  if (found === undefined) map.set(key, new Set([path]));
  else found.add(path);
}

/**
 * A change of a body does not change what others see, as long as the result of its function is declared: otherwise its local
 * variables decide what it returns. A field that a method assigns is evaluated in the scope of the method.
 */
function visibleFacts({ language, module, keys, definitions, imports, exports, implementations }: FileFacts): string {
  const assigning = new Set(
    definitions.flatMap(({ bindings }) => bindings.flatMap(({ value }) => (value.is === 'at' ? [value.scope] : []))),
  );
  const seen = definitions.map((definition: Definition) => {
    const { startLine: _, endLine: __, nameOffset: ___, documentation: ____, ...rest } = definition;
    const isDeclared = /^(function|method)$/.test(rest.kind) && rest.type !== undefined;
    return isDeclared && !assigning.has(rest.id) ? { ...rest, bindings: [], returns: [] } : rest;
  });
  return JSON.stringify({
    language,
    module,
    keys,
    seen,
    imports,
    exports,
    implementations: implementations.map(({ line: _, ...it }) => it),
  });
}
