import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { repositoryRoot, type TestClock, type TestDatabase } from '@azora/db-testkit';
import { type Agent, listTasks, reconcile } from '../src';
import { eventsOf, fresh, givenTask } from './given';

const RUN_TYPESCRIPT = path.join(repositoryRoot(), 'packages/events/tests/run-typescript.js');
const LIMIT = 3;
const LEASE_MS = 60_000;
const MAX_ATTEMPTS = 100;

type Claimed = readonly { readonly id: string; readonly leaseId: string; readonly attempts: number }[];

interface Step {
  readonly step: string;
  readonly tasks?: Claimed;
  readonly id?: string;
}

/** A worker in a process of its own, which does one step for each order. */
class Worker {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;
  private readonly ended: Promise<unknown>;
  private stderr = '';

  constructor(job: object) {
    const program = [RUN_TYPESCRIPT, path.join(__dirname, 'worker-process.ts'), JSON.stringify(job)];
    this.child = spawn(process.execPath, program);
    this.ended = once(this.child, 'exit');
    this.child.stderr.on('data', (text) => {
      this.stderr += text;
    });
    // A killed process does not read its orders.
    this.child.stdin.on('error', () => undefined);
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  order(): void {
    this.child.stdin.write('go\n');
  }

  async next(): Promise<Step> {
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error(`the worker has ended: ${this.stderr}`);
    return JSON.parse(value);
  }

  /** Kills the process wherever it is, and waits until it has ended. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  async close(): Promise<void> {
    this.child.stdin.end();
    await this.ended;
  }
}

export interface CrewInput {
  readonly db: TestDatabase;
  readonly clock: TestClock;
  readonly agent: Agent;
  readonly workers: number;
  readonly tasks: number;
  /** How many workers are killed, each at a step of its work. */
  readonly kills: number;
}

interface Crew {
  readonly workers: Worker[];
  readonly start: () => Promise<Worker>;
  readonly completed: string[];
  killsLeft: number;
}

/**
 * Lets workers do tasks and kills some of them. Expects that every task is done, none by two workers within a lease, none completed
 * twice, and that no claim and no number of attempts exceeds its limit.
 */
export async function expectAllDone({ db, clock, agent, ...input }: CrewInput): Promise<void> {
  const taskType = fresh('type');
  for (let n = 0; n < input.tasks; n += 1) await givenTask(agent, { taskType, maxAttempts: MAX_ATTEMPTS });
  const start = async () => {
    const worker = new Worker({ url: db.url, taskType, limit: LIMIT, leaseMs: LEASE_MS });
    expect(await worker.next()).toEqual({ step: 'ready' });
    return worker;
  };
  const workers = await Promise.all(Array.from({ length: input.workers }, start));
  const crew: Crew = { workers, start, completed: [], killsLeft: input.kills };
  /** The time of the database at which the lease of each task ends. */
  const leases = new Map<string, number>();

  for (let round = 0; ; round += 1) {
    const claims = await claimAtOnce(crew);
    const now = clock.now().getTime();
    for (const { id, attempts } of claims.flat()) {
      expect(leases.get(id) ?? 0).toBeLessThanOrEqual(now);
      expect(attempts).toBeLessThanOrEqual(MAX_ATTEMPTS);
      leases.set(id, now + LEASE_MS);
    }
    const { items: open } = await listTasks(agent, { taskType, status: 'in_progress' });
    if (open.length === 0) break;
    // What killed workers had is due again when their leases have lapsed, without a sweeper.
    if (claims.flat().length === 0) await clock.move(LEASE_MS);
    const victims = victimsOf(crew, claims, round);
    await Promise.all(claims.map((had, place) => work(crew, { place, had, isKilled: victims.includes(place) })));
  }
  await Promise.all(crew.workers.map((worker) => worker.close()));

  expect(crew.killsLeft).toBe(0);
  const { items: tasks } = await listTasks(agent, { taskType, limit: 200 });
  expect(tasks.map(({ status }) => status)).toEqual(Array(input.tasks).fill('completed'));
  // A worker that was killed may have completed a task without saying so, but no task is completed twice.
  expect(new Set(crew.completed).size).toBe(crew.completed.length);
  for (const { id } of tasks) expect(await eventsOf(db, id)).toEqual(['task-created', 'task-completed']);
  expect(await reconcile(agent)).toEqual([]);
}

async function claimAtOnce({ workers }: Crew): Promise<readonly Claimed[]> {
  for (const worker of workers) worker.order();
  const steps = await Promise.all(workers.map((worker) => worker.next()));
  const claims = steps.map(({ tasks = [] }) => tasks);
  for (const tasks of claims) expect(tasks.length).toBeLessThanOrEqual(LIMIT);
  return claims;
}

/** The places of the workers to kill: one in four, other ones in each round, of those that have tasks. */
function victimsOf(crew: Crew, claims: readonly Claimed[], round: number): readonly number[] {
  const busy = [...claims.keys()].filter((place) => (claims[place] ?? []).length > 0);
  const turned = busy.map((_place, n) => busy[(n + round) % busy.length] ?? 0);
  const victims = turned.slice(0, Math.min(Math.ceil(crew.workers.length / 4), crew.killsLeft));
  crew.killsLeft -= victims.length;
  return victims;
}

/** Lets a worker complete its tasks, or kills it at once or after the first one, and starts another one in its place. */
async function work(
  crew: Crew,
  { place, had, isKilled }: { readonly place: number; readonly had: Claimed; readonly isKilled: boolean },
): Promise<void> {
  const worker = crew.workers[place] as Worker;
  worker.order();
  const steps = isKilled ? place % 2 : had.length + 1;
  for (let n = 0; n < steps; n += 1) {
    const { step, id = '' } = await worker.next();
    if (step === 'completed') crew.completed.push(id);
  }
  if (!isKilled) return;
  await worker.kill();
  crew.workers[place] = await crew.start();
}
