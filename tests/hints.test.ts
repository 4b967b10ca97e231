/** @server none */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import * as ts from 'typescript';
import { createProgram } from '../packages/fleet/src/commands/index';

const root = repositoryRoot();
const scripts = { ...scriptsOf('services/mint'), ...scriptsOf('.') };
/** The scripts in plain Node that end in the command line. */
const ENTRIES: Readonly<Record<string, string>> = {
  'node scripts/azora-db.js ': '',
  'node scripts/db-setup.js': '',
  'node scripts/db-studio.js': 'studio',
};
const SKIPPED = /(^|\/)(node_modules|dist|generated|tests|images|fixtures)(\/|$)/;
const COMMAND = /(?:npx azora-db|(?<!npx )\bazora-db(?= [a-z])|npm run|npm start|npm test)/;

/** Stands for the value of an expression in a template. */
const EXPRESSION = '\u{fffc}';

/** A command that a text shows, and where. */
interface Hint {
  readonly place: string;
  readonly command: string;
}

describe('a command that a person is asked to type exists', () => {
  it('in the messages of the sources, with all its arguments', async () => {
    const hints = filesBelow(/^(packages\/[^/]+|services\/[^/]+)\/(src|seed)\/.*\.tsx?$|^prisma\/\w+\.ts$/).flatMap(
      hintsInSource,
    );

    expect(hints.length).toBeGreaterThan(40);
    expect(await problemsOf(hints, { complete: true })).toEqual([]);
  });

  it('in the scripts in plain Node', async () => {
    const hints = filesBelow(/^scripts\/[^/]+\.js$/).flatMap(hintsInSource);

    expect(await problemsOf(hints, { complete: true })).toEqual([]);
  });

  it('in the code blocks of documents, with all its arguments', async () => {
    const hints = filesBelow(/\.md$/).flatMap(hintsInBlocks);

    expect(hints.length).toBeGreaterThan(40);
    expect(await problemsOf(hints, { complete: true })).toEqual([]);
  });

  it('in the text of documents, where a command may stand without its arguments', async () => {
    const hints = filesBelow(/\.md$/).flatMap(hintsInText);

    expect(hints.length).toBeGreaterThan(60);
    expect(await problemsOf(hints, { complete: false })).toEqual([]);
  });
});

/** The scripts of the checkout, or of a service, which has the same as every other. */
function scriptsOf(folder: string): Readonly<Record<string, string>> {
  return JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8')).scripts;
}

function filesBelow(pattern: RegExp): readonly string[] {
  return ['packages', 'services', 'prisma', 'scripts', 'docs', '.']
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: folder !== '.', encoding: 'utf8' }).map((entry) =>
        path.posix.join(folder, entry),
      ),
    )
    .filter((file) => pattern.test(file) && !SKIPPED.test(file));
}

