import { testEffort, useDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  checkWorkflow,
  disablePlugin,
  enablePlugin,
  type Finding,
  getVersion,
  linkPlugin,
  openWorkflow,
  publishWorkflow,
  registerPlugin,
  saveWorkflow,
  unlinkPlugin,
  updatePlugin,
  type Workflows,
} from '../src';
import { fresh, givenWorkflow } from './given';

const RUNS = 60 * testEffort();
const IDS = ['a', 'b', 'c', 'd', 'e'];

interface Graph {
  readonly nodes: readonly { readonly id: string; readonly type: string }[];
  readonly connections: readonly { readonly from: string; readonly to: string }[];
}

/** The nodes that are reached from the given ones by at least one connection. */
function behind(starts: readonly string[], edges: Graph['connections']): ReadonlySet<string> {
  const found = new Set<string>();
  const queue = [...starts];
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    for (const { to } of edges.filter(({ from }) => from === node)) {
      if (!found.has(to)) queue.push(to);
      found.add(to);
    }
  }
  return found;
}

/** The findings by an algorithm that differs from the one of the database. Types other than `trigger` are known. */
function expectedFindings({ nodes, connections }: Graph): readonly string[] {
  const ids = nodes.map(({ id }) => id);
  const triggers = nodes.filter(({ type }) => type === 'trigger').map(({ id }) => id);
  const edges = connections.filter(({ from, to }) => ids.includes(from) && ids.includes(to));
  const reached = behind(triggers, edges);
  const cyclic = [...new Set(ids)].filter((id) => behind([id], edges).has(id)).sort();
  const findings: Finding[] = [
    ...ids.filter((id, n) => ids.indexOf(id) !== n).map((node) => ({ problem: 'duplicate_node', node }) as const),
    ...connections
      .flatMap(({ from, to }) => [from, to])
      .filter((node) => !ids.includes(node))
      .map((node) => ({ problem: 'unknown_node', node }) as const),
    ...(triggers.length === 0 ? [{ problem: 'no_trigger' } as const] : []),
    ...edges
      .filter(({ to }) => triggers.includes(to))
      .map(({ to }) => ({ problem: 'trigger_not_first', node: to }) as const),
    ...(cyclic.length > 0 ? [{ problem: 'cycle', nodes: cyclic } as const] : []),
    ...ids
      .filter((id) => !triggers.includes(id) && !reached.has(id))
      .map((node) => ({ problem: 'unreachable_node', node }) as const),
  ];
  return [...new Set(findings.map((finding) => keyOf(finding)))].sort();
}

/** The finding as text, whatever the order of its fields. */
function keyOf(finding: Finding): string {
  return JSON.stringify(Object.entries(finding).sort());
}

