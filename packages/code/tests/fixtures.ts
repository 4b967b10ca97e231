import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type CodeEdge, type FileFacts, readSymbols } from '../src';

export const FIXTURES = path.join(__dirname, 'fixtures');

export interface FixtureFile {
  readonly facts: FileFacts;
  readonly text: string;
}

/** The files of the fixture of a language, in the order of their paths. */
export async function readFixture(language: string): Promise<readonly FixtureFile[]> {
  const root = path.join(FIXTURES, language);
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && entry.name !== 'expected-edges.json')
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort();
  const read: FixtureFile[] = [];
  for (const file of files) {
    const text = readFileSync(path.join(root, file), 'utf8');
    read.push({ facts: await readSymbols(file, text), text });
  }
  return read;
}

/** Overloads have one name in the annotations. */
const plain = (id: string): string => id.replace(/~\d+$/, '');
export const arrow = ({ from, to }: { readonly from: string; readonly to: string }): string =>
  `${plain(from)} -> ${plain(to)}`;

export interface Score {
  readonly recall: number;
  readonly precision: number;
  readonly missing: readonly string[];
  readonly wrong: readonly string[];
}

/** Compares the calls among edges with those that the annotations of a fixture expect. */
export function scoreCalls(language: string, edges: readonly CodeEdge[]): Score {
  const annotated = JSON.parse(readFileSync(path.join(FIXTURES, language, 'expected-edges.json'), 'utf8')).edges;
  const expected = new Set<string>(annotated.map(arrow));
  const found = new Set(edges.filter(({ kind }) => kind === 'calls').map(arrow));
  const missing = [...expected].filter((it) => !found.has(it));
  const wrong = [...found].filter((it) => !expected.has(it));
  const right = found.size - wrong.length;
  return { recall: right / expected.size, precision: right / found.size, missing, wrong };
}
