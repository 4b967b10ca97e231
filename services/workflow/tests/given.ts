import type { TestDatabase } from '@azora/db-testkit';
import {
  type ClaimedStep,
  type CreateWorkflowInput,
  createWorkflow,
  linkPlugin,
  openWorkflow,
  type Prisma,
  publishWorkflow,
  type Run,
  registerPlugin,
  type StartRunInput,
  startRun,
  type Workflow,
  type WorkflowNode,
  type Workflows,
} from '../src';

let made = 0;

/** A name that no other row of the test file has. */
export function fresh(what: string): string {
  made += 1;
  return `${what}-${made}`;
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Workflows[] {
  return Array.from({ length: count }, () => openWorkflow({ url: db.url, pool: { max: 4, connectTimeoutMs: 60_000 } }));
}

/** A draft of a new owner with one trigger, or as the change says. */
export function givenWorkflow(workflows: Workflows, change: Partial<CreateWorkflowInput> = {}): Promise<Workflow> {
  const nodes = [{ id: 'start', type: 'trigger' }];
  return createWorkflow(workflows, {
    ownerId: fresh('ada'),
    name: 'Welcome',
    nodes,
    idempotencyKey: fresh('key'),
    ...change,
  });
}

/** A published workflow whose nodes follow `start` by the given edges, such as `start>a a>b`; each node has a type of its own. */
export async function givenPublished(
  workflows: Workflows,
  edges: string,
  change: (node: WorkflowNode) => Partial<WorkflowNode> = () => ({}),
): Promise<Workflow & { readonly types: Readonly<Record<string, string>> }> {
  const connections = edges.split(' ').map((edge) => {
    const [from = '', to = ''] = edge.split('>');
    return { from, to };
  });
  const ids = [...new Set(connections.flatMap(({ from, to }) => [from, to]))].filter((id) => id !== 'start');
  const types = Object.fromEntries(ids.map((id) => [id, fresh(`type-${id}`)]));
  const nodes = ids.map((id) => ({ id, type: types[id] ?? '' })).map((node) => ({ ...node, ...change(node) }));
  const workflow = await givenWorkflow(workflows, { nodes: [{ id: 'start', type: 'trigger' }, ...nodes], connections });
  const { id: workflowId, ownerId, version } = workflow;
  for (const type of Object.values(types)) {
    await registerPlugin(workflows, { name: type, version: '1.0.0' });
    await linkPlugin(workflows, { workflowId, ownerId, plugin: type });
  }
  await publishWorkflow(workflows, { workflowId, ownerId, version });
  return { ...workflow, types };
}

export function givenRun(
  workflows: Workflows,
  { id: workflowId, ownerId }: Pick<Workflow, 'id' | 'ownerId'>,
  change: Partial<StartRunInput> = {},
): Promise<Run> {
  return startRun(workflows, { workflowId, ownerId, input: { n: 1 }, idempotencyKey: fresh('key'), ...change });
}

/** The part of a claimed step that names its lease. */
export function leaseOf(step: ClaimedStep | undefined): Pick<ClaimedStep, 'runId' | 'nodeId' | 'leaseId'> {
  if (step === undefined) throw new Error('no step was claimed');
  const { runId, nodeId, leaseId } = step;
  return { runId, nodeId, leaseId };
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}

/** The short names of the events of a key in the outbox, in the order of their positions. */
export async function eventsOf(db: TestDatabase, key: string | number): Promise<readonly string[]> {
  const rows = await db.admin('SELECT type FROM outbox WHERE key = $1 ORDER BY position', [String(key)]);
  return rows.map(({ type }) => String(type).replace(/^workflow\.(.*)\.v1$/, '$1'));
}

/** The statuses of the steps of a run by the ids of their nodes. */
export function statusesOf(steps: readonly { readonly nodeId: string; readonly status: string }[]): Prisma.JsonObject {
  return Object.fromEntries(steps.map(({ nodeId, status }) => [nodeId, status]));
}
