/** @server none */
import path from 'node:path';
import {
  type CodeEdge,
  type EdgeKind,
  openSemanticGraph,
  readSemanticEdges,
  readSymbols,
  type SemanticSource,
} from '../src';
import { arrow, FIXTURES, readFixture, scoreCalls } from './fixtures';
import { useFolder, writeTree } from './trees';

async function sourcesOf(files: Readonly<Record<string, string>>): Promise<readonly SemanticSource[]> {
  const sources: SemanticSource[] = [];
  for (const [file, text] of Object.entries(files)) sources.push({ facts: await readSymbols(file, text), text });
  return sources;
}

const arrows = (edges: readonly CodeEdge[], kind: EdgeKind) => edges.filter((edge) => edge.kind === kind).map(arrow);

describe('readSemanticEdges', () => {
  const folder = useFolder();

  it.each([
    ['typescript', 0.95, 0.98],
    ['javascript', 0.95, 0.98],
  ])('finds the annotated calls of %s by types', async (language, recall, precision) => {
    const files = await readFixture(language);

    const score = scoreCalls(language, await readSemanticEdges(path.join(FIXTURES, language), files));

    expect(score.recall).toBeGreaterThanOrEqual(recall);
    expect(score.precision).toBeGreaterThanOrEqual(precision);
  });

  it('relates classes, interfaces and members, and names declared results', async () => {
    const edges = await readSemanticEdges(path.join(FIXTURES, 'typescript'), await readFixture('typescript'));

    expect(arrows(edges, 'implements')).toEqual([
      'store/memory.ts#MemoryRepository -> store/types.ts#Repository',
      'store/types.ts#Base -> store/types.ts#Entity',
    ]);
    expect(arrows(edges, 'inherits')).toEqual(['store/product.ts#Product -> store/types.ts#Base']);
    expect(arrows(edges, 'overrides')).toEqual([
      'store/memory.ts#MemoryRepository.find -> store/types.ts#Repository.find',
      'store/memory.ts#MemoryRepository.save -> store/types.ts#Repository.save',
      'store/product.ts#Product.label -> store/types.ts#Base.label',
    ]);
    expect(arrows(edges, 'returns')).toContain('shop.ts#open -> shop.ts#Shop');
    expect(arrows(edges, 'contains')).toContain('shop.ts#Shop -> shop.ts#Shop.sell');
  });

  it('follows an import of a package of the tree to its source', async () => {
    writeTree(folder(), { 'packages/core/package.json': '{ "name": "@acme/core" }' });
    const sources = await sourcesOf({
      'packages/core/src/index.ts': 'export { save } from "./save";',
      'packages/core/src/save.ts': 'export function save(): void {}',
      'apps/web/main.ts':
        'import { save } from "@acme/core"; import { save as again } from "@acme/core/save"; save(); again();',
    });

    const edges = await readSemanticEdges(folder(), sources);

    expect(arrows(edges, 'calls')).toEqual(['apps/web/main.ts -> packages/core/src/save.ts#save']);
  });

  it('leads to the implementation of an overloaded function', async () => {
    const text =
      'function f(a: string): void;\nfunction f(a: number): void;\nfunction f(a: unknown): void { void a; }\nf(1);\n';

    const edges = await readSemanticEdges(folder(), await sourcesOf({ 'a.ts': text }));

    expect(edges.filter(({ kind }) => kind === 'calls')).toEqual([
      { kind: 'calls', from: 'a.ts', to: 'a.ts#f~3', line: 4 },
    ]);
  });

  it('reads tags, decorators and elements of JSX as calls', async () => {
    const text =
      'const tag = (s: unknown) => s;\nfunction Dec(c: unknown) { void c; }\nfunction Box() { return null; }\n@Dec class A {}\nexport const x = () => { tag`a`; return <Box />; };\n';

    const edges = await readSemanticEdges(folder(), await sourcesOf({ 'a.tsx': text }));

    expect(arrows(edges, 'calls')).toEqual(['a.tsx#A -> a.tsx#Dec', 'a.tsx#x -> a.tsx#Box', 'a.tsx#x -> a.tsx#tag']);
  });

  it('survives texts with errors and imports that lead nowhere', async () => {
    const sources = await sourcesOf({
      'a.ts': 'import { b } from "./missing"; import c from "nowhere"; class { b(c( ; const = ; b(); new C(); super();',
      'b.js': 'module.exports = { ...require("./a.ts") }; exports.x = this.y(); (() => x)()()',
    });

    await expect(readSemanticEdges(folder(), sources)).resolves.toEqual(expect.any(Array));
  });
});

