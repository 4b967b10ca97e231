/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

interface Rules {
  readonly RULES: readonly { readonly pattern: RegExp; readonly wrong: string; readonly right: string }[];
  readonly EXCEPTIONS: Readonly<Record<string, readonly string[]>>;
  readonly findWordings: (
    text: string,
    options: { readonly isParagraph: boolean; readonly file?: string },
  ) => readonly { readonly found: string }[];
}

interface Texts {
  readonly textsOf: (
    file: string,
    source: string,
  ) => readonly { readonly kind: string; readonly text: string; readonly line: number }[];
}

const { RULES, EXCEPTIONS, findWordings } = require('../prose/rules.js') as Rules;
const { textsOf } = require('../prose/texts.js') as Texts;

describe('the rules for prose', () => {
  it.each(RULES)('reject "$wrong"', ({ wrong, pattern }) => {
    expect([...wrong.matchAll(pattern)]).not.toEqual([]);
  });

  it.each(RULES)('accept "$right"', ({ right }) => {
    expect(findWordings(right, { isParagraph: true })).toEqual([]);
  });

  it('keep a short list of exceptions', () => {
    expect(Object.values(EXCEPTIONS).flat().length).toBeLessThanOrEqual(20);
  });
});

describe('textsOf', () => {
  it('finds messages, help texts, comments and test titles with their lines', () => {
    expect(textsOf('probe.ts', SOURCE)).toEqual([
      { kind: 'message', text: '… is not a valid id', line: 3 },
      { kind: 'message', text: 'The id has … characters.', line: 4 },
      { kind: 'message', text: 'list every backup', line: 9 },
      { kind: 'title', text: 'rejects an empty id', line: 10 },
      { kind: 'title', text: 'rejects the id %s', line: 11 },
      { kind: 'comment', text: 'Reads an id, as xxxxxxx prints it.', line: 1 },
      { kind: 'comment', text: 'Two lines\nthat are one comment.', line: 6 },
    ]);
  });

  it('finds the texts of the command line', () => {
    const file = 'packages/fleet/src/commands/docs.ts';

    const texts = textsOf(file, readFileSync(path.join(repositoryRoot(), file), 'utf8')).map(({ text }) => text);

    expect(texts).toContainEqual(expect.stringContaining('write nothing; exit 4'));
  });
});

const SOURCE = `/** Reads an id, as \`newId\` prints it. */
export function badId(id: string): SuiteError {
  return new SuiteError('AREA.REASON', \`\${id} is not a valid id\`, {
    why: \`The id has \${id.length} characters.\`,
  });
  // Two lines
  // that are one comment.
}
program.command('list').summary('list every backup');
it('rejects an empty id', () => undefined);
it.each(IDS)('rejects the id %s', () => undefined);
`;
