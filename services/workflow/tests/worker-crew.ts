import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { repositoryRoot, type TestClock, type TestDatabase } from '@azora/db-testkit';
import { getRun, reconcile, type Workflows } from '../src';
import { eventsOf, givenPublished, givenRun } from './given';

const RUN_TYPESCRIPT = path.join(repositoryRoot(), 'packages/events/tests/run-typescript.js');
const LEASE_MS = 60_000;
/** Two ways that meet twice, so that the order of the results matters. */
const EDGES = 'start>a start>b a>c b>c c>d c>e d>f e>f';
/** What each node returns: one more than the sum of what leads to it. */
const SUMS = { a: 1, b: 1, c: 3, d: 4, e: 4, f: 9 };

interface Told {
  readonly step: 'ready' | 'begun';
}

/** The observer: a step that is claimed within the lease of another worker, and each result that is recorded. */
const OBSERVE = `
  CREATE SCHEMA IF NOT EXISTS observer;
  CREATE TABLE IF NOT EXISTS observer.seen (what text NOT NULL, key text NOT NULL);
  CREATE OR REPLACE FUNCTION observer.watch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    INSERT INTO observer.seen VALUES (TG_ARGV[0], NEW.run_id || ':' || NEW.node_id);
    RETURN NULL;
  END $$;
  CREATE OR REPLACE TRIGGER observed_claim AFTER UPDATE ON run_steps FOR EACH ROW
    WHEN (OLD.status = 'running' AND NEW.status = 'running' AND OLD.lease_id <> NEW.lease_id AND OLD.due_at > NEW.started_at)
    EXECUTE FUNCTION observer.watch('stolen');
  CREATE OR REPLACE TRIGGER observed_result AFTER INSERT ON step_results FOR EACH ROW WHEN (NEW.node_id <> 'start')
    EXECUTE FUNCTION observer.watch('recorded')`;

/** A worker in a process of its own, whose handlers end one for each order. */
class WorkerProcess {
  readonly child: ChildProcessWithoutNullStreams;
  private readonly ended: Promise<unknown>;
  private stderr = '';

  constructor(job: object, hear: (worker: WorkerProcess, told: Told) => void) {
    this.child = spawn(process.execPath, [
      RUN_TYPESCRIPT,
      path.join(__dirname, 'worker-process.ts'),
      JSON.stringify(job),
    ]);
    this.ended = once(this.child, 'exit');
    this.child.stderr.on('data', (text) => {
      this.stderr += text;
    });
    // A killed process does not read its orders.
    this.child.stdin.on('error', () => undefined);
    createInterface({ input: this.child.stdout }).on('line', (line) => hear(this, JSON.parse(line)));
  }

  order(): void {
    this.child.stdin.write('go\n');
  }

  /** Kills the process wherever it is, and waits until it has ended. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  async close(): Promise<void> {
    this.child.stdin.end();
    const [code] = (await this.ended) as readonly [number | null];
    if (code !== 0) throw new Error(`a worker ended with ${code}: ${this.stderr}`);
  }
}

export interface CrewInput {
  readonly db: TestDatabase;
  readonly clock: TestClock;
  readonly workflows: Workflows;
  readonly workers: number;
  readonly runs: number;
  /** How many workers are killed, every third time that one of them begins a step. */
  readonly kills: number;
}

/**
 * Lets workers execute runs, and kills some of them while or after a handler runs. Expects that every run is completed with the right results,
 * that each result was recorded once, and that no step was claimed within the lease of another worker.
 */
export async function expectAllExecuted({ db, clock, workflows, ...input }: CrewInput): Promise<void> {
  await db.admin(OBSERVE);
  const workflow = await givenPublished(workflows, EDGES, () => ({ retry: { maxAttempts: 100 } }));
  const runs = await Promise.all(Array.from({ length: input.runs }, () => givenRun(workflows, workflow)));
  const job = { url: db.url, types: Object.values(workflow.types), leaseMs: LEASE_MS };
  const living = new Set<WorkerProcess>();
  const counts = { begun: 0, killed: 0 };
  let failure: unknown;

  const start = () => living.add(new WorkerProcess(job, (worker, told) => void hear(worker, told).catch(fail)));
  const fail = (error: unknown) => {
    failure ??= error;
  };
  const hear = async (worker: WorkerProcess, { step }: Told) => {
    if (step !== 'begun' || !living.has(worker)) return;
    counts.begun += 1;
    if (counts.begun % 3 !== 0 || counts.killed === input.kills) return worker.order();
    counts.killed += 1;
    living.delete(worker);
    // Every second one is killed after its order: before, while or after its result is recorded.
    if (counts.killed % 2 === 0) worker.order();
    await worker.kill();
    start();
  };

  for (let n = 0; n < input.workers; n += 1) start();
  try {
    await untilDone({ db, clock, hasFailed: () => failure !== undefined });
  } finally {
    const workers = [...living];
    if (failure === undefined) await Promise.all(workers.map((worker) => worker.close()));
    else await Promise.all(workers.map((worker) => worker.kill()));
  }
  if (failure !== undefined) throw failure;

  expect(counts.killed).toBe(input.kills);
  for (const { id: runId } of runs) {
    const { status, steps } = await getRun(workflows, { runId, ownerId: workflow.ownerId });
    const sums = steps.slice(1).map(({ nodeId, result }) => [nodeId, Object(result).sum]);
    expect([status, Object.fromEntries(sums)]).toEqual(['completed', SUMS]);
    expect(await eventsOf(db, runId)).toEqual(['run-started', 'run-ended']);
  }
  const keys = runs.flatMap(({ id }) => Object.keys(SUMS).map((node) => `recorded ${id}:${node}`));
  const seen = await db.admin("SELECT what || ' ' || key AS it FROM observer.seen ORDER BY 1");
  expect(seen.map(({ it }) => it)).toEqual(keys.toSorted());
  expect(await reconcile(workflows)).toEqual([]);
}

/** The open steps, those that are ready, and how often a step was claimed. */
const STATE = `SELECT count(*) FILTER (WHERE s.status IN ('waiting', 'ready', 'running'))::int AS open,
    count(*) FILTER (WHERE s.status = 'ready')::int AS ready, sum(s.attempts)::int AS attempts
  FROM run_steps AS s`;

/**
 * Waits until no step is open. When nothing is ready and nothing has changed for many looks, only leases of killed workers are left, so
 * they lapse. If a living worker was only slow, it loses its step to another one, which is right too.
 */
async function untilDone({
  db,
  clock,
  hasFailed,
}: Pick<CrewInput, 'db' | 'clock'> & { readonly hasFailed: () => boolean }): Promise<void> {
  const STALE_LOOKS = 40;
  let [last, looks] = ['', 0];
  while (!hasFailed()) {
    const [state] = await db.admin(STATE);
    if (state?.['open'] === 0) return;
    const text = JSON.stringify(state);
    looks = text === last ? looks + 1 : 0;
    last = text;
    if (looks < STALE_LOOKS || state?.['ready'] !== 0) continue;
    looks = 0;
    await clock.move(LEASE_MS);
  }
}
