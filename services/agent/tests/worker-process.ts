// A worker that claims tasks until the parent kills it or there is nothing left to do. It writes each step as a line of JSON, and waits
// before it completes tasks until the parent says so: the parent kills it between any two steps.
import { createInterface } from 'node:readline';
import { claimTasks, completeTask, openAgent } from '@azora/agent';

const { url, taskType, limit, leaseMs } = JSON.parse(process.argv[3] ?? '') as {
  readonly url: string;
  readonly taskType: string;
  readonly limit: number;
  readonly leaseMs: number;
};
const say = (step: object) => process.stdout.write(`${JSON.stringify(step)}\n`);

async function main(): Promise<void> {
  const agent = openAgent({ url, pool: { max: 1 }, slowQueryMs: Number.POSITIVE_INFINITY });
  const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  say({ step: 'ready' });
  for (let order = await orders.next(); order.done !== true; order = await orders.next()) {
    const tasks = await claimTasks(agent, { taskType, limit, leaseMs });
    say({ step: 'claimed', tasks: tasks.map(({ id, leaseId, attempts }) => ({ id, leaseId, attempts })) });
    if ((await orders.next()).done === true) break;
    for (const { id: taskId, leaseId } of tasks) {
      const outcome = await completeTask(agent, { taskId, leaseId }).then(
        () => 'completed',
        (error) => String(error.code),
      );
      say({ step: outcome, id: taskId });
    }
    say({ step: 'done' });
  }
  await agent.close();
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});
