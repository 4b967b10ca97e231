import { callAtGate, useDatabase } from '@azora/db-testkit';
import {
  cancelRun,
  claimSteps,
  completeStep,
  disablePlugin,
  enablePlugin,
  erasePerson,
  failStep,
  getRun,
  getWorkflow,
  linkPlugin,
  listVersions,
  publishWorkflow,
  reconcile,
  registerPlugin,
  retryRun,
  saveWorkflow,
  startRun,
  updatePlugin,
  type Workflows,
} from '../src';
import { eventsOf, fresh, givenPublished, givenRun, givenStores, givenWorkflow, leaseOf, outcomes } from './given';

const ROUNDS = 3;

describe('races in workflow', () => {
  const db = useDatabase('workflow');
  let stores: readonly Workflows[] = [];
  const store = (n = 0): Workflows => stores[n % stores.length] as Workflows;
  beforeAll(() => {
    stores = givenStores(db(), 8);
  });
  afterEach(async () => {
    expect(await reconcile(store())).toEqual([]);
  });
  afterAll(() => Promise.all(stores.map((it) => it.close())));

  const eight = <Result>(call: (workflows: Workflows, n: number) => Promise<Result>) => stores.map(call);

  it('number the versions without gaps when eight editors save and publish', async () => {
    const { id: workflowId, ownerId } = await givenWorkflow(store());
    const owned = { workflowId, ownerId };
    const edit = async (workflows: Workflows): Promise<number> => {
      for (;;) {
        const { version } = await getWorkflow(workflows, owned);
        try {
          const saved = await saveWorkflow(workflows, { ...owned, version, name: fresh('name') });
          return (await publishWorkflow(workflows, { ...owned, version: saved.version })).number;
        } catch (error) {
          if (Object(error).code !== 'WORKFLOW.VERSION_CONFLICT') throw error;
        }
      }
    };

    const numbers = await Promise.all(eight(edit));

    const ascending = Array.from({ length: 8 }, (_, n) => n + 1);
    expect(numbers.toSorted((one, other) => one - other)).toEqual(ascending);
    expect((await listVersions(store(), owned)).items.map(({ number }) => number)).toEqual(ascending.toReversed());
    expect(await eventsOf(db(), workflowId)).toEqual(['workflow-created', ...Array(8).fill('workflow-published')]);
  });

  it('publish an unchanged draft once', async () => {
    const { id: workflowId, ownerId } = await givenWorkflow(store());
    const versions = await Promise.all(
      eight((workflows) => publishWorkflow(workflows, { workflowId, ownerId, version: 1 })),
    );

    expect(versions.map(({ number }) => number)).toEqual(Array(8).fill(1));
  });

  it('save one of eight changes of the same version', async () => {
    const { id: workflowId, ownerId } = await givenWorkflow(store());
    const saves = eight((workflows, n) =>
      saveWorkflow(workflows, { workflowId, ownerId, version: 1, name: `name ${n}` }),
    );

    expect((await outcomes(saves)).toSorted()).toEqual([...Array(7).fill('WORKFLOW.VERSION_CONFLICT'), 'done']);
    expect(await getWorkflow(store(), { workflowId, ownerId })).toMatchObject({ version: 2 });
  });

  it('publish with the plugins that were checked, while they change', async () => {
    const plugin = fresh('mail');
    await registerPlugin(store(), { name: plugin, version: '1.0.0' });
    const nodes = ['a', 'b'].map((id) => ({ id, type: id === 'a' ? 'trigger' : plugin }));
    const connections = [{ from: 'a', to: 'b' }];
    const { id: workflowId, ownerId } = await givenWorkflow(store(), { nodes, connections });
    await linkPlugin(store(), { workflowId, ownerId, plugin });
    for (let round = 1; round <= ROUNDS; round += 1) {
      const [fromVersion, version] = [`${round}.0.0`, `${round + 1}.0.0`];
      const calls = [
        ...[1, 2, 3].map((n) => publishWorkflow(store(n), { workflowId, ownerId, version: 1 })),
        updatePlugin(store(4), { name: plugin, fromVersion, version, configSchema: { minProperties: 1 } }),
        updatePlugin(store(5), { name: plugin, fromVersion, version, configSchema: { minProperties: 2 } }),
        disablePlugin(store(6), { name: plugin }),
        enablePlugin(store(7), { name: plugin }),
      ];
      const found = await outcomes(calls);
      expect(found.slice(3, 5).toSorted()).toEqual(['WORKFLOW.PLUGIN_CHANGED', 'done']);
      await enablePlugin(store(), { name: plugin });
    }
    const { items } = await listVersions(store(), { workflowId, ownerId });
    // A version was checked with the schema that it keeps, so none keeps one that its node violates.
    expect(items.filter(({ plugins }) => plugins.some(({ configSchema }) => configSchema !== null))).toEqual([]);
  });

  it('register a name once, and link it once', async () => {
    const name = fresh('mail');
    const made = await outcomes(eight((workflows, n) => registerPlugin(workflows, { name, version: `1.${n}.0` })));
    expect(made.toSorted()).toEqual([...Array(7).fill('WORKFLOW.PLUGIN_EXISTS'), 'done']);
    const { id: workflowId, ownerId } = await givenWorkflow(store());
    const linked = eight((workflows) => linkPlugin(workflows, { workflowId, ownerId, plugin: name }));
    expect(await outcomes(linked)).toEqual(Array(8).fill('done'));
  });

  it('start a run once per key', async () => {
    const workflow = await givenPublished(store(), 'start>a');
    const input = { workflowId: workflow.id, ownerId: workflow.ownerId, idempotencyKey: fresh('key') };
    const runs = await Promise.all(eight((workflows) => startRun(workflows, input)));

    expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
    expect(await eventsOf(db(), runs[0]?.id ?? '')).toEqual(['run-started']);
  });

  it('give each step to one worker', async () => {
    const workflow = await givenPublished(store(), 'start>a start>b start>c start>d start>e');
    const types = Object.values(workflow.types);
    await Promise.all(Array.from({ length: 4 }, () => givenRun(store(), workflow)));
    const claimed = await Promise.all(eight((workflows) => claimSteps(workflows, { types, limit: 3 })));
    const rest = await claimSteps(store(), { types, limit: 1_000 });

    const keys = [...claimed, rest].flat().map(({ idempotencyKey }) => idempotencyKey);
    expect([keys.length, new Set(keys).size]).toEqual([20, 20]);
  });

  it('record one result for a step, and make each join ready once', async () => {
    const workflow = await givenPublished(store(), 'start>a start>b start>c start>d a>z b>z c>z d>z');
    const types = Object.values(workflow.types);
    for (let round = 0; round < ROUNDS; round += 1) {
      const { id: runId } = await givenRun(store(), workflow);
      const steps = await claimSteps(store(), { types, limit: 10 });
      // Each of them twice, with another result.
      const done = await outcomes(
        eight((workflows, n) => completeStep(workflows, { ...leaseOf(steps[n % 4]), result: n })),
      );
      expect(done).toEqual(Array(8).fill('done'));
      const [last, ...others] = (await Promise.all(eight((workflows) => claimSteps(workflows, { types })))).flat();
      expect([last?.nodeId, others]).toEqual(['z', []]);
      await completeStep(store(), leaseOf(last));
      expect(await getRun(store(), { runId, ownerId: workflow.ownerId })).toMatchObject({ status: 'completed' });
    }
  });

  it('takes a request for a new one when it is repeated while its person is erased', async () => {
    const ownerId = fresh('user');
    const request = { ownerId, idempotencyKey: fresh('key') };
    const { id } = await givenWorkflow(store(), request);
    // Stops the repeated request after it has found that its key is taken.
    await db().admin(`CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END'`);
    await db().admin('CREATE TRIGGER pause AFTER INSERT ON requests FOR EACH STATEMENT EXECUTE FUNCTION pause()');
    const ends = await callAtGate(db(), { text: 'SELECT pg_advisory_xact_lock(7)' }, [
      async () => ((await givenWorkflow(store(1), request)).id === id ? 'same' : 'another'),
      () => erasePerson(store(2), ownerId),
    ]);
    await db().admin('DROP FUNCTION pause CASCADE');

    expect(ends).toEqual(['another', 'done']);
  });

  it('end a run in one way when it is completed, failed, canceled, retried and erased at the same time', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const workflow = await givenPublished(store(), 'start>a start>b a>c b>c');
      const { ownerId } = workflow;
      const types = Object.values(workflow.types);
      const { id: runId } = await givenRun(store(), workflow);
      const steps = await claimSteps(store(), { types, limit: 2 });
      const found = await outcomes([
        completeStep(store(1), leaseOf(steps[0])),
        failStep(store(2), { ...leaseOf(steps[1]), error: 'x', retry: false }),
        cancelRun(store(3), { runId, ownerId }),
        retryRun(store(4), { runId, ownerId }),
        claimSteps(store(5), { types, limit: 5 }),
        completeStep(store(6), leaseOf(steps[1])),
        ...(round === 0 ? [erasePerson(store(7), ownerId)] : []),
      ]);
      const allowed = /^(done|WORKFLOW\.(LEASE_LOST|ILLEGAL_TRANSITION|RUN_NOT_FOUND))$/;
      expect(found.filter((it) => !allowed.test(it))).toEqual([]);
      expect(await reconcile(store())).toEqual([]);
    }
  });
});
