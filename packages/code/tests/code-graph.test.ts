/** @server none */
import { testEffort } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  openCodeGraph,
  openSemanticGraph,
  readSemanticEdges,
  readSymbols,
  resolveEdges,
  type SemanticSource,
} from '../src';
import { useFolder } from './trees';

/** Small files that refer to each other; the variants of one path differ in what they show to others, or only in their bodies. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  'a.py': [
    'from lib.b import B, make\n\ndef run():\n    make().go()\n    B().stop()\n',
    '# A comment.\n\nfrom lib.b import make\nfrom lib import b\n\ndef run():\n    make().go()\n    b.B.stop(None)\n',
    'from lib.c import *\n\nclass A(B):\n    def go(self):\n        return self.stop()\n',
  ],
  'lib/b.py': [
    'class B:\n    def go(self):\n        return self\n\n    def stop(self):\n        pass\n\ndef make():\n    return B()\n',
    'from lib.c import C\n\nclass B(C):\n    def stop(self):\n        self.go()\n\ndef make() -> C:\n    return C()\n',
  ],
  'lib/c.py': [
    'class C:\n    def go(self):\n        pass\n',
    'from lib.b import B\n\nclass C:\n    def go(self, b: B):\n        b.stop()\n',
    'def go():\n    pass\n',
  ],
  'x.ts': [
    'import { make } from "./lib/y";\nexport function run(): void { make().go(); }\n',
    'import { make as m, type Y } from "./lib";\nexport function run(y: Y): void { m().go(); y.stop(); }\n',
    'import * as all from "./lib";\nconst it = all.make();\nexport const run = () => it.go();\n',
  ],
  'lib/y.ts': [
    'export class Y { go() { return this; } stop(): void {} }\nexport const make = () => new Y();\n',
    'import { Z } from "./z";\nexport class Y extends Z { stop(): void { this.go(); } }\nexport const make = () => new Z();\n',
    'export class Y { stop(): void { /* nothing */ } }\nexport function make(): Y { return new Y(); }\n',
  ],
  'lib/z.ts': [
    'export class Z { go(): void {} }\n',
    'import { Y } from "./y";\nexport class Z { go(y: Y): void { y.stop(); } }\n',
    'const global = 1;\n',
  ],
  'lib/index.ts': ['export * from "./y";\n', 'export { make } from "./y";\nexport type { Z as Y } from "./z";\n'],
  'p/one.go': [
    'package p\n\ntype One struct{ two Two }\n\nfunc (o One) Go() { o.two.Stop(); helper() }\n',
    'package p\n\ntype One struct{ two *Two }\n\nfunc (o *One) Go() { o.two.Go() }\n',
  ],
  'p/two.go': [
    'package p\n\ntype Two struct{}\n\nfunc (t Two) Stop() {}\n\nfunc helper() {}\n',
    'package p\n\ntype Two struct{ One }\n\ntype Runner interface{ Go() }\n',
  ],
  'N/A.cs': [
    'namespace N; public partial class A { public void Go() { Stop(); new B().Run(this); } }',
    'namespace N; public partial class A { public B Go() => new B(); }',
  ],
  'N/B.cs': [
    'namespace N; public class B { public void Run(A a) { a.Go().Run(a); } }',
    'namespace N { public partial class A { void Stop() {} } public static class X { public static void Run(this B b, A a) {} } }',
    'namespace M; public class B { public void Run(int a) {} }',
  ],
  'src/main.rs': [
    'mod shape;\nuse shape::Shape;\nfn main() { let s = Shape::new(); s.area(); s.name(); }\n',
    'mod shape;\nmod named;\nuse named::Named;\nfn main() { shape::Shape::new().name(); }\n',
  ],
  'src/shape.rs': [
    'pub struct Shape;\nimpl Shape { pub fn new() -> Self { Shape } pub fn area(&self) {} }\n',
    'use crate::named::Named;\npub struct Shape;\nimpl Shape { pub fn new() -> Shape { Shape } }\nimpl Named for Shape { fn name(&self) {} }\n',
  ],
  'src/named.rs': [
    'pub trait Named { fn name(&self); }\n',
    'use crate::shape::Shape;\npub trait Named { fn name(&self) {} }\nimpl Named for Shape {}\n',
  ],
};

/** Paths to which a file can be renamed; some stand in other folders and packages. */
const RENAMES = [
  'a.py',
  'lib/b.py',
  'lib/d.py',
  'x.ts',
  'lib/y.ts',
  'lib/w.ts',
  'p/one.go',
  'q/one.go',
  'N/C.cs',
  'src/shape.rs',
  'src/named/mod.rs',
];

