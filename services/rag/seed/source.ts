import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file of this repository, as it is indexed in the first workspace. */
export interface SourceFile {
  /** Relative to the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly sha256: string;
}

/** A function, class or interface at the top level of a file. Lines count from 1. */
export interface Declaration {
  readonly file: SourceFile;
  readonly name: string;
  readonly kind: 'Function' | 'Class' | 'Interface';
  readonly startLine: number;
  readonly endLine: number;
  readonly signature: string;
  readonly documentation: string | null;
  readonly body: string;
}

const SOURCE_FOLDER = 'packages/core/src';
const MAX_FILES = 40;
const LINES_PER_CHUNK = 40;

/** Reads the files that the seed indexes, in alphabetical order. */
export function readSourceFiles(repositoryRoot: string): SourceFile[] {
  const names = readdirSync(join(repositoryRoot, SOURCE_FOLDER)).filter((name) => name.endsWith('.ts'));
  return names
    .sort()
    .slice(0, MAX_FILES)
    .map((name) => {
      const text = readFileSync(join(repositoryRoot, SOURCE_FOLDER, name), 'utf8').replaceAll('\r\n', '\n');
      const sha256 = createHash('sha256').update(text).digest('hex');
      return { path: `${SOURCE_FOLDER}/${name}`, text, sha256 };
    });
}

/** Splits a file into chunks of {@link LINES_PER_CHUNK} lines. */
export function splitIntoChunks({ text }: SourceFile): string[] {
  const lines = text.trimEnd().split('\n');
  const count = Math.ceil(lines.length / LINES_PER_CHUNK);
  return Array.from({ length: count }, (_, index) =>
    lines.slice(index * LINES_PER_CHUNK, (index + 1) * LINES_PER_CHUNK).join('\n'),
  );
}

const DECLARATION = /^(?:export )?(?:async )?(function\*?|class|interface) (\w+)/;

/** Relies on the style of this repository: a declaration and its closing brace begin in the first column. */
export function findDeclarations(file: SourceFile): Declaration[] {
  const lines = file.text.split('\n');
  return lines.flatMap((line, index) => {
    const [, keyword = '', name = ''] = DECLARATION.exec(line) ?? [];
    if (name === '') return [];
    const kind = keyword === 'class' ? 'Class' : keyword === 'interface' ? 'Interface' : 'Function';
    // A declaration on one line ends where it begins.
    const end = line.endsWith('}')
      ? index
      : lines.findIndex((candidate, at) => at > index && candidate.startsWith('}'));
    const endLine = Math.max(end, index) + 1;
    const signature = line.replace(/ \{.*$/, '');
    const body = lines.slice(index, endLine).join('\n');
    return [
      { file, name, kind, startLine: index + 1, endLine, signature, documentation: commentAbove(lines, index), body },
    ];
  });
}

/** Returns the paths of the files that a file imports or re-exports. */
export function findImports(file: SourceFile): string[] {
  const targets = file.text.matchAll(/ from '\.\/([\w-]+)'/g);
  return [...new Set([...targets].map(([, name]) => `${SOURCE_FOLDER}/${name}.ts`))];
}

function commentAbove(lines: readonly string[], index: number): string | null {
  const first = lines.slice(0, index).findLastIndex((line) => line.startsWith('/**'));
  const comment = first === -1 ? [] : lines.slice(first, index);
  if (!comment.at(-1)?.endsWith('*/') || comment.slice(0, -1).some((line) => line.endsWith('*/'))) return null;
  return comment
    .map((line) => line.replace(/^\s*\/?\*{1,2}\/?\s?|\s*\*\/$/g, ''))
    .join('\n')
    .trim();
}
