// A worker in a process of its own. It writes each begin and end of a handler as a line of JSON, and waits before it ends a handler until
// the parent says so: the parent kills it between any two steps. Its polls are short, because only the clock of the test frees steps.
import { createInterface } from 'node:readline';
import { openWorkflow, runWorkflows, type StepHandler } from '@azora/workflow';

const { url, types, leaseMs } = JSON.parse(process.argv[3] ?? '') as {
  readonly url: string;
  readonly types: readonly string[];
  readonly leaseMs: number;
};
const say = (step: object) => process.stdout.write(`${JSON.stringify(step)}\n`);

async function main(): Promise<void> {
  const workflows = openWorkflow({ url, pool: { max: 2 }, slowQueryMs: Number.POSITIVE_INFINITY });
  const stop = new AbortController();
  const orders = createInterface({ input: process.stdin });
  orders.on('close', () => stop.abort());
  const handle: StepHandler = async ({ runId, nodeId, attempts, inputs }) => {
    const ordered = new Promise((resolve) => orders.once('line', resolve));
    say({ step: 'begun', key: `${runId}:${nodeId}`, attempts });
    await ordered;
    return { sum: 1 + Object.values(inputs).reduce((sum: number, it) => sum + Number(Object(it)['sum'] ?? 0), 0) };
  };
  say({ step: 'ready' });
  const handlers = Object.fromEntries(types.map((type) => [type, handle]));
  await runWorkflows(workflows, { handlers, signal: stop.signal, concurrency: 1, leaseMs, pollMs: 20 });
  await workflows.close();
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});