type Files = Map<string, string>;

const edit = fc.constantFrom(...Object.keys(VARIANTS)).chain((path) =>
  fc.constantFrom(...(VARIANTS[path] ?? [])).map((text) => (files: Files) => {
    files.set(path, text);
  }),
);
const remove = fc.constantFrom(...Object.keys(VARIANTS)).map((path) => (files: Files) => {
  files.delete(path);
});
const rename = fc
  .tuple(fc.constantFrom(...Object.keys(VARIANTS)), fc.constantFrom(...RENAMES))
  .map(([from, to]) => (files: Files) => {
    const text = files.get(from);
    if (text === undefined) return;
    files.delete(from);
    files.set(to, text);
  });
const step = fc.array(fc.oneof({ weight: 3, arbitrary: edit }, remove, rename), { minLength: 1, maxLength: 3 });

function initialFiles(): Files {
  return new Map(Object.entries(VARIANTS).map(([path, [text = '']]) => [path, text]));
}

async function sourcesOf(files: ReadonlyMap<string, string>): Promise<readonly SemanticSource[]> {
  const sources: SemanticSource[] = [];
  for (const [path, text] of [...files].sort()) sources.push({ facts: await readSymbols(path, text), text });
  return sources;
}

/** What changed between two states of a tree. */
async function changeBetween(before: Files, after: Files) {
  const changed = new Map([...after].filter(([path, text]) => before.get(path) !== text));
  return { changed: await sourcesOf(changed), removed: [...before.keys()].filter((path) => !after.has(path)) };
}

describe('a graph that is updated', () => {
  const folder = useFolder();

  it('equals the graph from scratch after any edits, renames and removals', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        let files = initialFiles();
        const graph = openCodeGraph();
        graph.update({ changed: (await sourcesOf(files)).map(({ facts }) => facts), removed: [] });
        for (const changes of steps) {
          const next = new Map(files);
          for (const change of changes) change(next);
          const { changed, removed } = await changeBetween(files, next);
          graph.update({ changed: changed.map(({ facts }) => facts), removed });
          files = next;

          const scratch = resolveEdges((await sourcesOf(files)).map(({ facts }) => facts));
          expect(graph.edges()).toEqual(scratch);
        }
      }),
      { numRuns: 25 * testEffort() },
    );
  });

  it('equals the semantic graph from scratch after any edits, renames and removals', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async (steps) => {
        let files = initialFiles();
        const graph = openSemanticGraph(folder());
        await graph.update({ changed: await sourcesOf(files), removed: [] });
        for (const changes of steps) {
          const next = new Map(files);
          for (const change of changes) change(next);
          await graph.update(await changeBetween(files, next));
          files = next;
        }

        expect(graph.edges()).toEqual(await readSemanticEdges(folder(), await sourcesOf(files)));
      }),
      { numRuns: 5 * testEffort() },
    );
  });

  it('resolves only the files whose edges can differ', async () => {
    const graph = openCodeGraph();
    graph.update({ changed: (await sourcesOf(initialFiles())).map(({ facts }) => facts), removed: [] });
    const change = async (path: string, text: string) =>
      graph.update({ changed: [await readSymbols(path, text)], removed: [] });

    const [python = ''] = VARIANTS['lib/b.py'] ?? [];
    expect(await change('lib/b.py', `# Moved down.\n${python}`)).toEqual(['lib/b.py']);
    expect(await change('lib/b.py', python.replace('return B()', 'return None'))).toEqual(['a.py', 'lib/b.py']);
    expect(await change('p/one.go', (VARIANTS['p/one.go'] ?? [])[1] ?? '')).toEqual(['p/one.go', 'p/two.go']);
    expect(graph.update({ changed: [], removed: ['lib/c.py'] })).toEqual([]);
  });

  it('resolves a file again when an import that found nothing finds a file', async () => {
    const graph = openCodeGraph();
    graph.update({ changed: [await readSymbols('a.ts', 'import { b } from "./b"; b();')], removed: [] });

    const resolved = graph.update({ changed: [await readSymbols('b.ts', 'export function b() {}')], removed: [] });

    expect(resolved).toEqual(['a.ts', 'b.ts']);
    expect(graph.edgesOf('a.ts')).toEqual([{ kind: 'calls', from: 'a.ts', to: 'b.ts#b', line: 1 }]);
  });
});
