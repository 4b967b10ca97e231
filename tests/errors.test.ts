/** @server none */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import * as ts from 'typescript';

const root = repositoryRoot();
const PAGE = 'packages/studio/src';
const FOLDERS = [
  'packages/code/src',
  'packages/core/src',
  'packages/events/src',
  'packages/fleet/src',
  'packages/flows/src',
  'packages/import/src',
  'packages/migrate/src',
  PAGE,
  'prisma',
  'services',
];
const CODE = /^[A-Z]{3,}\.[A-Z][A-Z0-9_]+$/;

/** A place that creates an error with this code. `kind` is undefined when the sources do not show it. */
interface Construction {
  readonly code: string;
  readonly kind: string | undefined;
  readonly place: string;
}

/** A function that creates errors with a code from its parameters. */
interface Factory {
  readonly name: string;
  readonly file: string;
  readonly parameter: number;
  /** Undefined when the caller decides, in an object with `kind`. */
  readonly kind: string | undefined;
}

/**
 * The kinds that this test cannot read in the sources: the seed's process sends SEED.FAILED to its parent as a message,
 * and one BACKUP.STORAGE_FAILED spreads a value that has no kind.
 */
const DECLARED: Readonly<Record<string, string>> = { 'SEED.FAILED': 'failure', 'BACKUP.STORAGE_FAILED': 'failure' };
/** The kinds of the errors that the page of the studio describes itself; a page has no SuiteError and no exit code. */
const PAGE_KINDS: Readonly<Record<string, string>> = { 'STUDIO.GONE': 'failure', 'STUDIO.PAGE': 'bug' };
/** They rebuild the errors that the processes of the seed and of a service sent. */
const REBUILDS: readonly string[] = [
  'packages/fleet/src/operations/seed.ts',
  'packages/fleet/src/operations/service-program.ts',
];

function sources(): readonly ts.SourceFile[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((entry) => /\.tsx?$/.test(entry) && !/(^|\/)(node_modules|dist|generated|tests)\//.test(entry))
      .map((entry) => {
        const file = path.posix.join(folder, entry);
        return ts.createSourceFile(file, readFileSync(path.join(root, file), 'utf8'), ts.ScriptTarget.Latest, true);
      }),
  );
}

function nodesOf(node: ts.Node): readonly ts.Node[] {
  const nodes: ts.Node[] = [];
  const visit = (it: ts.Node) => {
    nodes.push(it);
    ts.forEachChild(it, visit);
  };
  visit(node);
  return nodes;
}

