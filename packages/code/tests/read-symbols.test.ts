/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { type Definition, languageOf, readSymbols } from '../src';

const shown = ({ kind, scopedName, startLine, endLine }: Definition) => `${kind} ${scopedName} ${startLine}-${endLine}`;

describe('readSymbols', () => {
  it('reads what a definition of TypeScript is', async () => {
    const text = [
      '/** Keeps users. */',
      '@Injectable()',
      'export class Store<T extends Row> extends Base implements Port {',
      '  // How many.',
      '  count = 0;',
      '  constructor(private readonly db: Db) { super(); }',
      '  get size(): number { return this.count; }',
      '  async find(id: string, ...rest: string[]): Promise<T> { return this.db.one(id); }',
      '}',
      'export const make = (db: Db) => new Store(db);',
      'enum Color { Red }',
      'namespace Inner { export function deep() {} }',
      'type Alias = Store<Row>;',
    ].join('\n');

    const { definitions, language } = await readSymbols('src/store.ts', text);

    expect(language).toBe('typescript');
    expect(definitions.map(shown)).toEqual([
      'file store.ts 1-13',
      'class Store 1-9',
      'field Store.count 4-5',
      'constructor Store.constructor 6-6',
      'field Store.db 6-6',
      'property Store.size 7-7',
      'method Store.find 8-8',
      'function make 10-10',
      'enum Color 11-11',
      'field Color.Red 11-11',
      'namespace Inner 12-12',
      'function Inner.deep 12-12',
      'type Alias 13-13',
    ]);
    expect(definitions[1]).toMatchObject({ qualifiedName: 'src/store.Store', documentation: 'Keeps users.' });
    expect(definitions.find(({ name }) => name === 'find')).toMatchObject({
      id: 'src/store.ts#Store.find',
      signature: 'async find(id: string, ...rest: string[]): Promise<T>',
      parameters: [1, Number.MAX_SAFE_INTEGER],
    });
  });

  it.each([
    [
      'a/b.py',
      '@dataclass\nclass A(B):\n    """Doc."""\n    x: int = 1\n\n    def go(self):\n        def inner():\n            pass\n\nLIMIT = 1\n',
      ['class A 1-8', 'field A.x 4-4', 'method A.go 6-8', 'function A.go.inner 7-8', 'variable LIMIT 10-10'],
    ],
    [
      'a.go',
      'package a\n\n// Doc.\ntype A struct {\n\tX int\n}\n\nfunc (a *A) Go() {}\n\ntype I interface {\n\tGo()\n}\n\nvar v = 1\n',
      [
        'struct A 3-6',
        'field A.X 5-5',
        'method A.Go 8-8',
        'interface I 10-12',
        'method I.Go 11-11',
        'variable v 14-14',
      ],
    ],
    [
      'A.java',
      'package p;\n/** Doc. */\nclass A {\n  int x;\n  A() {}\n  void go() {}\n  record R(int y) {}\n  enum E { ONE }\n  interface I {}\n}\n',
      [
        'class A 2-10',
        'field A.x 4-4',
        'constructor A.A 5-5',
        'method A.go 6-6',
        'record A.R 7-7',
        'field A.R.y 7-7',
        'enum A.E 8-8',
        'field A.E.ONE 8-8',
        'interface A.I 9-9',
      ],
    ],
    [
      'a.cs',
      'namespace N.M {\n  /// <summary>Doc.</summary>\n  class A {\n    int x;\n    public int P { get; }\n    A() {}\n    void Go() {}\n  }\n  struct S {}\n  record R(int Y);\n}\n',
      [
        'class A 2-8',
        'field A.x 4-4',
        'property A.P 5-5',
        'constructor A.A 6-6',
        'method A.Go 7-7',
        'struct S 9-9',
        'record R 10-10',
        'property R.Y 10-10',
      ],
    ],
    [
      'a.rs',
      '/// Doc.\n#[derive(Debug)]\npub struct A {\n    x: u8,\n}\n\nimpl A {\n    // Goes.\n    fn go(&self) {}\n}\n\ntrait T {}\nenum E { One }\nmod m {\n    const C: u8 = 1;\n}\n',
      [
        'struct A 1-5',
        'field A.x 4-4',
        'method A.go 8-9',
        'interface T 12-12',
        'enum E 13-13',
        'field E.One 13-13',
        'namespace m 14-16',
        'variable m.C 15-15',
      ],
    ],
    [
      'a.js',
      '// Doc.\nfunction A() {}\nA.prototype.go = function () {};\nconst o = { m() {}, n: () => 1 };\nclass B { #p() {} }\n',
      [
        'function A 1-2',
        'method A.go 3-3',
        'variable o 4-4',
        'method o.m 4-4',
        'function o.n 4-4',
        'class B 5-5',
        'method B.#p 5-5',
      ],
    ],
  ])('reads the definitions of %s', async (file, text, expected) => {
    const { definitions } = await readSymbols(file, text);

    expect(definitions.slice(1).map(shown)).toEqual(expected);
    expect(definitions.find(({ documentation }) => documentation !== undefined)?.documentation).toMatch(/Doc\./);
  });

  it('names packages and namespaces before the name', async () => {
    const java = await readSymbols('A.java', 'package com.acme;\nclass A { class B {} }');
    const csharp = await readSymbols('a.cs', 'namespace N { namespace M { class A {} } class B {} }');

    expect(java.definitions.map(({ qualifiedName }) => qualifiedName)).toEqual([
      'A.java',
      'com.acme.A',
      'com.acme.A.B',
    ]);
    expect(csharp.definitions.map(({ qualifiedName }) => qualifiedName)).toEqual(['a.cs', 'N.M.A', 'N.B']);
    expect(csharp.keys).toEqual(['csharp:N', 'csharp:N.M']);
  });

  it('has the file itself for a language without a grammar, and the module of go.mod', async () => {
    expect(await readSymbols('a.sql', 'SELECT 1;\n')).toMatchObject({
      language: undefined,
      definitions: [{ kind: 'file', id: 'a.sql' }],
      edges: [],
    });
    expect(await readSymbols('x/go.mod', 'module example.com/x\n')).toMatchObject({
      module: 'example.com/x',
      keys: ['go.mod'],
    });
  });

  it.each(['a.ts', 'a.tsx', 'a.js', 'a.py', 'a.go', 'A.java', 'a.cs', 'a.rs'])(
    'reads %s with syntax errors, no text, or deep nesting',
    async (file) => {
      const texts = [
        '',
        ')]}{[(',
        'class A { def ( func } fn',
        `x = ${'('.repeat(5_000)}1`,
        'a.'.repeat(5_000),
        '\uFEFFx',
        'class \u{1F600}',
      ];

      for (const text of texts)
        expect((await readSymbols(file, text)).definitions[0]).toMatchObject({ id: file, kind: 'file' });
    },
  );

  it('knows the languages by their extensions', () => {
    const files = ['a.mts', 'b.d.ts', 'c.jsx', 'd.PY', 'e.pyi', 'f.txt', 'Makefile'];

    expect(files.map(languageOf)).toEqual([
      'typescript',
      'typescript',
      'javascript',
      'python',
      'python',
      undefined,
      undefined,
    ]);
  });
});

describe('a grammar that is not installed', () => {
  const root = repositoryRoot();
  const { peerDependencies } = JSON.parse(readFileSync(path.join(root, 'packages/code/package.json'), 'utf8'));

  it('is named with the command that installs it', async () => {
    jest.resetModules();
    // The loader of the grammar finds no file, as without the package.
    jest.doMock('node:fs/promises', () => ({
      ...jest.requireActual('node:fs/promises'),
      readFile: () => Promise.reject(new Error('missing')),
    }));
    const read: typeof readSymbols = jest.requireActual('../src/syntax/read-symbols').readSymbols;

    await expect(read('a.go', 'package a')).rejects.toMatchObject({
      code: 'CODE.GRAMMAR_MISSING',
      next: `Run: npm install tree-sitter-go@${peerDependencies['tree-sitter-go']}`,
    });
    jest.dontMock('node:fs/promises');
  });
});
