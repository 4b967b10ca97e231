/** @server none */
import { testEffort } from '@azora/db-testkit';
import fc from 'fast-check';
import { chunkFile, MAX_CHUNK_CHARACTERS, readSymbols } from '../src';
import { readFixture } from './fixtures';

const LANGUAGES = ['python', 'go', 'java', 'csharp', 'rust', 'typescript', 'javascript'];

const body = (lines: number) =>
  Array.from({ length: lines }, (_, line) => `    total = total + ${line} * factor`).join('\n');

describe('chunkFile', () => {
  it('keeps a definition that fits whole, with its comments', async () => {
    const text = [
      'import math',
      '',
      '# Adds up.',
      '# Slowly.',
      `def first(total, factor):\n${body(40)}`,
      '',
      `def second(total, factor):\n${body(40)}`,
      '',
    ].join('\n');

    const chunks = await chunkFile('a.py', text);

    expect(chunks.map(({ kind, name, startLine, endLine }) => ({ kind, name, startLine, endLine }))).toEqual([
      { kind: 'function', name: 'first', startLine: 1, endLine: 46 },
      { kind: 'function', name: 'second', startLine: 47, endLine: 87 },
    ]);
  });

  it('cuts a class that does not fit between its methods', async () => {
    const method = (name: string) => `  def ${name}(self, total, factor):\n${body(30)}\n`;
    const text = `class Big:\n  """Much."""\n\n${method('one')}\n${method('two')}\n${method('three')}`;

    const chunks = await chunkFile('a.py', text);

    expect(chunks.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'method Big.one',
      'method Big.two',
      'method Big.three',
    ]);
    expect(chunks.map(({ text: own }) => own).join('')).toBe(text);
  });

  it('joins small definitions', async () => {
    const chunks = await chunkFile('a.ts', 'export const a = 1;\nexport const b = 2;\n\nfunction c() {}\n');

    expect(chunks).toHaveLength(1);
  });

  it('cuts Markdown at its headings, and not inside fenced code', async () => {
    const filler = `${'word '.repeat(220)}\n`;
    const text = `Lead ${filler}\n# One\n${filler}\n\`\`\`sh\n# not a heading\n\`\`\`\n\nTwo\n---\n${filler}\n### Three\n${filler}`;

    const chunks = await chunkFile('README.md', text);

    expect(chunks.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'text undefined',
      'section One',
      'section Two',
      'section Three',
    ]);
    expect(chunks.map(({ text: own }) => own).join('')).toBe(text);
  });

  it('cuts other text at empty lines', async () => {
    const paragraph = `${'word '.repeat(200)}\n\n`;

    const chunks = await chunkFile('notes.txt', paragraph.repeat(3));

    expect(chunks.map(({ kind, text }) => `${kind} ${text === paragraph}`)).toEqual(Array(3).fill('text true'));
  });

  it('has no chunk for an empty text', async () => {
    expect(await chunkFile('a.ts', '')).toEqual([]);
  });

  it.each(LANGUAGES)('covers the files of %s, and cuts no definition that fits', async (language) => {
    for (const { facts, text } of await readFixture(language)) {
      const chunks = await chunkFile(facts.path, text);

      expect(chunks.map((chunk) => chunk.text).join('')).toBe(text);
      const { definitions } = await readSymbols(facts.path, text);
      const cut = definitions.filter(({ startLine, endLine, kind }) => {
        const size =
          text
            .split('\n')
            .slice(startLine - 1, endLine)
            .join('\n').length + 1;
        const holds = chunks.some((chunk) => chunk.startLine <= startLine && endLine <= chunk.endLine);
        return kind !== 'file' && size <= MAX_CHUNK_CHARACTERS && !holds;
      });
      expect(cut).toEqual([]);
    }
  });

  it('covers random text with chunks of the allowed size, in every kind of file', async () => {
    const line = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 80 }),
      fc.constantFrom('', '# Title', 'def f():', 'class A {', '}', '  x = 1', '```', '---', '\t', '\r'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 5 }).map((it) => it.repeat(600)),
    );
    const text = fc.array(line, { maxLength: 60 }).map((lines) => lines.join('\n'));

    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('a.py', 'a.ts', 'a.md', 'a.txt', 'a.rs', 'A.java'),
        text,
        async (path, given) => {
          const chunks = await chunkFile(path, given);

          expect(chunks.map((chunk) => chunk.text).join('')).toBe(given);
          expect(chunks.filter((chunk) => chunk.text === '' || chunk.text.length > MAX_CHUNK_CHARACTERS)).toEqual([]);
          expect(await chunkFile(path, given)).toEqual(chunks);
        },
      ),
      { numRuns: 60 * testEffort() },
    );
  });
});
