/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Agent,
  addDependency,
  type CreateTaskInput,
  cancelTask,
  claimTasks,
  completeTask,
  createTask,
  extendLease,
  failTask,
  getTask,
  listTasks,
  openAgent,
  reconcile,
  retryTask,
  type Task,
  type TaskStatus,
} from '../src';
import { eventsOf, fresh, givenTask } from './given';

const MINUTE_MS = 60_000;

describe('tasks', () => {
  const db = useDatabase('agent');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let agent: Agent;
  beforeAll(() => {
    agent = openAgent({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(agent)).toEqual([]);
  });
  afterAll(() => agent.close());

  /** Claims the only task of a new type. */
  async function givenClaimed(change: Parameters<typeof givenTask>[1] = {}) {
    const taskType = fresh('type');
    await givenTask(agent, { taskType, ...change });
    const [task] = await claimTasks(agent, { taskType, leaseMs: MINUTE_MS });
    if (task === undefined) throw new Error('no task was claimed');
    return task;
  }
  const leaseOf = ({ id, leaseId }: Pick<Task, 'id' | 'leaseId'>) => ({ taskId: id, leaseId: leaseId ?? '' });
  const lost = { code: 'AGENT.LEASE_LOST' };

  it('are created once per key', async () => {
    const input: CreateTaskInput = {
      ...{ title: 'Check', description: 'All', priority: 'high', taskType: 'x', createdBy: 'ada', maxAttempts: 2 },
      ...{ metadata: { a: [1] }, idempotencyKey: fresh('key') },
    };
    const task = await createTask(agent, input);

    expect(await createTask(agent, input)).toEqual(task);
    expect(task).toEqual({
      ...{
        id: expect.any(String),
        title: 'Check',
        description: 'All',
        priority: 'high',
        taskType: 'x',
        createdBy: 'ada',
      },
      ...{ metadata: { a: [1] }, status: 'pending', attempts: 0, maxAttempts: 2, leaseId: null, lastError: null },
      ...{ waitingFor: 0, nextAt: clock.now(), createdAt: clock.now(), updatedAt: clock.now(), completedAt: null },
    });
    await expect(createTask(agent, { ...input, title: 'Other' })).rejects.toMatchObject({ code: 'AGENT.KEY_REUSED' });
    expect(await eventsOf(db(), task.id)).toEqual(['task-created']);
  });

  it('are claimed by priority, then the longest due first, and only of the asked type', async () => {
    const taskType = fresh('type');
    const made: Record<string, string> = {};
    for (const priority of ['low', 'critical', 'normal', 'high', 'medium'] as const) {
      for (const n of [1, 2]) {
        made[`${priority} ${n}`] = (await givenTask(agent, { taskType, priority })).id;
        await clock.move(1);
      }
    }
    await givenTask(agent, { taskType: fresh('other'), priority: 'critical' });
    const names = async (limit: number) => {
      const claimed = await claimTasks(agent, { taskType, limit });
      return claimed.map(({ id }) => Object.keys(made).find((name) => made[name] === id));
    };

    expect(await names(3)).toEqual(['critical 1', 'critical 2', 'high 1']);
    expect(await names(1000)).toEqual([
      ...['high 2', 'medium 1', 'medium 2', 'normal 1', 'normal 2', 'low 1', 'low 2'],
    ]);
    expect(await names(1)).toEqual([]);
  });

  it('belong to one worker until its lease ends, and then to the next', async () => {
    const claimed = await givenClaimed();
    const { taskType } = claimed;
    const claim = () => claimTasks(agent, { taskType: taskType ?? '', leaseMs: MINUTE_MS });
    expect(claimed).toMatchObject({
      status: 'in_progress',
      attempts: 1,
      nextAt: new Date(clock.now().getTime() + MINUTE_MS),
    });
    await clock.move(MINUTE_MS - 1);
    expect(await claim()).toEqual([]);
    await clock.move(1);
    const [next] = await claim();

    expect(next).toMatchObject({ id: claimed.id, attempts: 2 });
    expect(next?.leaseId).not.toBe(claimed.leaseId);
    await expect(completeTask(agent, leaseOf(claimed))).rejects.toMatchObject(lost);
    await expect(extendLease(agent, leaseOf(claimed))).rejects.toMatchObject(lost);
    await expect(failTask(agent, { ...leaseOf(claimed), error: 'x' })).rejects.toMatchObject(lost);
    expect((await getTask(agent, { taskId: claimed.id })).status).toBe('in_progress');
    const done = await completeTask(agent, leaseOf(next ?? claimed));
    expect(done).toMatchObject({ status: 'completed', completedAt: clock.now(), attempts: 2 });
    expect(await completeTask(agent, leaseOf(next ?? claimed))).toEqual(done);
    await expect(failTask(agent, { ...leaseOf(next ?? claimed), error: 'x' })).rejects.toMatchObject(lost);
    expect(await eventsOf(db(), claimed.id)).toEqual(['task-created', 'task-completed']);
  });

  it('stay with a worker that extends its lease', async () => {
    const claimed = await givenClaimed();
    for (let n = 0; n < 3; n += 1) {
      await clock.move(MINUTE_MS - 1);
      const extended = await extendLease(agent, { ...leaseOf(claimed), leaseMs: MINUTE_MS });
      expect(extended.nextAt).toEqual(new Date(clock.now().getTime() + MINUTE_MS));
      expect(await claimTasks(agent, { taskType: claimed.taskType ?? '' })).toEqual([]);
    }
    // A worker that comes late keeps the task as long as nobody else has claimed it.
    await clock.move(2 * MINUTE_MS);
    await extendLease(agent, leaseOf(claimed));
    expect(await claimTasks(agent, { taskType: claimed.taskType ?? '' })).toEqual([]);
    await clock.move(600 * MINUTE_MS);

    expect((await completeTask(agent, leaseOf(claimed))).status).toBe('completed');
  });

  it('are tried again after a pause that doubles, with jitter, and are dead after the last attempt', async () => {
    const taskType = fresh('type');
    const { id: taskId } = await givenTask(agent, { taskType, maxAttempts: 4 });
    for (const [attempt, seconds] of [5, 10, 20].entries()) {
      const [task] = await claimTasks(agent, { taskType });
      expect(task?.attempts).toBe(attempt + 1);
      const input = { ...leaseOf(task as Task), error: `Error ${attempt}` };
      const failed = await failTask(agent, input);
      expect(await failTask(agent, input)).toEqual(failed);
      expect(failed).toMatchObject({ status: 'pending', lastError: `Error ${attempt}` });
      const pause = failed.nextAt.getTime() - clock.now().getTime();
      expect(pause).toBeGreaterThanOrEqual(seconds * 500);
      expect(pause).toBeLessThanOrEqual(seconds * 1_000);
      expect(await claimTasks(agent, { taskType })).toEqual([]);
      await clock.move(seconds * 1_000);
    }
    const [last] = await claimTasks(agent, { taskType });
    const dead = await failTask(agent, { ...leaseOf(last as Task), error: 'The last' });

    expect(dead).toMatchObject({ status: 'failed', attempts: 4, lastError: 'The last' });
    await clock.move(600 * MINUTE_MS);
    expect(await claimTasks(agent, { taskType })).toEqual([]);
    expect(await eventsOf(db(), taskId)).toEqual(['task-created', 'task-failed']);
    expect(await retryTask(agent, { taskId })).toMatchObject({ status: 'pending', attempts: 0, leaseId: null });
    expect(await claimTasks(agent, { taskType })).toMatchObject([{ id: taskId, attempts: 1 }]);
  });

  it('have pauses of half an hour to an hour in the end, which differ', async () => {
    const rows = await db().admin(
      'SELECT extract(epoch FROM retry_delay(99))::float8 AS pause FROM generate_series(1, 200)',
    );
    const pauses = rows.map(({ pause }) => Number(pause));

    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(1_800);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(3_600);
    expect(new Set(pauses).size).toBeGreaterThan(100);
  });

  it('are dead at once if another attempt is in vain', async () => {
    const claimed = await givenClaimed();

    const dead = await failTask(agent, { ...leaseOf(claimed), error: 'No such file', retry: false });
    expect(dead).toMatchObject({ status: 'failed', attempts: 1 });
  });

  it('are dead when a worker has died at every attempt', async () => {
    const claimed = await givenClaimed({ maxAttempts: 2 });
    const claim = () => claimTasks(agent, { taskType: claimed.taskType ?? '', leaseMs: 1 });
    await clock.move(MINUTE_MS);
    expect(await claim()).toHaveLength(1);
    await clock.move(1);

    expect(await claim()).toEqual([]);
    expect(await getTask(agent, { taskId: claimed.id })).toMatchObject({
      ...{ status: 'failed', attempts: 2, lastError: expect.stringContaining('LAPSED') },
    });
  });

  it('are canceled, also from under a worker, and retried', async () => {
    const claimed = await givenClaimed();
    const { id: taskId } = claimed;
    const cancelled = await cancelTask(agent, { taskId });
    await clock.move(1);

    expect(cancelled).toMatchObject({ status: 'cancelled', leaseId: null });
    expect(await cancelTask(agent, { taskId })).toEqual(cancelled);
    await expect(completeTask(agent, leaseOf(claimed))).rejects.toMatchObject(lost);
    expect(await retryTask(agent, { taskId })).toMatchObject({ status: 'pending', nextAt: clock.now() });
    expect(await eventsOf(db(), taskId)).toEqual(['task-created', 'task-cancelled', 'task-retried']);
  });

  describe('with dependencies', () => {
    it('are ready when all of them are completed', async () => {
      const taskType = fresh('type');
      const [first, second] = [await givenTask(agent, { taskType }), await givenTask(agent, { taskType })];
      const waiting = await givenTask(agent, {
        taskType,
        priority: 'critical',
        dependsOn: [first.id, second.id, first.id],
      });
      const after = await givenTask(agent, { taskType, priority: 'critical', dependsOn: [waiting.id] });

      expect([waiting.waitingFor, after.waitingFor]).toEqual([2, 1]);
      const [one, two] = await claimTasks(agent, { taskType, limit: 10 });
      expect([one?.id, two?.id].sort()).toEqual([first.id, second.id].sort());
      await completeTask(agent, leaseOf(one as Task));
      expect(await claimTasks(agent, { taskType })).toEqual([]);
      await completeTask(agent, leaseOf(two as Task));
      const [three, ...others] = await claimTasks(agent, { taskType, limit: 10 });
      expect([three?.id, others]).toEqual([waiting.id, []]);
      await completeTask(agent, leaseOf(three as Task));
      expect(await claimTasks(agent, { taskType, limit: 10 })).toMatchObject([{ id: after.id }]);
      expect(await getTask(agent, { taskId: waiting.id })).toMatchObject({
        dependsOn: [first.id, second.id].sort(),
        dependents: [after.id],
      });
    });

    it('wait for a dead or canceled one until it is retried and completed', async () => {
      const taskType = fresh('type');
      const needed = await givenTask(agent, { taskType });
      const waiting = await givenTask(agent, { taskType, dependsOn: [needed.id] });
      const blocked = async () => (await listTasks(agent, { taskType, blocked: true })).items.map(({ id }) => id);
      expect(await blocked()).toEqual([]);
      for (const end of [
        () => cancelTask(agent, { taskId: needed.id }),
        async () => {
          const [task] = await claimTasks(agent, { taskType });
          return failTask(agent, { ...leaseOf(task as Task), error: 'x', retry: false });
        },
      ]) {
        await end();
        expect(await claimTasks(agent, { taskType })).toEqual([]);
        expect(await blocked()).toEqual([waiting.id]);
        await retryTask(agent, { taskId: needed.id });
      }
      const [task] = await claimTasks(agent, { taskType });
      await completeTask(agent, leaseOf(task as Task));

      expect(await claimTasks(agent, { taskType })).toMatchObject([{ id: waiting.id }]);
    });

    it('get them while they are pending, once, and completed ones do not count', async () => {
      const done = await givenClaimed();
      await completeTask(agent, leaseOf(done));
      const task = await givenTask(agent, { taskType: fresh('type') });
      const open = await givenTask(agent, { taskType: fresh('type') });
      const add = (dependsOnId: string, taskId = task.id) => addDependency(agent, { taskId, dependsOnId });

      expect((await add(done.id)).waitingFor).toBe(0);
      expect((await add(open.id)).waitingFor).toBe(1);
      expect((await add(open.id)).waitingFor).toBe(1);
      await expect(add('nothing')).rejects.toMatchObject({ code: 'AGENT.TASK_NOT_FOUND', meta: { taskId: 'nothing' } });
      await expect(add(open.id, 'nothing')).rejects.toMatchObject({ code: 'AGENT.TASK_NOT_FOUND' });
      await expect(givenTask(agent, { dependsOn: ['nothing'] })).rejects.toMatchObject({
        code: 'AGENT.TASK_NOT_FOUND',
      });
      const started = await givenClaimed();
      await expect(add(open.id, started.id)).rejects.toMatchObject({ code: 'AGENT.TASK_STARTED' });
    });

    it('never wait for themselves, directly or through others', async () => {
      const taskType = fresh('type');
      const chain = [await givenTask(agent, { taskType })];
      for (let n = 0; n < 4; n += 1) {
        chain.push(await givenTask(agent, { taskType, dependsOn: [chain.at(-1)?.id ?? ''] }));
      }
      const cycle = { code: 'AGENT.DEPENDENCY_CYCLE' };

      for (const { id: dependsOnId } of chain) {
        await expect(addDependency(agent, { taskId: chain[0]?.id ?? '', dependsOnId })).rejects.toMatchObject(cycle);
      }
      const edges = chain.slice(0, 2).map(({ id }) => id);
      const both = 'INSERT INTO task_dependencies (task_id, depends_on_id) VALUES ($1, $2)';
      await expect(db().admin(both, edges)).rejects.toMatchObject({ message: 'dependency_cycle' });
      await expect(db().admin('UPDATE task_dependencies SET task_id = $1', [chain[0]?.id])).rejects.toMatchObject({
        message: 'dependency_fixed',
      });
      expect((await getTask(agent, { taskId: chain[0]?.id ?? '' })).waitingFor).toBe(0);
    });

    it('are not changed with an old snapshot', async () => {
      const task = await givenClaimed();
      const other = await givenTask(agent);
      for (const level of ['REPEATABLE READ', 'SERIALIZABLE']) {
        const within = (sql: string) =>
          db()
            .app(`BEGIN ISOLATION LEVEL ${level}; ${sql}`)
            .finally(() => db().app('ROLLBACK'));
        const refused = { code: '25001' };
        await expect(within(`SELECT complete_task('${task.id}', '${task.leaseId}')`)).rejects.toMatchObject(refused);
        await expect(within(`SELECT add_dependency('${other.id}', '${task.id}')`)).rejects.toMatchObject(refused);
      }
    });
  });

  it('are listed by status, priority, type and creator, newest first', async () => {
    const createdBy = fresh('ada');
    const first = await givenTask(agent, { createdBy, priority: 'low', taskType: fresh('type') });
    await clock.move(1);
    const second = await givenTask(agent, { createdBy, priority: 'high' });
    await cancelTask(agent, { taskId: second.id });
    const ids = async (input: Parameters<typeof listTasks>[1]) =>
      (await listTasks(agent, { createdBy, ...input })).items.map(({ id }) => id);

    expect(await ids({})).toEqual([second.id, first.id]);
    expect(await ids({ status: 'cancelled' })).toEqual([second.id]);
    expect(await ids({ priority: 'low' })).toEqual([first.id]);
    expect(await ids({ taskType: first.taskType ?? '' })).toEqual([first.id]);
    const page = await listTasks(agent, { createdBy, limit: 1 });
    expect(await ids({ cursor: page.nextCursor ?? '' })).toEqual([first.id]);
  });

  const STATUSES: readonly TaskStatus[] = ['pending', 'in_progress', 'completed', 'failed', 'cancelled'];
  const NEXT: Readonly<Record<TaskStatus, readonly TaskStatus[]>> = {
    pending: ['in_progress', 'cancelled'],
    in_progress: ['pending', 'completed', 'failed', 'cancelled'],
    completed: [],
    failed: ['pending'],
    cancelled: ['pending'],
  };
  const PAIRS = STATUSES.flatMap((from) =>
    STATUSES.filter((to) => to !== from).map((to) => [from, to, NEXT[from].includes(to)] as const),
  );

  it.each(PAIRS)('go from %s to %s, even for the administrator: %s', async (from, to, isAllowed) => {
    const { id } = await givenTask(agent);
    const set = (status: TaskStatus) =>
      db().admin(
        "UPDATE tasks SET status = $2::text, lease_id = CASE $2::text WHEN 'in_progress' THEN 'l' END WHERE id = $1",
        [id, status],
      );
    if (from === 'completed' || from === 'failed') await set('in_progress');
    if (from !== 'pending') await set(from);

    const change = set(to);
    if (isAllowed) await change;
    else await expect(change).rejects.toMatchObject({ code: 'AZ001', message: 'illegal_transition' });
    expect((await getTask(agent, { taskId: id })).status).toBe(isAllowed ? to : from);
  });

  it('that are completed cannot be canceled or retried, and unknown ones are not found', async () => {
    const claimed = await givenClaimed();
    const { id: taskId } = claimed;
    await expect(retryTask(agent, { taskId })).rejects.toMatchObject({ code: 'AGENT.ILLEGAL_TRANSITION' });
    await completeTask(agent, leaseOf(claimed));

    for (const call of [cancelTask, retryTask]) {
      await expect(call(agent, { taskId })).rejects.toMatchObject({ code: 'AGENT.ILLEGAL_TRANSITION' });
      await expect(call(agent, { taskId: 'x' })).rejects.toMatchObject({ code: 'AGENT.TASK_NOT_FOUND' });
    }
    await expect(getTask(agent, { taskId: 'x' })).rejects.toMatchObject({ code: 'AGENT.TASK_NOT_FOUND' });
    await expect(completeTask(agent, { taskId: 'x', leaseId: 'y' })).rejects.toMatchObject({
      code: 'AGENT.TASK_NOT_FOUND',
    });
  });

  it.each([
    ['title', { title: ' ' }],
    ['priority', { priority: 'urgent' }],
    ['maxAttempts', { maxAttempts: 0 }],
    ['maxAttempts', { maxAttempts: 101 }],
    ['metadata', { metadata: { a: '\0' } }],
    ['dependsOn', { dependsOn: ['a b'] }],
    ['dependsOn', { dependsOn: Array.from({ length: 101 }, (_, n) => `t${n}`) }],
  ])('reject a bad %s', async (field, change) => {
    await expect(givenTask(agent, change as never)).rejects.toMatchObject({
      code: 'AGENT.INVALID_INPUT',
      meta: { fields: [field] },
    });
  });

  it.each([{ limit: 0 }, { limit: 1_001 }, { leaseMs: 0 }, { leaseMs: 86_400_001 }, { taskType: '' }])(
    'reject the claim %j',
    async (input) => {
      await expect(claimTasks(agent, input)).rejects.toMatchObject({ code: 'AGENT.INVALID_INPUT' });
    },
  );
});
