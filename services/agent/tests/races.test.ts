/** @server any */
import { callAtGate, useDatabase } from '@azora/db-testkit';
import {
  type Agent,
  addDependency,
  addMessage,
  archiveConversation,
  cancelTask,
  claimTasks,
  completeTask,
  createTask,
  deleteConversation,
  erasePerson,
  exportPerson,
  extendLease,
  failTask,
  getConversation,
  getTask,
  listMessages,
  reconcile,
  retryTask,
  startConversation,
} from '../src';
import { eventsOf, fresh, given, givenConversation, givenStores, givenTask, outcomes } from './given';

const ROUNDS = 3;

describe('races in agent', () => {
  const db = useDatabase('agent');
  let stores: readonly Agent[] = [];
  const agent = (n = 0): Agent => stores[n % stores.length] as Agent;
  beforeAll(() => {
    stores = givenStores(db(), 8);
  });
  afterEach(async () => {
    expect(await reconcile(agent())).toEqual([]);
  });
  afterAll(() => Promise.all(stores.map((store) => store.close())));

  const eight = <Result>(call: (store: Agent, n: number) => Result) => stores.map(call);

  it('never give two messages the same place, and leave no gap', async () => {
    const conversation = await givenConversation(agent());

    await Promise.all(eight((store) => Promise.all(Array.from({ length: 5 }, () => given(store, conversation)))));

    const { items } = await listMessages(agent(), { conversationId: conversation.id, userId: conversation.userId });
    expect(items.map(({ position }) => position)).toEqual(Array.from({ length: 40 }, (_, n) => 40 - n));
    const times = items.map(({ createdAt }) => createdAt.getTime());
    expect(times).toEqual(times.toSorted((one, other) => other - one));
  });

  it('let a request with one key take effect once', async () => {
    const key = fresh('key');
    const conversations = await Promise.all(
      eight((store) => startConversation(store, { userId: 'ada', idempotencyKey: key })),
    );
    const [conversation] = conversations;
    const said = { conversationId: conversation?.id ?? '', userId: 'ada', role: 'user', content: 'Why?' } as const;
    const messages = await Promise.all(eight((store) => addMessage(store, { ...said, idempotencyKey: `${key} said` })));
    const task = { title: 'Check', idempotencyKey: `${key} task` };
    const tasks = await Promise.all(eight((store) => createTask(store, task)));

    for (const rows of [conversations, messages, tasks]) expect(new Set(rows.map(({ id }) => id)).size).toBe(1);
    expect(await eventsOf(db(), conversation?.id ?? '')).toEqual(['conversation-started', 'message-added']);
    expect(await eventsOf(db(), tasks[0]?.id ?? '')).toEqual(['task-created']);
  });

  it('add a message before the conversation is archived or deleted, or not at all', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const conversation = await givenConversation(agent());
      const asked = { conversationId: conversation.id, userId: conversation.userId };
      const found = await outcomes(
        eight((store, n) => (n === 3 ? archiveConversation(store, asked) : given(store, conversation))),
      );
      const added = found.filter((outcome, n) => n !== 3 && outcome === 'done').length;
      expect(found.filter((outcome) => outcome !== 'done')).toEqual(
        Array(7 - added).fill('AGENT.CONVERSATION_ARCHIVED'),
      );
      expect((await getConversation(agent(), asked)).lastPosition).toBe(added);
      const last = await outcomes(
        eight((store, n) => (n === 3 ? deleteConversation(store, asked) : archiveConversation(store, asked))),
      );
      expect(last.filter((outcome) => !['done', 'AGENT.CONVERSATION_NOT_FOUND'].includes(outcome))).toEqual([]);
    }
  });

  it('give each task to one worker, and never more than asked', async () => {
    const taskType = fresh('type');
    const tasks = await Promise.all(Array.from({ length: 60 }, (_, n) => givenTask(agent(n), { taskType })));

    const claims = await Promise.all(
      Array.from({ length: 24 }, (_, n) => claimTasks(agent(n), { taskType, limit: 3, leaseMs: 86_400_000 })),
    );
    const rest = await claimTasks(agent(), { taskType, limit: 60 });

    expect(claims.every((claim) => claim.length <= 3)).toBe(true);
    const claimed = [...claims, rest].flat().map(({ id }) => id);
    expect(claimed.toSorted()).toEqual(tasks.map(({ id }) => id).toSorted());
    const found = await Promise.all(tasks.map(({ id }) => getTask(agent(), { taskId: id })));
    expect(found.every(({ attempts, status }) => attempts === 1 && status === 'in_progress')).toBe(true);
  });

  it('let one of completion, failure, cancellation and a heartbeat decide', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const taskType = fresh('type');
      const { id: taskId } = await givenTask(agent(), { taskType });
      const [task] = await claimTasks(agent(), { taskType });
      const lease = { taskId, leaseId: task?.leaseId ?? '' };

      const [completed, failed, cancelled] = await outcomes(
        eight((store, n) => {
          if (n === 0) return completeTask(store, lease);
          if (n === 1) return failTask(store, { ...lease, error: 'x', retry: false });
          return n === 2 ? cancelTask(store, { taskId }) : extendLease(store, lease);
        }),
      );

      const { status } = await getTask(agent(), { taskId });
      expect([completed, failed, cancelled].filter((outcome) => outcome === 'done')).toHaveLength(1);
      expect(status).toBe(completed === 'done' ? 'completed' : failed === 'done' ? 'failed' : 'cancelled');
      expect(await eventsOf(db(), taskId)).toEqual(['task-created', `task-${status}`]);
    }
  });

  it('refuse the one dependency of eight that closes a circle', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const ring = await Promise.all(eight((store) => givenTask(store)));
      const found = await outcomes(
        eight((store, n) =>
          addDependency(store, { taskId: ring[n]?.id ?? '', dependsOnId: ring[(n + 1) % ring.length]?.id ?? '' }),
        ),
      );

      expect([...found].sort()).toEqual(['AGENT.DEPENDENCY_CYCLE', ...Array(7).fill('done')]);
    }
  });

  it('lose no task that gets a dependency while that is completed', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const taskType = fresh('type');
      await givenTask(agent(), { taskType });
      const [needed] = await claimTasks(agent(), { taskType });
      const lease = { taskId: needed?.id ?? '', leaseId: needed?.leaseId ?? '' };
      const waiting = await Promise.all(eight((store) => givenTask(store, { taskType: `${taskType} after` })));

      const found = await outcomes(
        eight((store, n) => {
          if (n === 3) return completeTask(store, lease);
          if (n % 2 === 0) return givenTask(store, { taskType: `${taskType} after`, dependsOn: [lease.taskId] });
          return addDependency(store, { taskId: waiting[n]?.id ?? '', dependsOnId: lease.taskId });
        }),
      );

      expect(new Set(found)).toEqual(new Set(['done']));
      expect(await claimTasks(agent(), { taskType: `${taskType} after`, limit: 100 })).toHaveLength(12);
    }
  });

  it('complete dependencies at the same time, and the task is ready once', async () => {
    const taskType = fresh('type');
    const needed = await Promise.all(eight((store) => givenTask(store, { taskType })));
    const dependsOn = needed.map(({ id }) => id);
    const after = await Promise.all(eight((store) => givenTask(store, { taskType, dependsOn })));
    const claimed = await claimTasks(agent(), { taskType, limit: 100 });
    expect(claimed).toHaveLength(8);

    const found = await outcomes(
      eight((store, n) => completeTask(store, { taskId: claimed[n]?.id ?? '', leaseId: claimed[n]?.leaseId ?? '' })),
    );

    expect(new Set(found)).toEqual(new Set(['done']));
    const ready = await claimTasks(agent(), { taskType, limit: 100 });
    expect(ready.map(({ id }) => id).toSorted()).toEqual(after.map(({ id }) => id).toSorted());
  });

  it('takes a request for a new one when it is repeated while its person is erased', async () => {
    const userId = fresh('user');
    const request = { userId, idempotencyKey: fresh('key') };
    const { id } = await startConversation(agent(), request);
    // Stops the repeated request after it has found that its key is taken.
    await db().admin(`CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END'`);
    await db().admin('CREATE TRIGGER pause AFTER INSERT ON requests FOR EACH STATEMENT EXECUTE FUNCTION pause()');
    const ends = await callAtGate(db(), { text: 'SELECT pg_advisory_xact_lock(7)' }, [
      async () => ((await startConversation(agent(1), request)).id === id ? 'same' : 'another'),
      () => erasePerson(agent(2), userId),
    ]);
    await db().admin('DROP FUNCTION pause CASCADE');

    expect(ends).toEqual(['another', 'done']);
  });

  it('erase a person beside everything that concerns the person, without a deadlock', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const userId = fresh('ada');
      const conversation = await givenConversation(agent(), userId);
      const taskType = fresh('type');
      const first = await givenTask(agent(), { taskType, createdBy: userId });
      await givenTask(agent(), { taskType, createdBy: userId, dependsOn: [first.id] });
      const [claimed] = await claimTasks(agent(), { taskType });
      const lease = { taskId: first.id, leaseId: claimed?.leaseId ?? '' };

      const found = await outcomes(
        eight((store, n): Promise<unknown> => {
          if (n % 4 === 0) return erasePerson(store, userId);
          if (n % 4 === 1) return completeTask(store, lease);
          if (n % 4 === 2) return retryTask(store, { taskId: first.id });
          return deleteConversation(store, { conversationId: conversation.id, userId });
        }),
      );
      await outcomes(
        eight((store, n): Promise<unknown> => (n % 2 === 0 ? given(store, conversation) : erasePerson(store, userId))),
      );

      expect(found.filter((outcome) => !/^(done|AGENT\..*)$/.test(outcome))).toEqual([]);
      await erasePerson(agent(), userId);
      const { auditLogs: _kept, ...left } = await exportPerson(agent(), userId);
      expect(Object.values(left).flat()).toEqual([]);
    }
  });
});
