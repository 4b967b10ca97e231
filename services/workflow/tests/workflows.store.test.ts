import { useDatabase } from '@azora/db-testkit';
import {
  appendLogs,
  archiveWorkflow,
  createWorkflow,
  deleteWorkflow,
  getVersion,
  getWorkflow,
  listLogs,
  listVersions,
  listWorkflows,
  openWorkflow,
  publishWorkflow,
  restoreWorkflow,
  saveWorkflow,
  transferWorkflow,
  type Workflows,
} from '../src';
import { eventsOf, fresh, givenPublished, givenRun, givenWorkflow } from './given';

const NOT_FOUND = { code: 'WORKFLOW.WORKFLOW_NOT_FOUND' };

describe('workflows', () => {
  const db = useDatabase('workflow');
  let workflows: Workflows;
  beforeAll(() => {
    workflows = openWorkflow({ url: db().url });
  });
  afterAll(() => workflows.close());

  it('are created once per key, with who created them', async () => {
    const input = { ownerId: 'ada', by: 'ben', name: 'Welcome', idempotencyKey: fresh('key') };
    const workflow = await createWorkflow(workflows, input);

    expect(workflow).toMatchObject({
      ...{ name: 'Welcome', description: null, status: 'draft', version: 1, lastNumber: 0, deletedAt: null },
      ...{ nodes: [], connections: [], settings: {}, ownerId: 'ada', createdBy: 'ben', updatedBy: 'ben' },
    });
    expect(await createWorkflow(workflows, input)).toEqual(workflow);
    await expect(createWorkflow(workflows, { ...input, name: 'Other' })).rejects.toMatchObject({
      code: 'WORKFLOW.KEY_REUSED',
    });
    expect(await eventsOf(db(), workflow.id)).toEqual(['workflow-created']);
  });

  it('are saved by the editor that has read the present version', async () => {
    const { id: workflowId, ownerId, createdAt } = await givenWorkflow(workflows, { description: 'x' });
    const change = { nodes: [{ id: 'a', type: 'trigger', position: { x: 1, y: -2.5 } }], settings: { timeoutMs: 5 } };
    const saved = await saveWorkflow(workflows, { workflowId, ownerId, version: 1, by: 'ben', ...change });

    expect(saved).toMatchObject({
      ...change,
      version: 2,
      name: 'Welcome',
      description: 'x',
      updatedBy: 'ben',
      createdAt,
    });
    const second = { workflowId, ownerId, version: 1, name: 'Mine' };
    await expect(saveWorkflow(workflows, second)).rejects.toMatchObject({
      ...{ code: 'WORKFLOW.VERSION_CONFLICT', meta: { workflowId, version: 1, current: 2 } },
    });
    const cleared = await saveWorkflow(workflows, { workflowId, ownerId, version: 2, description: null, name: 'Mine' });
    expect(cleared).toMatchObject({ description: null, name: 'Mine', updatedBy: ownerId, version: 3 });
    expect(await getWorkflow(workflows, { workflowId, ownerId })).toEqual(cleared);
  });

  it('reject graphs that are not of the documented shape', async () => {
    const { id: workflowId, ownerId } = await givenWorkflow(workflows);
    const save = (change: object) => saveWorkflow(workflows, { workflowId, ownerId, version: 1, ...change });
    const deep: unknown[] = [];
    let inner = deep;
    for (let depth = 0; depth < 50_000; depth += 1) {
      const next: unknown[] = [];
      inner.push(next);
      inner = next;
    }
    for (const change of [
      { nodes: [{ id: 'a' }] },
      { nodes: [{ id: 'a', type: 'b', evil: 1 }] },
      { nodes: [{ id: 'a', type: 'b', settings: [] }] },
      { nodes: [{ id: 'a', type: 'b', settings: { deep } }] },
      { nodes: [{ id: 'a', type: 'b', settings: { text: '\0' } }] },
      { nodes: [{ id: 'a', type: 'b', retry: { maxAttempts: 101 } }] },
      { nodes: [{ id: 'a', type: 'b', timeoutMs: 0 }] },
      { nodes: [{ id: 'a', type: 'b', position: { x: Number.NaN, y: 0 } }] },
      { nodes: Array(501).fill({ id: 'a', type: 'b' }) },
      { connections: [{ from: 'a' }] },
      { settings: { retries: 3 } },
      { name: ' ' },
    ]) {
      await expect(save(change)).rejects.toMatchObject({ code: 'WORKFLOW.INVALID_INPUT' });
    }
  });

  it('belong to one owner: nobody else finds them, and a transfer hands them over', async () => {
    const { id: workflowId, ownerId } = await givenPublished(workflows, 'start>a');
    const foreign = { workflowId, ownerId: 'eve' };
    for (const call of [
      () => getWorkflow(workflows, foreign),
      () => saveWorkflow(workflows, { ...foreign, version: 1 }),
      () => publishWorkflow(workflows, { ...foreign, version: 1 }),
      () => archiveWorkflow(workflows, foreign),
      () => restoreWorkflow(workflows, foreign),
      () => transferWorkflow(workflows, { ...foreign, toId: 'eve' }),
      () => listVersions(workflows, foreign),
      () => listLogs(workflows, foreign),
      () => appendLogs(workflows, { ...foreign, lines: [{ message: 'x' }] }),
    ]) {
      await expect(call()).rejects.toMatchObject(NOT_FOUND);
    }
    expect(await deleteWorkflow(workflows, foreign)).toBe(false);

    const moved = await transferWorkflow(workflows, { workflowId, ownerId, toId: 'bob' });
    expect(moved).toMatchObject({ ownerId: 'bob', updatedBy: ownerId });
    await expect(getWorkflow(workflows, { workflowId, ownerId })).rejects.toMatchObject(NOT_FOUND);
    expect(await transferWorkflow(workflows, { workflowId, ownerId: 'bob', toId: 'bob' })).toEqual(moved);
    expect(await eventsOf(db(), workflowId)).toContain('workflow-transferred');
  });

  it('go from draft to published to archived, and nowhere else', async () => {
    const draft = await givenWorkflow(workflows);
    const owned = ({ id: workflowId, ownerId }: typeof draft) => ({ workflowId, ownerId });
    await expect(archiveWorkflow(workflows, owned(draft))).rejects.toMatchObject({
      ...{
        code: 'WORKFLOW.ILLEGAL_TRANSITION',
        meta: { what: 'workflow', id: draft.id, from: 'draft', to: 'archived' },
      },
    });
    await publishWorkflow(workflows, { ...owned(draft), version: 1 });
    const archived = await archiveWorkflow(workflows, owned(draft));
    expect(archived).toMatchObject({ status: 'archived' });
    expect(await archiveWorkflow(workflows, owned(draft))).toEqual(archived);
    for (const call of [saveWorkflow, publishWorkflow]) {
      await expect(call(workflows, { ...owned(draft), version: 1 })).rejects.toMatchObject({
        code: 'WORKFLOW.WORKFLOW_ARCHIVED',
      });
    }
    expect(await eventsOf(db(), draft.id)).toEqual(['workflow-created', 'workflow-published', 'workflow-archived']);
  });

  it('are hidden when they are deleted, and restored with everything', async () => {
    const workflow = await givenPublished(workflows, 'start>a');
    const { id: workflowId, ownerId } = workflow;
    await appendLogs(workflows, { workflowId, ownerId, lines: [{ message: 'x' }] });
    expect(await deleteWorkflow(workflows, { workflowId, ownerId })).toBe(true);
    expect(await deleteWorkflow(workflows, { workflowId, ownerId })).toBe(false);
    await expect(getWorkflow(workflows, { workflowId, ownerId })).rejects.toMatchObject(NOT_FOUND);
    expect((await listWorkflows(workflows, { ownerId })).items).toEqual([]);
    expect((await listWorkflows(workflows, { ownerId, deleted: true })).items).toMatchObject([{ id: workflowId }]);

    const restored = await restoreWorkflow(workflows, { workflowId, ownerId });
    expect(restored).toMatchObject({ deletedAt: null, status: 'published', lastNumber: 1 });
    expect(await restoreWorkflow(workflows, { workflowId, ownerId })).toEqual(restored);
    expect((await listLogs(workflows, { workflowId, ownerId })).items).toHaveLength(1);
    expect(await getVersion(workflows, { workflowId, ownerId, number: 1 })).toMatchObject({ number: 1 });
  });

  it('are listed newest first, page by page, by their status', async () => {
    const ownerId = fresh('ada');
    const ids: number[] = [];
    for (let n = 0; n < 5; n += 1) ids.unshift((await givenWorkflow(workflows, { ownerId })).id);
    await publishWorkflow(workflows, { workflowId: ids[1] ?? 0, ownerId, version: 1 });
    const one = await listWorkflows(workflows, { ownerId, limit: 3 });
    const two = await listWorkflows(workflows, { ownerId, limit: 3, cursor: one.nextCursor ?? '' });

    expect([...one.items, ...two.items].map(({ id }) => id)).toEqual(ids);
    expect(two.nextCursor).toBeNull();
    expect((await listWorkflows(workflows, { ownerId, status: 'published' })).items).toMatchObject([{ id: ids[1] }]);
    const cursor = Buffer.from('0 not-a-number').toString('base64url');
    await expect(listWorkflows(workflows, { ownerId, cursor })).rejects.toMatchObject({
      code: 'WORKFLOW.INVALID_INPUT',
    });
  });

  it('keep a log in the order of its lines, all or nothing, with the runs of the workflow only', async () => {
    const workflow = await givenPublished(workflows, 'start>a');
    const { id: workflowId, ownerId } = workflow;
    const { id: runId } = await givenRun(workflows, workflow);
    const lines = [
      { message: 'one', runId },
      { level: 'warn', message: 'two', metadata: { n: 1 } },
      { level: 'error', message: 'three', metadata: null },
    ] as const;
    expect(await appendLogs(workflows, { workflowId, ownerId, lines })).toBe(3);
    const other = await givenWorkflow(workflows);
    const foreign = {
      workflowId: other.id,
      ownerId: other.ownerId,
      lines: [{ message: 'x' }, { message: 'y', runId }],
    };
    await expect(appendLogs(workflows, foreign)).rejects.toMatchObject({ code: 'WORKFLOW.RUN_NOT_FOUND' });

    const { items } = await listLogs(workflows, { workflowId, ownerId });
    expect(items.map(({ level, message, metadata, runId: of }) => [level, message, metadata, of])).toEqual([
      ['error', 'three', null, null],
      ['warn', 'two', { n: 1 }, null],
      ['info', 'one', null, runId],
    ]);
    expect((await listLogs(workflows, { workflowId, ownerId, runId })).items).toHaveLength(1);
    expect((await listLogs(workflows, { workflowId, ownerId, level: 'warn' })).items).toMatchObject([
      { message: 'two' },
    ]);
    expect((await listLogs(workflows, { workflowId: other.id, ownerId: other.ownerId })).items).toEqual([]);
    const page = await listLogs(workflows, { workflowId, ownerId, limit: 2 });
    const rest = await listLogs(workflows, { workflowId, ownerId, limit: 2, cursor: page.nextCursor ?? '' });
    expect([...page.items, ...rest.items]).toEqual(items);
  });
});
