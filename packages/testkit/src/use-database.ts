import { openTestDatabase, type TestDatabase } from './database';

/**
 * Gives the surrounding `describe` a fresh, migrated database of a service. It is dropped afterwards, unless a test
 * failed: then it is kept and its name is printed.
 */
export function useDatabase(service: string): () => TestDatabase {
  let database: TestDatabase | undefined;
  let failed = false;
  beforeAll(async () => {
    database = await openTestDatabase(service);
  });
  afterEach(() => {
    const { numPassingAsserts, suppressedErrors } = expect.getState();
    failed ||= suppressedErrors.length > 0 && numPassingAsserts >= 0;
  });
  afterAll(async () => {
    await database?.close(failed);
  });
  return () => {
    if (database === undefined) throw new Error('The database is there inside tests only');
    return database;
  };
}