/** The commands in the strings of a source: in double quotes, or up to the end of the sentence. */
function hintsInSource(file: string): readonly Hint[] {
  const content = readFileSync(path.join(root, file), 'utf8');
  if (!COMMAND.test(content)) return [];
  const source = ts.createSourceFile(file, content, ts.ScriptTarget.Latest, true);
  const hints: Hint[] = [];
  const visit = (node: ts.Node): void => {
    const text = textOf(node);
    if (text === undefined) {
      ts.forEachChild(node, visit);
      return;
    }
    const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    for (const [, quote = '', command = ''] of text.matchAll(
      /(["`]?)\b((?:npx azora-db|npm run|npm start|npm test)\b[^"`\n]*)/g,
    )) {
      hints.push({ place: `${file}:${line}`, command: quote === '' ? command.replace(/[;,.)|].*$/, '') : command });
    }
  };
  visit(source);
  return hints;
}

/** The text of a string, with a sign in the place of each expression. */
function textOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node) || ts.isJsxText(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return undefined;
  return node.head.text + node.templateSpans.map(({ literal }) => `${EXPRESSION}${literal.text}`).join('');
}

function hintsInBlocks(file: string): readonly Hint[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  return [...text.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) =>
    block
      .split('\n')
      // The prompt and the comments of a terminal session, and the output between its commands.
      .map((line) => line.replace(/(^|\s)#.*$/, ''))
      .filter((line) => COMMAND.test(line) && /^(\$ |npm|npx|psql|[A-Z_]+=|\s*-? ?run:)/.test(line))
      .map((line) => ({ place: file, command: commandIn(line) })),
  );
}

function hintsInText(file: string): readonly Hint[] {
  const text = readFileSync(path.join(root, file), 'utf8').replace(/^```[\s\S]*?^```$/gm, '');
  return [...text.matchAll(/`([^`\n]+)`/g)]
    .filter(([, code = '']) => COMMAND.test(code))
    .map(([, code = '']) => ({ place: file, command: commandIn(code) }));
}

/** The command in a line: from its first word to a pipe, a redirection or the end of a substitution. */
function commandIn(line: string): string {
  const start = line.search(COMMAND);
  return line.slice(start).replace(/( \||;| &&|\)| > | 2>).*$/, '');
}

/** The hints that cannot be typed. Without `complete`, arguments and the verb of a group may be missing. */
async function problemsOf(hints: readonly Hint[], { complete }: { readonly complete: boolean }) {
  const problems: string[] = [];
  for (const { place, command } of hints) {
    const problem = await problemOf(command.trim(), complete);
    if (problem !== undefined) problems.push(`${place}: ${command.trim()}: ${problem}`);
  }
  return problems;
}

async function problemOf(command: string, complete: boolean): Promise<string | undefined> {
  // The name of the program alone, or a list of commands that the program prints.
  if (command === 'npx azora-db' || command.startsWith(`npx azora-db ${EXPRESSION}`)) return undefined;
  const [program, second, ...rest] = wordsOf(command);
  if (program === 'azora-db') return parseProblem(wordsOf(command).slice(1), complete);
  if (program === 'npx') return parseProblem(rest, complete);
  if (second !== 'run') return undefined;
  const [name = '', ...args] = rest.filter((word) => word !== '--silent' && word !== '-s');
  const script = scripts[name];
  if (script === undefined) return 'package.json has no such script';
  const [separator, ...own] = args;
  if (separator !== undefined && separator !== '--') return 'npm needs -- before the arguments of a script';
  const entry = Object.entries(ENTRIES).find(([start]) => script.startsWith(start));
  if (entry === undefined) return undefined;
  return parseProblem([...wordsOf(script.replace(...entry)), ...own], complete);
}

async function parseProblem(words: readonly string[], complete: boolean): Promise<string | undefined> {
  const output = [
    jest.spyOn(process.stderr, 'write').mockReturnValue(true),
    jest.spyOn(process.stdout, 'write').mockReturnValue(true),
  ];
  try {
    await createProgram(() => () => Promise.resolve()).parseAsync(words, { from: 'user' });
  } catch (error) {
    // The parser's error class belongs to the toolkit's own dependency.
    if (!(error instanceof Error && 'exitCode' in error && 'code' in error)) throw error;
    const { exitCode, code, message } = error;
    const isIncomplete = /^commander\.(help|missingArgument|missingMandatoryOptionValue|optionMissingArgument)$/.test(
      String(code),
    );
    if (exitCode !== 0 && (complete || !isIncomplete)) return message;
  } finally {
    for (const spy of output) spy.mockRestore();
  }
  return undefined;
}

/** Splits a command into words as a shell does. A placeholder such as `<service>` or `…` is a word. */
function wordsOf(command: string): readonly string[] {
  const text = command
    .replace(/<[^>]*>/g, 'mint')
    .replaceAll(EXPRESSION, 'mint')
    .replace(/…/g, '');
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? '',
  );
}
