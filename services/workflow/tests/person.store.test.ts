/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  appendLogs,
  claimSteps,
  completeStep,
  erasePerson,
  exportPerson,
  getRun,
  getVersion,
  getWorkflow,
  openWorkflow,
  publishWorkflow,
  reconcile,
  saveWorkflow,
  type Workflows,
} from '../src';
import { eventsOf, givenPublished, givenRun, leaseOf } from './given';

describe('a person', () => {
  const db = useDatabase('workflow');
  let workflows: Workflows;
  beforeAll(() => {
    workflows = openWorkflow({ url: db().url });
  });
  afterAll(() => workflows.close());

  const countsOf = async (userId: string) => {
    const lists = Object.entries(await exportPerson(workflows, userId));
    return Object.fromEntries(lists.map(([name, rows]) => [name, rows.length]).filter(([, count]) => count !== 0));
  };

  it('gets everything, and is erased with the own workflows and from those of others, also what is running', async () => {
    const own = await givenPublished(workflows, 'start>a a>b');
    const ben = own.ownerId;
    await appendLogs(workflows, { workflowId: own.id, ownerId: ben, lines: [{ message: 'Ben Lovelace' }] });
    const { id: runId } = await givenRun(workflows, own, { input: { name: 'Ben Lovelace' } });
    const [step] = await claimSteps(workflows, { types: Object.values(own.types) });
    const foreign = await givenPublished(workflows, 'start>a');
    const { id: workflowId, ownerId } = foreign;
    const change = { workflowId, ownerId, by: ben };
    const saved = await saveWorkflow(workflows, { ...change, version: 1, name: 'Other' });
    const { number } = await publishWorkflow(workflows, { ...change, version: saved.version });
    const started = await givenRun(workflows, foreign, { by: ben });

    expect(await countsOf(ben)).toEqual({
      ...{ workflows: 1, versions: 1, plugins: 2, logs: 1, runs: 1, steps: 3, results: 1, requests: 2 },
      ...{ edited: 1, published: 1, started: 1 },
    });
    expect(await exportPerson(workflows, ben)).toMatchObject({
      edited: [{ id: workflowId, created: false, updated: true }],
      published: [{ workflow_id: workflowId, number }],
      started: [{ id: started.id, workflow_id: workflowId }],
    });

    expect(await erasePerson(workflows, ben)).toEqual({ deleted: 1, anonymised: 3 });
    expect(await erasePerson(workflows, ben)).toEqual({ deleted: 0, anonymised: 0 });
    expect(await countsOf(ben)).toEqual({ auditLogs: 1 });
    await expect(completeStep(workflows, leaseOf(step))).rejects.toMatchObject({ code: 'WORKFLOW.RUN_NOT_FOUND' });
    expect(await eventsOf(db(), own.id)).toContain('workflow-erased');
    // The workflows of others continue, without the name.
    expect(await getWorkflow(workflows, { workflowId, ownerId })).toMatchObject({ name: 'Other', updatedBy: null });
    expect(await getVersion(workflows, { workflowId, ownerId, number })).toMatchObject({ publishedBy: null });
    expect(await getRun(workflows, { runId: started.id, ownerId })).toMatchObject({
      status: 'running',
      startedBy: null,
    });
    expect(await reconcile(workflows)).toEqual([]);
    const [left] = await db().admin(
      `SELECT count(*)::int AS rows FROM outbox WHERE to_jsonb(outbox)::text LIKE '%Lovelace%'`,
    );
    expect(left).toEqual({ rows: 0 });
    expect(runId).not.toBe(started.id);
  });
});