function placeOf(node: ts.Node): string {
  const file = node.getSourceFile();
  return `${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}

/** The `kind` in an error's details; `failure` when they are known not to have one. */
function kindOf(details: ts.Expression | undefined): string | undefined {
  if (details === undefined) return 'failure';
  if (!ts.isObjectLiteralExpression(details)) return undefined;
  for (const property of details.properties) {
    if (ts.isSpreadAssignment(property) && !isWithoutKind(property.expression)) return undefined;
    if (property.name?.getText() !== 'kind') continue;
    const isLiteral = ts.isPropertyAssignment(property) && ts.isStringLiteral(property.initializer);
    return isLiteral ? (property.initializer as ts.StringLiteral).text : undefined;
  }
  return 'failure';
}

/** Whether a spread value is made of object literals without `kind`, such as `known ? { why } : {}`. */
function isWithoutKind(value: ts.Expression): boolean {
  if (ts.isParenthesizedExpression(value)) return isWithoutKind(value.expression);
  if (ts.isConditionalExpression(value)) return isWithoutKind(value.whenTrue) && isWithoutKind(value.whenFalse);
  return ts.isObjectLiteralExpression(value) && value.properties.every(({ name }) => name && name.getText() !== 'kind');
}

/** The named function around a node that has this parameter, and the parameter's position. */
function parameterOf(node: ts.Node, name: string): Omit<Factory, 'kind'> | undefined {
  for (let around: ts.Node | undefined = node; around !== undefined; around = around.parent) {
    if (!ts.isFunctionLike(around)) continue;
    const parameter = around.parameters.findIndex((it) => it.name.getText() === name);
    const named = around.name ?? (ts.isVariableDeclaration(around.parent) ? around.parent.name : undefined);
    if (parameter !== -1 && named !== undefined) {
      return { name: named.getText(), file: node.getSourceFile().fileName, parameter };
    }
  }
  return undefined;
}

/** Whether a file uses this factory under its name: it contains the factory, or imports it. */
function uses(file: ts.SourceFile, { name, file: home }: Factory): boolean {
  if (file.fileName === home) return true;
  return file.statements.filter(ts.isImportDeclaration).some(({ moduleSpecifier, importClause }) => {
    const names = importClause?.namedBindings;
    const specifier = (moduleSpecifier as ts.StringLiteral).text;
    const isHome = specifier.startsWith('@azora/') || path.basename(specifier) === path.basename(home, '.ts');
    return isHome && names && ts.isNamedImports(names) && names.elements.some((it) => it.name.text === name);
  });
}

interface Creation {
  readonly node: ts.CallExpression | ts.NewExpression;
  readonly code: ts.Expression;
  readonly kind: string | undefined;
}

/** The calls that create errors: `new SuiteError(code, …)`, and the calls of known factories. */
function creations(files: readonly ts.SourceFile[], factories: readonly Factory[]): readonly Creation[] {
  return files.flatMap((file) =>
    nodesOf(file).flatMap((node): Creation[] => {
      if (ts.isNewExpression(node)) return constructorCall(node);
      return ts.isCallExpression(node) ? factoryCall(file, node, factories) : [];
    }),
  );
}

function constructorCall(node: ts.NewExpression): Creation[] {
  const [code, , details] = node.arguments ?? [];
  if (node.expression.getText() !== 'SuiteError' || code === undefined) return [];
  return [{ node, code, kind: kindOf(details) }];
}

function factoryCall(file: ts.SourceFile, node: ts.CallExpression, factories: readonly Factory[]): Creation[] {
  const factory = factories.find((it) => it.name === node.expression.getText() && uses(file, it));
  const code = factory === undefined ? undefined : node.arguments[factory.parameter];
  if (factory === undefined || code === undefined) return [];
  const details = node.arguments.find(ts.isObjectLiteralExpression);
  return [{ node, code, kind: factory.kind ?? (details === undefined ? undefined : kindOf(details)) }];
}

/** Every place that creates an error with a literal code, and the places whose code is not known. */
function readConstructions(files: readonly ts.SourceFile[]): { found: Construction[]; unknown: string[] } {
  const factories: Factory[] = [];
  for (;;) {
    const all = creations(files, factories);
    const dynamic = all.filter(({ code }) => !ts.isStringLiteral(code));
    const made = dynamic.flatMap(({ node, code, kind }): Factory[] => {
      const factory = parameterOf(node, code.getText());
      const isKnown = factories.some(({ name, file }) => name === factory?.name && file === factory.file);
      return factory === undefined || isKnown ? [] : [{ ...factory, kind }];
    });
    if (made.length > 0) {
      factories.push(...made);
      continue;
    }
    const unknown = dynamic.filter(
      ({ node, code }) =>
        parameterOf(node, code.getText()) === undefined && !REBUILDS.includes(node.getSourceFile().fileName),
    );
    const found = all.flatMap(({ node, code, kind }): Construction[] =>
      ts.isStringLiteral(code) ? [{ code: code.text, kind, place: placeOf(node) }] : [],
    );
    return { found, unknown: unknown.map(({ node }) => placeOf(node)) };
  }
}

/** The errors that the page of the studio describes: objects with a literal code and a message. */
function pageErrors(files: readonly ts.SourceFile[]): readonly Construction[] {
  const nodes = files.filter(({ fileName }) => fileName.startsWith(`${PAGE}/`)).flatMap(nodesOf);
  return nodes.filter(ts.isObjectLiteralExpression).flatMap((node): Construction[] => {
    const code = node.properties.find((it) => it.name?.getText() === 'code');
    const hasMessage = node.properties.some((it) => it.name?.getText() === 'message');
    if (!hasMessage || code === undefined || !ts.isPropertyAssignment(code)) return [];
    if (!ts.isStringLiteral(code.initializer)) return [];
    return [{ code: code.initializer.text, kind: PAGE_KINDS[code.initializer.text], place: placeOf(node) }];
  });
}

describe('docs/errors.md', () => {
  const files = sources();
  const { found, unknown } = readConstructions(files);
  const constructions = [
    ...pageErrors(files),
    ...found.map((it): Construction => ({ ...it, kind: it.kind ?? DECLARED[it.code] })),
    ...Object.entries(DECLARED).map(([code, kind]): Construction => ({ code, kind, place: __filename })),
  ];
  const text = readFileSync(path.join(root, 'docs', 'errors.md'), 'utf8');
  const rows = [...text.matchAll(/^\| (.*)`([A-Z0-9_.]+)` \| .* \| (\w+) \|$/gm)].map(
    ([, anchor = '', code = '', kind = '']) => ({ anchor, code, kind }),
  );

  it('is about errors whose code and kind the sources show', () => {
    expect(unknown).toEqual([]);
    expect(constructions.filter(({ kind }) => kind === undefined)).toEqual([]);
  });

  it('lists every error code with its kind, and no other code', () => {
    const pairs = new Set(constructions.map(({ code, kind }) => `${code} ${kind}`));

    expect(rows.map(({ code, kind }) => `${code} ${kind}`)).toEqual([...pairs].sort());
  });

  it('has an anchor for each code, to which the message of the error points', () => {
    const wrong = rows.filter(({ anchor, code }) => anchor !== `<a id="${code}"></a>`);

    expect(wrong.map(({ code }) => `| <a id="${code}"></a>\`${code}\` | …`)).toEqual([]);
  });

  it('gives each code one kind', () => {
    const codes = [...new Set(constructions.map(({ code }) => code))];
    const kindsOf = (code: string) => new Set(constructions.filter((it) => it.code === code).map(({ kind }) => kind));
    const places = (code: string) =>
      constructions.filter((it) => it.code === code).map((it) => `${it.kind} ${it.place}`);

    expect(codes.filter((code) => kindsOf(code).size > 1).flatMap(places)).toEqual([]);
  });

  it('has a row for each code that the sources compare with', () => {
    const known = new Set(rows.map(({ code }) => code));
    const mentioned = files.flatMap((file) =>
      nodesOf(file).filter((node): node is ts.StringLiteral => ts.isStringLiteral(node) && CODE.test(node.text)),
    );

    expect(mentioned.filter((node) => !known.has(node.text)).map((node) => `${node.text} ${placeOf(node)}`)).toEqual(
      [],
    );
  });
});

describe('the sentence about exit codes', () => {
  const source = readFileSync(path.join(root, 'packages/fleet/src/commands/exit-codes.ts'), 'utf8');
  const sentence = /'(Exit codes: [^']+)'/.exec(source)?.[1] ?? '';

  it.each(['README.md', 'docs/errors.md'])('is the same in %s as in --help', (file) => {
    const text = readFileSync(path.join(root, file), 'utf8').replaceAll(/\s+/g, ' ');

    expect({ file, repeats: text.includes(`${sentence}.`) ? sentence : 'another sentence' }).toEqual({
      file,
      repeats: sentence,
    });
  });

  it('names every code', () => {
    expect([...sentence.matchAll(/\d+/g)].map(([code]) => Number(code))).toEqual([0, 1, 2, 4, 130]);
  });
});
