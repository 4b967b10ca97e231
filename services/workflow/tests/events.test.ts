/** @server any */
import { useDatabase } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import {
  archiveWorkflow,
  cancelRun,
  claimSteps,
  completeStep,
  deleteWorkflow,
  disablePlugin,
  EVENTS,
  erasePerson,
  failStep,
  openWorkflow,
  publishWorkflow,
  restoreWorkflow,
  retryRun,
  saveWorkflow,
  transferWorkflow,
  type Workflows,
} from '../src';
import { givenPublished, givenRun, givenWorkflow, leaseOf } from './given';

/** Text of a person, which no event repeats. */
const SECRET = 'Ada Lovelace, ada@azora.world';

describe('the events of workflow', () => {
  const db = useDatabase('workflow');
  let workflows: Workflows;
  beforeAll(() => {
    workflows = openWorkflow({ url: db().url });
  });
  afterAll(() => workflows.close());

  it('are of every type, fit their schemas, have the key of their type, and repeat no text', async () => {
    const workflow = await givenPublished(workflows, 'start>a');
    const { id: workflowId, ownerId } = workflow;
    const types = Object.values(workflow.types);
    const failed = await givenRun(workflows, workflow, { input: SECRET });
    const [step] = await claimSteps(workflows, { types });
    await failStep(workflows, { ...leaseOf(step), error: SECRET, retry: false });
    await retryRun(workflows, { runId: failed.id, ownerId });
    const [again] = await claimSteps(workflows, { types });
    await completeStep(workflows, { ...leaseOf(again), result: SECRET });
    const { id: runId } = await givenRun(workflows, workflow);
    await cancelRun(workflows, { runId, ownerId });
    await saveWorkflow(workflows, { workflowId, ownerId, version: 1, name: SECRET, description: SECRET });
    await disablePlugin(workflows, { name: types[0] ?? '' });
    await deleteWorkflow(workflows, { workflowId, ownerId });
    await restoreWorkflow(workflows, { workflowId, ownerId });
    await archiveWorkflow(workflows, { workflowId, ownerId });
    await transferWorkflow(workflows, { workflowId, ownerId, toId: 'bob' });
    await erasePerson(workflows, 'bob');

    const published = await db().admin('SELECT type, key, payload FROM outbox ORDER BY position');
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const known = new Map(EVENTS.map((event) => [event.type, event as (typeof EVENTS)[number]]));
    const faults = published.filter(({ type, key: found, payload }) => {
      const event = known.get(String(type) as (typeof EVENTS)[number]['type']);
      return event === undefined || !ajv.validate(event.jsonSchema, payload) || event.key(payload as never) !== found;
    });

    expect(faults).toEqual([]);
    expect([...new Set(published.map(({ type }) => String(type)))].sort()).toEqual(
      EVENTS.map(({ type }) => type).sort(),
    );
    expect(JSON.stringify(published)).not.toContain('Lovelace');
  });

  it('are not published by a call that is repeated or rejected, and not by steps', async () => {
    const workflow = await givenPublished(workflows, 'start>a a>b');
    const { id: workflowId, ownerId } = workflow;
    await givenRun(workflows, workflow);
    const count = async () => (await db().admin('SELECT count(*)::int AS events FROM outbox'))[0];
    const before = await count();
    const [step] = await claimSteps(workflows, { types: Object.values(workflow.types) });
    await completeStep(workflows, leaseOf(step));
    await publishWorkflow(workflows, { workflowId, ownerId, version: 1 });
    await publishWorkflow(workflows, { workflowId, ownerId, version: 2 }).catch(() => undefined);
    await restoreWorkflow(workflows, { workflowId, ownerId });

    expect(await count()).toEqual(before);
    const draft = await givenWorkflow(workflows);
    await archiveWorkflow(workflows, { workflowId: draft.id, ownerId: draft.ownerId }).catch(() => undefined);
    expect(await count()).toEqual({ events: Number(before?.['events']) + 1 });
  });
});