describe('the check of a graph', () => {
  const db = useDatabase('workflow');
  let workflows: Workflows;
  beforeAll(async () => {
    workflows = openWorkflow({ url: db().url });
    await registerPlugin(workflows, { name: 'work', version: '1.0.0' });
  });
  afterAll(() => workflows.close());

  it('finds what is wrong with any graph, and publishes it if and only if nothing is', async () => {
    let published = 0;
    const { id: workflowId, ownerId } = await givenWorkflow(workflows);
    await linkPlugin(workflows, { workflowId, ownerId, plugin: 'work' });
    const node = fc.record({ id: fc.constantFrom(...IDS), type: fc.constantFrom('trigger', 'work', 'work', 'work') });
    const id = fc.constantFrom(...IDS, ...IDS, 'missing');
    const graphs = fc.record({
      nodes: fc.oneof(
        fc.array(node, { maxLength: 6 }),
        fc.uniqueArray(node, { maxLength: 5, selector: (it) => it.id }),
      ),
      connections: fc.array(fc.record({ from: id, to: id }), { maxLength: 6 }),
    });
    const sound: Graph = {
      nodes: ['a', 'b', 'c'].map((it) => ({ id: it, type: it === 'a' ? 'trigger' : 'work' })),
      connections: [
        { from: 'a', to: 'b' },
        { from: 'b', to: 'c' },
        { from: 'a', to: 'c' },
      ],
    };
    let version = 1;

    await fc.assert(
      fc.asyncProperty(graphs, async (graph) => {
        ({ version } = await saveWorkflow(workflows, { workflowId, ownerId, version, ...graph }));
        const expected = expectedFindings(graph);
        const findings = await checkWorkflow(workflows, { workflowId, ownerId });
        expect(findings.map(keyOf).sort()).toEqual(expected);
        const outcome = await publishWorkflow(workflows, { workflowId, ownerId, version }).catch((error) => error);
        if (expected.length > 0) {
          expect(outcome).toMatchObject({ code: 'WORKFLOW.GRAPH_INVALID', meta: { workflowId, findings } });
        } else {
          published += 1;
          expect(outcome).toMatchObject({ number: published, draftVersion: version, ...graph });
        }
      }),
      { numRuns: RUNS, seed: 20_261_206, examples: [[sound]] },
    );
    expect(published).toBeGreaterThan(1);
  });

  it('lists every finding in one error, with those about types and settings', async () => {
    const plugin = fresh('mail');
    const configSchema = { type: 'object', required: ['to'], properties: { to: { type: 'string' } } };
    await registerPlugin(workflows, { name: plugin, version: '1.0.0', configSchema });
    const { id: workflowId, ownerId } = await givenWorkflow(workflows, {
      nodes: [
        { id: 'a', type: 'trigger' },
        { id: 'b', type: plugin, settings: { to: 7 } },
        { id: 'c', type: plugin },
        { id: 'd', type: 'nothing' },
        { id: 'e', type: plugin, settings: { to: 'ada' } },
      ],
      connections: [
        { from: 'a', to: 'b' },
        { from: 'b', to: 'c' },
        { from: 'c', to: 'd' },
        { from: 'd', to: 'lost' },
      ],
    });
    await linkPlugin(workflows, { workflowId, ownerId, plugin });
    const owned = { workflowId, ownerId };

    await expect(publishWorkflow(workflows, { ...owned, version: 1 })).rejects.toMatchObject({
      code: 'WORKFLOW.GRAPH_INVALID',
      meta: {
        findings: [
          { problem: 'unknown_type', node: 'd', type: 'nothing' },
          { problem: 'unknown_node', node: 'lost' },
          { problem: 'unreachable_node', node: 'e' },
          { problem: 'invalid_settings', node: 'b', path: '/to', message: 'must be string' },
          { problem: 'invalid_settings', node: 'c', path: '', message: "must have required property 'to'" },
        ],
      },
    });
    // Of another draft than the asked one, the version is the problem.
    await expect(publishWorkflow(workflows, { ...owned, version: 2 })).rejects.toMatchObject({
      code: 'WORKFLOW.VERSION_CONFLICT',
    });
  });

  it('reads plugins as they are: linked and enabled, with their present schema', async () => {
    const plugin = fresh('mail');
    await registerPlugin(workflows, { name: plugin, version: '1.0.0' });
    const nodes = [
      { id: 'a', type: 'trigger' },
      { id: 'b', type: plugin },
    ];
    const connections = [{ from: 'a', to: 'b' }];
    const { id: workflowId, ownerId } = await givenWorkflow(workflows, { nodes, connections });
    const owned = { workflowId, ownerId };
    const unknown = [{ problem: 'unknown_type', node: 'b', type: plugin }];
    expect(await checkWorkflow(workflows, owned)).toEqual(unknown);
    await linkPlugin(workflows, { ...owned, plugin });
    expect(await checkWorkflow(workflows, owned)).toEqual([]);
    await disablePlugin(workflows, { name: plugin });
    expect(await checkWorkflow(workflows, owned)).toEqual(unknown);
    await enablePlugin(workflows, { name: plugin });
    const first = await publishWorkflow(workflows, { ...owned, version: 1 });
    expect(await publishWorkflow(workflows, { ...owned, version: 1 })).toEqual(first);

    const update = { name: plugin, fromVersion: '1.0.0', version: '1.1.0', configSchema: { required: ['to'] } };
    await updatePlugin(workflows, update);
    expect(await checkWorkflow(workflows, owned)).toMatchObject([{ problem: 'invalid_settings', node: 'b' }]);
    await updatePlugin(workflows, {
      ...update,
      fromVersion: '1.1.0',
      version: '2.0.0',
      configSchema: { minProperties: 0 },
    });
    const second = await publishWorkflow(workflows, { ...owned, version: 1 });
    expect([first, second].map(({ number, plugins }) => [number, plugins[0]?.version])).toEqual([
      [1, '1.0.0'],
      [2, '2.0.0'],
    ]);
    await unlinkPlugin(workflows, { ...owned, plugin });
    expect(await getVersion(workflows, { ...owned, number: 1 })).toEqual(first);
    expect(await checkWorkflow(workflows, owned)).toEqual(unknown);
  });

  it('checks what SQL has written before: nodes of any shape, and lists of ends by the node that they start from', async () => {
    const { id: workflowId, ownerId } = await givenWorkflow(workflows);
    const write = (nodes: unknown, connections: unknown) =>
      db().admin('UPDATE workflows SET nodes = $2, connections = $3 WHERE id = $1', [
        ...[workflowId, JSON.stringify(nodes), JSON.stringify(connections)],
      ]);
    await linkPlugin(workflows, { workflowId, ownerId, plugin: 'work' });
    await write([7, null, { id: 'a' }, { id: 'a', type: 'trigger' }], [{ from: 'a' }, { from: 'a', to: {} }]);
    expect(await checkWorkflow(workflows, { workflowId, ownerId })).toEqual([
      ...[0, 1, 2].map((position) => ({ problem: 'invalid_node', position })),
      ...[0, 1].map((position) => ({ problem: 'invalid_connection', position })),
    ]);
    const nodes = ['a', 'b', 'c'].map((id) => ({ id, type: id === 'a' ? 'trigger' : 'work' }));
    await write(nodes, { a: ['b', 'c'], b: 'c' });
    expect(await checkWorkflow(workflows, { workflowId, ownerId })).toEqual([
      { problem: 'invalid_connection', position: 2 },
    ]);
    await write(nodes, { a: ['b', 'c'] });
    expect(await publishWorkflow(workflows, { workflowId, ownerId, version: 1 })).toMatchObject({
      connections: [
        { from: 'a', to: 'b' },
        { from: 'a', to: 'c' },
      ],
    });
  });

  it('is quick for the largest graph, also when it has cycles', async () => {
    const nodes = Array.from({ length: 500 }, (_, n) => ({ id: `n${n}`, type: n === 0 ? 'trigger' : 'work' }));
    const connections = Array.from({ length: 2_000 }, (_, n) => ({
      from: `n${n % 499}`,
      to: `n${1 + ((n * 7) % 499)}`,
    }));
    const { id: workflowId, ownerId } = await givenWorkflow(workflows, { nodes, connections });
    await linkPlugin(workflows, { workflowId, ownerId, plugin: 'work' });

    // The limit of a statement of the app role would end it.
    const findings = await checkWorkflow(workflows, { workflowId, ownerId });
    expect(findings.map(({ problem }) => problem)).toContain('cycle');
  });
});
