import type { TestDatabase } from './database';

/** The time of a test database, which stands still until the test moves it. */
export interface TestClock {
  /** The time at which the database stands. */
  readonly now: () => Date;
  readonly set: (time: Date | string) => Promise<void>;
  /** Moves the time forwards, or backwards by a negative number. */
  readonly move: (milliseconds: number) => Promise<void>;
}

const NAME = 'CREATE OR REPLACE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE';

/**
 * Sets the time that `database_time()` returns, to the given start before each test of the surrounding `describe`. Replaces
 * the function as the administrator, because an app role cannot move the time.
 */
export function useTestClock(db: () => TestDatabase, start: string): TestClock {
  let now = new Date(start);
  const set = async (time: Date | string) => {
    now = new Date(time);
    await db().admin(`${NAME} AS $$ SELECT '${now.toISOString()}'::timestamptz $$`);
  };
  // Hooks of the test file that run before all of its tests see this time as well.
  beforeAll(() => set(start));
  beforeEach(() => set(start));
  return { now: () => now, set, move: (milliseconds) => set(new Date(now.getTime() + milliseconds)) };
}
