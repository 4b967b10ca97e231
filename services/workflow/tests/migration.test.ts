import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { getWorkflow, listLogs, openWorkflow, publishWorkflow, reconcile, startRun } from '../src';
import { givenPublished, givenRun } from './given';

const FOLDER = path.join(repositoryRoot(), 'services/workflow/prisma/migrations');
const ADDED = readdirSync(FOLDER)
  .filter((name) => name.startsWith('20261206'))
  .sort();

describe('the migrations of the store', () => {
  const db = useDatabase('workflow');
  const run = (name: string, file: 'migration.sql' | 'down.sql') =>
    db().admin(`BEGIN; ${readFileSync(path.join(FOLDER, name, file), 'utf8')}; COMMIT`);

  it('leave to an older version what it knows, and take over what it has written', async () => {
    const store = openWorkflow({ url: db().url });
    const { id: workflowId, ownerId } = await givenPublished(store, 'start>a');
    await givenRun(store, { id: workflowId, ownerId });
    await store.close();
    expect(ADDED).toHaveLength(6);
    for (const name of ADDED.toReversed()) await run(name, 'down.sql');
    await db().admin(`INSERT INTO logs (workflow_id, message) VALUES (${workflowId}, 'of an older version')`);
    await db().admin("INSERT INTO plugins (name, version) VALUES ('old', '2')");
    const [first = ''] = ADDED;
    await expect(run(first, 'migration.sql')).rejects.toMatchObject({ constraint: 'plugins_semver_check' });
    await db().admin("ROLLBACK; UPDATE plugins SET version = '2.0.0' WHERE name = 'old'");

    for (const name of ADDED) await run(name, 'migration.sql');

    // The role has its rights from the last run of the toolkit; the administrator reads here.
    const workflows = openWorkflow({ url: db().target.admin.href });
    expect(await getWorkflow(workflows, { workflowId, ownerId })).toMatchObject({
      status: 'published',
      lastNumber: 0,
      createdBy: null,
    });
    expect((await listLogs(workflows, { workflowId, ownerId })).items).toMatchObject([
      { message: 'of an older version', runId: null },
    ]);
    const start = { workflowId, ownerId, idempotencyKey: 'again' };
    await expect(startRun(workflows, start)).rejects.toMatchObject({ code: 'WORKFLOW.NOT_PUBLISHED' });
    await publishWorkflow(workflows, { workflowId, ownerId, version: 1 });
    expect(await startRun(workflows, start)).toMatchObject({ number: 1, status: 'running' });
    expect(await reconcile(workflows)).toEqual([]);
    await workflows.close();
  });
});
