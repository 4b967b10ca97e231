import type { FileFacts, Language } from './facts';
import { emptyFacts, FactsBuilder } from './facts-builder';
import { csharp } from './languages/csharp';
import { go } from './languages/go';
import { java } from './languages/java';
import { python } from './languages/python';
import { rust } from './languages/rust';
import { script } from './languages/script';
import { languageOf, parseSource } from './parse';
import { type Reader, walkSyntax } from './walker';

const READERS: Readonly<Record<Language, Reader>> = {
  typescript: script,
  tsx: script,
  javascript: script,
  python,
  go,
  java,
  csharp,
  rust,
};

/**
 * The definitions of a source file and its edges with names that are not yet looked up. The result depends on the path and the
 * text only. A file in another language has one definition, the file itself; `go.mod` says the path of its module.
 * @param path relative to the root of the tree, with `/`
 * @throws {SuiteError} CODE.GRAMMAR_MISSING
 */
export async function readSymbols(path: string, text: string): Promise<FileFacts> {
  const language = languageOf(path);
  const root = await parseSource(path, text);
  if (language === undefined || root === undefined) return factsWithoutGrammar(path, text);
  const builder = new FactsBuilder(path, language, root);
  builder.module = moduleOf(path, language);
  walkSyntax(builder, READERS[language]);
  addKeys(builder, language);
  return builder.facts();
}

/** The module of a file in the languages where its path names it. */
function moduleOf(path: string, language: Language): string {
  if (language === 'go' || language === 'java' || language === 'csharp') return '';
  const plain = path.replace(/\.[^./]+$/, '').replace(/\/(__init__|mod)$/, '');
  return language === 'python' ? plain.replaceAll('/', '.') : language === 'rust' ? plain.replaceAll('/', '::') : plain;
}

function addKeys(builder: FactsBuilder, language: Language): void {
  const { path } = builder;
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
  if (language === 'python') builder.key(`python:${folder}`);
  if (language === 'java') builder.key(builder.module === '' ? `java:@${folder}` : `java:${builder.module}`);
}

function factsWithoutGrammar(path: string, text: string): FileFacts {
  const isGoModule = path === 'go.mod' || path.endsWith('/go.mod');
  const lines = text.split('\n').length;
  return {
    path,
    language: undefined,
    module: isGoModule ? (/^module\s+"?([^\s"]+)/m.exec(text)?.[1] ?? '') : '',
    keys: isGoModule ? ['go.mod'] : [],
    definitions: [{ ...emptyFacts(path), endLine: lines }],
    imports: [],
    exports: [],
    implementations: [],
    edges: [],
  };
}
