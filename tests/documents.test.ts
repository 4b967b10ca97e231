/** @server none */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

const root = repositoryRoot();
const DECISIONS = readdirSync(path.join(root, 'docs/decisions')).map((name) => `docs/decisions/${name}`);
const DOCUMENTS = ['docs/ARCHITECTURE.md', 'docs/GLOSSARY.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...DECISIONS];
/** A path from the root of the checkout: at least one slash, no placeholder, and not the name of an npm package. */
const PATH = /^(?!@)[\w.-]+\/(?:[\w.-]+\/?)*$/;

describe('the documents about the code', () => {
  it.each(['docs/ARCHITECTURE.md', 'CONTRIBUTING.md', ...DECISIONS])(
    '%s: every path in backticks exists',
    (document) => {
      const paths = codeIn(document).filter((code) => PATH.test(code));

      expect(paths.filter((it) => !existsSync(path.join(root, it)))).toEqual([]);
    },
  );

  it.each(DOCUMENTS)('%s: every relative link leads to a file', (document) => {
    const links = [...read(document).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, target = '']) => target);

    expect(links.filter((it) => !existsSync(path.join(root, path.dirname(document), it)))).toEqual([]);
  });

  it('name enough paths in ARCHITECTURE.md for this test to mean something', () => {
    expect(codeIn('docs/ARCHITECTURE.md').filter((code) => PATH.test(code)).length).toBeGreaterThan(30);
  });

  it.each(DECISIONS)('%s has a number, a context, a choice and its cost', (document) => {
    const number = Number.parseInt(path.basename(document), 10);
    const headings = [...read(document).matchAll(/^#+ .*$/gm)].map(([heading]) => heading);

    const title: unknown = expect.stringMatching(new RegExp(`^# ${number}\\. `));
    expect(headings).toEqual([title, '## Context', '## Choice', '## What we gave up']);
  });

  it('number the decisions from 1 without a gap', () => {
    const numbers = DECISIONS.map((document) => Number.parseInt(path.basename(document), 10));

    expect(numbers).toEqual(DECISIONS.map((_, index) => index + 1));
  });

  it('define each word of the glossary once', () => {
    const words = [...read('docs/GLOSSARY.md').matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell = '']) =>
      cell.split(', '),
    );
    const defined = words.filter((word) => word !== 'word');

    expect(defined.filter((word, index) => defined.indexOf(word) !== index)).toEqual([]);
  });
});

/** The text of every code span outside code blocks. */
function codeIn(document: string): readonly string[] {
  const text = read(document).replace(/^```[\s\S]*?^```$/gm, '');
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
}

function read(document: string): string {
  return readFileSync(path.join(root, document), 'utf8');
}
