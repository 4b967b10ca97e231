/** @server none */
import { type CodeEdge, type EdgeKind, readSymbols, resolveEdges } from '../src';
import { arrow, readFixture, scoreCalls } from './fixtures';

async function edgesOf(files: Readonly<Record<string, string>>): Promise<readonly CodeEdge[]> {
  const facts = [];
  for (const [path, text] of Object.entries(files)) facts.push(await readSymbols(path, text));
  return resolveEdges(facts);
}

const arrows = (edges: readonly CodeEdge[], kind: EdgeKind) => edges.filter((edge) => edge.kind === kind).map(arrow);

describe('resolveEdges', () => {
  it.each([
    ['python', 0.95],
    ['go', 0.95],
    ['java', 0.95],
    ['csharp', 0.95],
    ['rust', 0.95],
    ['typescript', 0.9],
    ['javascript', 0.9],
  ])('finds the annotated calls of %s by the syntax, and few others', async (language, recall) => {
    const files = await readFixture(language);

    const score = scoreCalls(language, resolveEdges(files.map(({ facts }) => facts)));

    expect(score.recall).toBeGreaterThanOrEqual(recall);
    expect(score.precision).toBeGreaterThanOrEqual(0.97);
  });

  it('relates types and their members across the files of Java', async () => {
    const files = await readFixture('java');
    const edges = resolveEdges(files.map(({ facts }) => facts));
    const users = 'src/main/java/com/acme/users';
    const repository = `${users}/UserRepository.java#UserRepository`;

    expect(arrows(edges, 'implements')).toEqual([`${repository}.InMemory -> ${repository}`]);
    expect(arrows(edges, 'inherits')).toEqual([`${users}/User.java#User -> ${users}/Entity.java#Entity`]);
    expect(arrows(edges, 'overrides')).toEqual([
      `${repository}.InMemory.all -> ${repository}.all`,
      `${repository}.InMemory.find -> ${repository}.find`,
      `${repository}.InMemory.save -> ${repository}.save`,
    ]);
    expect(arrows(edges, 'returns')).toContain(`${repository}.all -> ${users}/User.java#User`);
    expect(arrows(edges, 'references')).toContain(`${users}/User.java#User -> ${users}/User.java#User.Plan`);
    expect(arrows(edges, 'contains')).toContain(`${repository} -> ${repository}.InMemory`);
  });

  it('finds the interfaces that a type of Go implements without saying so', async () => {
    const files = await readFixture('go');
    const edges = resolveEdges(files.map(({ facts }) => facts));

    expect(arrows(edges, 'implements')).toEqual([
      'clock/clock.go#System -> clock/clock.go#Clock',
      'queue/store.go#Memory -> queue/store.go#Store',
    ]);
    expect(arrows(edges, 'inherits')).toEqual(['queue/store.go#Memory -> queue/store.go#base']);
    expect(arrows(edges, 'overrides')).toContain('queue/store.go#Memory.Put -> queue/store.go#Store.Put');
  });

  it('takes the traits of Rust from their implementations', async () => {
    const files = await readFixture('rust');
    const edges = resolveEdges(files.map(({ facts }) => facts));

    expect(arrows(edges, 'implements')).toEqual(['src/ledger/memory.rs#Memory -> src/ledger/mod.rs#Store']);
    expect(arrows(edges, 'overrides')).toContain('src/ledger/memory.rs#Memory.put -> src/ledger/mod.rs#Store.put');
    expect(arrows(edges, 'contains')).toContain('src/ledger/memory.rs#Memory -> src/ledger/memory.rs#Memory.put');
  });

  it('joins the parts of a partial class in several files', async () => {
    const edges = await edgesOf({
      'a.cs': 'namespace N; public partial class Cart { public void Add() { Check(); } }',
      'b.cs': 'namespace N; public partial class Cart { private void Check() { } }',
    });

    expect(arrows(edges, 'calls')).toEqual(['a.cs#Cart.Add -> b.cs#Cart.Check']);
  });

  it('selects an overload by the number of arguments', async () => {
    const edges = await edgesOf({
      'A.java': 'class A { void go() { run(1, 2); } void run(int a) {} void run(int a, int b) {} }',
    });

    expect(edges.filter(({ kind }) => kind === 'calls').map(({ to }) => to)).toEqual(['A.java#A.run~2']);
  });

  it('leaves out a name that two files could mean', async () => {
    const edges = await edgesOf({
      'a.py': 'from lib.one import *\n\ndef go():\n    missing()\n    present()\n',
      'lib/one.py': 'def present():\n    pass\n',
      'lib/two.py': 'def missing():\n    pass\n',
    });

    expect(arrows(edges, 'calls')).toEqual(['a.py#go -> lib/one.py#present']);
  });

  it('ends on types, imports and functions that lead to themselves', async () => {
    const edges = await edgesOf({
      'a.py': 'from b import x as y\n\nclass A(B):\n    def go(self):\n        return self.go().go()\n',
      'b.py': 'from a import y as x\n\ndef f(n):\n    return f(f(n))\n',
      'c.ts':
        'export * from "./d"; interface I extends I {} class C extends C { m() { this.m(); } } let v = v; v.go();',
      'd.ts': 'export * from "./c"; import { z } from "./c"; z();',
      'e.rs': 'trait T: T { fn go(&self) { self.go() } }\nuse self::e;\ntype X = X;\nfn f(x: X) { x.go() }\n',
    });

    expect(arrows(edges, 'calls')).toEqual([
      'a.py#A.go -> a.py#A.go',
      'b.py#f -> b.py#f',
      'c.ts#C.m -> c.ts#C.m',
      'e.rs#T.go -> e.rs#T.go',
    ]);
  });
});
