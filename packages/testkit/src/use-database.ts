import { openTestDatabase, type TestDatabase } from './database';
import { hasFailed } from './failure';

/**
 * Gives the surrounding `describe` a fresh, migrated database of a service. It is dropped afterwards, unless a test of
 * the file failed: then it is kept and its name is printed.
 */
export function useDatabase(service: string): () => TestDatabase {
  let database: TestDatabase | undefined;
  beforeAll(async () => {
    database = await openTestDatabase(service);
  });
  afterAll(() => database?.close(hasFailed()));
  return () => {
    if (database === undefined) throw new Error('The database is there inside tests only');
    return database;
  };
}
