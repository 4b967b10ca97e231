import type { TestDatabase } from './database';

/** The time of a test database, which stands still until the test moves it. */
export interface TestClock {
  /** The time at which the database stands. */
  readonly now: () => Date;
  readonly set: (time: Date | string) => Promise<void>;
  /** Moves the time forwards, or backwards by a negative number. */
  readonly move: (milliseconds: number) => Promise<void>;
}

/**
 * The function reads a row instead of containing the time, so that a statement that waits for a lock sees a time that was set
 * meanwhile. A new definition would reach it only with the next statement.
 */
const INSTALL = `
  CREATE SCHEMA IF NOT EXISTS test_clock;
  CREATE TABLE IF NOT EXISTS test_clock.moment (now timestamptz NOT NULL);
  DELETE FROM test_clock.moment;
  INSERT INTO test_clock.moment VALUES ('epoch');
  CREATE OR REPLACE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE SECURITY DEFINER
  AS $$ SELECT now FROM test_clock.moment $$`;

/**
 * Sets the time that `database_time()` returns, to the given start before each test of the surrounding `describe`. Replaces
 * the function as the administrator, because an app role cannot move the time.
 */
export function useTestClock(db: () => TestDatabase, start: string): TestClock {
  let now = new Date(start);
  const set = async (time: Date | string) => {
    now = new Date(time);
    await db().admin('UPDATE test_clock.moment SET now = $1', [now]);
  };
  // Hooks of the test file that run before all of its tests see this time as well.
  beforeAll(async () => {
    await db().admin(INSTALL);
    await set(start);
  });
  beforeEach(() => set(start));
  return { now: () => now, set, move: (milliseconds) => set(new Date(now.getTime() + milliseconds)) };
}
