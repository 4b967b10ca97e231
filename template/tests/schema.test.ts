import { itKeepsAnAuditLog, itTestsEveryCheck, schemaRefuses, useDatabase } from '@azora/db-testkit';

const INSERT = 'INSERT INTO items (id, user_id, name) VALUES ($1, $2, $3)';

/** The names of the tested CHECK constraints; a migration that adds one needs a test. */
const TESTED: readonly string[] = [];

describe('the template schema', () => {
  const db = useDatabase('template');

  it('sets the times of a new item', async () => {
    await db().app(INSERT, ['first', 'ada', 'Notebook']);

    const sql = 'SELECT name, created_at <= now() AS created, updated_at <= now() AS updated FROM items';
    expect(await db().app(sql)).toEqual([{ name: 'Notebook', created: true, updated: true }]);
  });

  it('rejects a second item of a user with the same name', async () => {
    await db().app(INSERT, ['pencil', 'ben', 'Pencil']);

    await schemaRefuses(db().app(INSERT, ['again', 'ben', 'Pencil']), 'items_user_id_name_key');
  });

  itTestsEveryCheck(db, TESTED);

  itKeepsAnAuditLog(db);
});