describe('openSemanticGraph', () => {
  const folder = useFolder();

  it('reads only the changed file again when nothing that others see changed', async () => {
    const graph = openSemanticGraph(folder());
    const given = {
      'a.ts': 'export function a(): void {}',
      'b.ts': 'import { a } from "./a"; a();',
      'c.ts': 'export const c = 1;',
    };
    await graph.update({ changed: await sourcesOf(given), removed: [] });

    const body = await graph.update({
      changed: await sourcesOf({ 'a.ts': '// A comment\nexport function a(): void { b(); } function b() {}' }),
      removed: [],
    });
    const again = await graph.update({
      changed: await sourcesOf({ 'a.ts': 'export function a(): void { b(); /* x */ } function b() {}' }),
      removed: [],
    });

    expect(body).toEqual(['a.ts', 'b.ts']);
    expect(again).toEqual(['a.ts']);
    expect(arrows(graph.edges(), 'calls')).toEqual(['a.ts#a -> a.ts#b', 'b.ts -> a.ts#a']);
  });

  it('reads importers again when an inferred type changes, also behind another file', async () => {
    const graph = openSemanticGraph(folder());
    const given = {
      'a.ts': 'export class A { go() {} } export class B { go() {} } export const make = () => new A();',
      'b.ts': 'import { make } from "./a"; export const it = make();',
      'c.ts': 'import { it } from "./b"; it.go();',
    };
    await graph.update({ changed: await sourcesOf(given), removed: [] });

    const read = await graph.update({
      changed: await sourcesOf({ 'a.ts': given['a.ts'].replace('new A', 'new B') }),
      removed: [],
    });

    expect(read).toEqual(['a.ts', 'b.ts', 'c.ts']);
    expect(arrows(graph.edges(), 'calls')).toContain('c.ts -> a.ts#B.go');
  });

  it('lets timers and connections have their turn between two files', async () => {
    const graph = openSemanticGraph(folder());
    const files = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`${n}.ts`, `export const a${n} = ${n};`]));
    const changed = await sourcesOf(files);
    let turns = 0;
    let next = setImmediate(function turn() {
      turns += 1;
      next = setImmediate(turn);
    });
    const seen: string[] = [];

    await graph.update({ changed, removed: [] }, { onProgress: (done, total) => seen.push(`${done} of ${total}`) });

    clearImmediate(next);
    expect(turns).toBeGreaterThanOrEqual(29);
    expect([seen[0], seen.at(-1), seen.length]).toEqual(['0 of 30', '30 of 30', 31]);
  });

  it('ends before its next file when it is interrupted', async () => {
    const graph = openSemanticGraph(folder());
    const changed = await sourcesOf({ 'a.ts': 'export const a = 1;', 'b.ts': 'export const b = 1;' });
    const stop = new AbortController();
    const onProgress = (done: number) => {
      if (done === 1) stop.abort(new Error('stop'));
      if (done === 2) throw new Error('read on');
    };

    const update = graph.update({ changed, removed: [] }, { signal: stop.signal, onProgress });

    await expect(update).rejects.toThrow('stop');
  });

  it('finds the same edges with many checkers as with one', async () => {
    const names = Array.from({ length: 250 }, (_, n) => `f${String(n).padStart(3, '0')}`);
    const files = Object.fromEntries(
      names.map((name, n) => {
        const other = names[(n + 100) % names.length];
        return [
          `${name}.ts`,
          `import { ${other} } from './${other}';\nexport class C${n} { go() { ${other}().go(); } }\nexport function ${name}() { return new C${n}(); }\n`,
        ];
      }),
    );

    const edges = await readSemanticEdges(folder(), await sourcesOf(files));

    const expected = names.flatMap((name, n) => {
      const other = (n + 100) % names.length;
      const from = `${name}.ts#C${n}.go`;
      return [
        `${from} -> ${names[other]}.ts#C${other}.go`,
        `${from} -> ${names[other]}.ts#${names[other]}`,
        `${name}.ts#${name} -> ${name}.ts#C${n}`,
      ];
    });
    expect(arrows(edges, 'calls').sort()).toEqual(expected.sort());
  });

  it('does not read a file below its root that is not one of the tree, such as generated code', async () => {
    writeTree(folder(), { 'generated/client.ts': 'export interface Client { find(): number; }' });
    const files = {
      'a.ts': 'import type { Client } from "./generated/client";\nexport const go = (c: Client) => c.find();\n',
    };
    const graph = openSemanticGraph(folder());
    await graph.update({ changed: await sourcesOf(files), removed: [] });
    const before = graph.edges();
    writeTree(folder(), {
      'generated/client.ts':
        'import { go } from "../a"; export const find = go; export type Client = { find: typeof go };',
    });

    expect(await readSemanticEdges(folder(), await sourcesOf(files))).toEqual(before);
    const tree = { ...files, 'generated/client.ts': 'export interface Client { find(): number; }' };
    expect(arrows(await readSemanticEdges(folder(), await sourcesOf(tree)), 'calls')).toEqual([
      'a.ts#go -> generated/client.ts#Client.find',
    ]);
  });
});
