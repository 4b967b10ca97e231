import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import { testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import { getStory, openStory, reconcile, type Stories } from '../src';
import { givenStarted, planOf } from './given';

const WORKERS = 8;
const KILLS = 4;
const LEASE_MS = 60_000;
const LIMITS = [1, 2, 3];
const PLAN = planOf(1, 1, 1, 1, 2, 2, 2, 4);

/**
 * The observer: each begin and end of an attempt gets the next tick of a sequence, which no transaction holds back. A jump of the clock
 * gets one too, because it ends the leases that lapse by it.
 */
const OBSERVE = `
  CREATE SCHEMA observer;
  CREATE SEQUENCE observer.ticks;
  CREATE TABLE observer.runs (attempt_id uuid PRIMARY KEY, begun bigint NOT NULL, ended bigint);
  CREATE TABLE observer.jumps (tick bigint NOT NULL DEFAULT nextval('observer.ticks'), time timestamptz NOT NULL);
  CREATE FUNCTION observer.watch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    IF TG_OP = 'INSERT' THEN
      INSERT INTO observer.runs VALUES (NEW.id, nextval('observer.ticks'), NULL);
    ELSIF NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL THEN
      UPDATE observer.runs SET ended = nextval('observer.ticks') WHERE attempt_id = NEW.id;
    END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER observed AFTER INSERT OR UPDATE ON step_attempts FOR EACH ROW EXECUTE FUNCTION observer.watch()`;

/** From its first tick, an attempt runs until its end, or until the jump of the clock that ended its lease. */
const RUNS = `
  WITH runs AS (
    SELECT a.id, a.story_id, a.step_id, r.begun, least(r.ended, (
      SELECT min(j.tick) FROM observer.jumps AS j WHERE j.time >= a.lease_until), 9223372036854775807) AS ended
    FROM observer.runs AS r JOIN step_attempts AS a ON a.id = r.attempt_id
  )`;

describe('workers in processes of their own, while some are killed', () => {
  const db = useDatabase('story');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let stories: Stories;
  const children = new Set<ChildProcess>();
  beforeAll(() => {
    stories = openStory({ url: db().url });
  });
  afterEach(() => Promise.all([...children].map(kill)));
  afterAll(() => stories.close());

  async function kill(child: ChildProcess): Promise<void> {
    children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async function startWorker(agentId: string): Promise<ChildProcess> {
    const task = JSON.stringify({ url: db().url, agentId, leaseMs: LEASE_MS });
    const child = fork(path.join(__dirname, 'worker.js'), [task], { execArgv: [] });
    children.add(child);
    const [told] = await once(child, 'message');
    if (told !== 'started') throw new Error(`the worker told ${told}`);
    return child;
  }

  const openSteps = async () => {
    const [row] = await db().admin(
      "SELECT count(*)::int AS count FROM story_steps WHERE status IN ('Pending', 'Running')",
    );
    return Number(row?.['count']);
  };

  it('run each step once within its lease, lose none, and never exceed the maximum parallelism', async () => {
    await db().admin(OBSERVE);
    const storyIds: string[] = [];
    for (let round = 0; round < testEffort(); round += 1) {
      for (const maxParallelism of LIMITS) storyIds.push(await givenStarted(stories, { steps: PLAN, maxParallelism }));
    }

    const workers = await Promise.all(Array.from({ length: WORKERS }, (_, n) => startWorker(`agent-${n}`)));
    const killed = await untilDone(workers);

    expect(killed).toBe(KILLS);
    for (const storyId of storyIds) {
      const { status, steps } = await getStory(stories, { storyId });
      expect([status, steps.filter((step) => step.status !== 'Completed')]).toEqual(['ReadyToComplete', []]);
    }
    expect(await reconcile(stories)).toEqual([]);
    const tooMany = await db().admin(`${RUNS}
      SELECT r.story_id, count(*)::int AS running, max(s.max_parallelism) AS allowed
      FROM runs AS r JOIN runs AS o ON o.story_id = r.story_id AND o.begun <= r.begun AND o.ended > r.begun
      JOIN stories AS s ON s.id = r.story_id GROUP BY r.id, r.story_id HAVING count(*) > max(s.max_parallelism)`);
    expect(tooMany).toEqual([]);
    const twice = await db().admin(`${RUNS}
      SELECT r.step_id FROM runs AS r JOIN runs AS o ON o.step_id = r.step_id AND o.begun < r.begun AND o.ended > r.begun`);
    expect(twice).toEqual([]);
    const [counts] = await db().admin(`${RUNS} SELECT count(*) FILTER (WHERE outcome = 'Completed')::int AS completed
      FROM runs JOIN step_attempts USING (id)`);
    expect(counts).toEqual({ completed: storyIds.length * PLAN.length });
  });

  /**
   * Lets the workers work until no step is open. Kills one of them after every third claim, as long as kills are left. When all
   * others are idle, only a jump of the clock can free the steps of the killed ones.
   */
  async function untilDone(workers: readonly ChildProcess[]): Promise<number> {
    const living = new Set(workers);
    const idle = new Set<ChildProcess>();
    let [claims, killed, isJumping] = [0, 0, false];
    const wake = () => {
      const waiting = [...idle];
      idle.clear();
      for (const worker of waiting) worker.send('work');
    };
    const killSome = async (worker: ChildProcess) => {
      claims += 1;
      if (claims % 3 !== 0 || killed === KILLS) return;
      killed += 1;
      living.delete(worker);
      idle.delete(worker);
      await kill(worker);
    };
    const jump = async () => {
      isJumping = true;
      // The tick comes first: no claim that sees the new time begins before it.
      await db().admin('INSERT INTO observer.jumps (time) VALUES ($1)', [new Date(clock.now().getTime() + LEASE_MS)]);
      await clock.move(LEASE_MS);
      isJumping = false;
      wake();
    };
    const ANSWERS: Readonly<Record<string, (worker: ChildProcess) => unknown>> = {
      idle: (worker) => idle.add(worker),
      ended: wake,
      claimed: killSome,
    };
    const done = new EventEmitter();
    /** What a killed worker has told before is of no use. */
    const hear = async (worker: ChildProcess, told: unknown) => {
      if (living.has(worker)) await ANSWERS[String(told)]?.(worker);
      if (idle.size < living.size || isJumping) return;
      if ((await openSteps()) === 0) done.emit('done');
      else if (!isJumping) await jump();
    };
    const ended = once(done, 'done');
    // Errors after the end are those of workers that are being killed.
    done.on('error', () => undefined);
    for (const worker of workers) {
      worker.on('message', (told) => void hear(worker, told).catch((error) => done.emit('error', error)));
      worker.on('exit', (code) => {
        if (living.has(worker)) done.emit('error', new Error(`a worker ended by itself: ${code}`));
      });
      worker.send('work');
    }
    await ended;
    // The workers that are left end with the test.
    living.clear();
    return killed;
  }
});
