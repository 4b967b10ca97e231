import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Language as Grammar, Parser } from 'web-tree-sitter';
import { grammarMissing } from '../errors';
import type { Language } from './facts';
import { copyTree, type GrammarNames, namesOf, Source, type SyntaxNode } from './syntax-node';

interface GrammarPackage {
  readonly package: string;
  readonly version: string;
  readonly file: string;
}

const GRAMMARS: Readonly<Record<Language, GrammarPackage>> = {
  typescript: { package: 'tree-sitter-typescript', version: '0.23.2', file: 'tree-sitter-typescript.wasm' },
  tsx: { package: 'tree-sitter-typescript', version: '0.23.2', file: 'tree-sitter-tsx.wasm' },
  javascript: { package: 'tree-sitter-javascript', version: '0.25.0', file: 'tree-sitter-javascript.wasm' },
  python: { package: 'tree-sitter-python', version: '0.25.0', file: 'tree-sitter-python.wasm' },
  go: { package: 'tree-sitter-go', version: '0.25.0', file: 'tree-sitter-go.wasm' },
  java: { package: 'tree-sitter-java', version: '0.23.5', file: 'tree-sitter-java.wasm' },
  csharp: { package: 'tree-sitter-c-sharp', version: '0.23.5', file: 'tree-sitter-c_sharp.wasm' },
  rust: { package: 'tree-sitter-rust', version: '0.24.0', file: 'tree-sitter-rust.wasm' },
};

const EXTENSIONS: Readonly<Record<string, Language>> = {
  '.ts': 'typescript',
  '.mts': 'typescript',
  '.cts': 'typescript',
  '.tsx': 'tsx',
  '.js': 'javascript',
  '.mjs': 'javascript',
  '.cjs': 'javascript',
  '.jsx': 'javascript',
  '.py': 'python',
  '.pyi': 'python',
  '.go': 'go',
  '.java': 'java',
  '.cs': 'csharp',
  '.rs': 'rust',
};

interface Loaded {
  readonly parser: Parser;
  readonly names: GrammarNames;
}

const loaded = new Map<Language, Promise<Loaded>>();
let runtime: Promise<void> | undefined;
/** The tree that was parsed last: chunks and symbols of a file are usually read one after the other. */
let latest: { readonly file: string; readonly text: string; readonly root: SyntaxNode } | undefined;

/** The language of a file by its extension; undefined when there is no grammar for it. */
export function languageOf(file: string): Language | undefined {
  return EXTENSIONS[path.posix.extname(file).toLowerCase()];
}

/**
 * The syntax tree of a text; undefined for a language without a grammar. A text with syntax errors has a tree too.
 * @throws {SuiteError} CODE.GRAMMAR_MISSING
 */
export async function parseSource(file: string, text: string): Promise<SyntaxNode | undefined> {
  const language = languageOf(file);
  if (language === undefined) return undefined;
  if (latest?.file === file && latest.text === text) return latest.root;
  const { parser, names } = await loadGrammar(language);
  const tree = parser.parse(text);
  if (tree === null) return undefined;
  const cursor = tree.walk();
  try {
    const root = copyTree(cursor, new Source(text), names);
    latest = { file, text, root };
    return root;
  } finally {
    cursor.delete();
    tree.delete();
  }
}

function loadGrammar(language: Language): Promise<Loaded> {
  const known = loaded.get(language);
  if (known !== undefined) return known;
  const loading = readGrammar(language);
  loaded.set(language, loading);
  // A grammar that is installed later is found without a restart.
  loading.catch(() => loaded.delete(language));
  return loading;
}

async function readGrammar(language: Language): Promise<Loaded> {
  const grammar = await Grammar.load(await readGrammarFile(language));
  const parser = new Parser();
  parser.setLanguage(grammar);
  return { parser, names: namesOf(grammar) };
}

async function readGrammarFile(language: Language): Promise<Uint8Array> {
  runtime ??= Parser.init();
  await runtime;
  const { file, ...grammar } = GRAMMARS[language];
  try {
    return await readFile(require.resolve(`${grammar.package}/${file}`));
  } catch {
    throw grammarMissing({ language, ...grammar });
  }
}
