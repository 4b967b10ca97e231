import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { verifyAuditChain } from '../src/index';
import { givenChain, useAuth } from './given';

/** Inserts entries about one user; the ids are the user's with these endings. */
const insertSql = (userId: string, ...endings: readonly string[]) =>
  `INSERT INTO audit_log (id, user_id, action) VALUES ${endings.map((it) => `('${userId}-${it}', '${userId}', 'X')`)}`;

describe('the head of an audit chain', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);
  const clients: Client[] = [];
  /** A session of the app role, for transactions of several statements. */
  const session = async () => {
    const client = new Client({ connectionString: db().url });
    await client.connect();
    clients.push(client);
    return client;
  };
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.end()));
  });
  const untilBlocked = async (client: Client, by: Client) => {
    const [waiting, holder] = [await backend(client), await backend(by)];
    return async () => {
      for (;;) {
        const [row] = await db().admin('SELECT $2 = ANY (pg_blocking_pids($1)) AS blocked', [waiting, holder]);
        if (row?.['blocked'] === true) return;
      }
    };
  };
  const backend = async (client: Client) =>
    (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid;
  const expectIntact = async (userId: string, entries: number) =>
    expect(await verifyAuditChain(open(), { userId })).toMatchObject({
      ok: true,
      checked: entries,
      head: { seq: BigInt(entries) },
    });

  it('stays where it is for an id that another transaction is about to commit', async () => {
    const [attacked, other] = [await givenChain(db(), 1), await givenChain(db(), 1)];
    const [first, second] = [await session(), await session()];
    const blocked = await untilBlocked(second, first);
    await first.query(`BEGIN; INSERT INTO audit_log (id, user_id, action) VALUES ('taken', '${other}', 'X')`);
    const skipped = second.query(
      `INSERT INTO audit_log (id, user_id, action) VALUES ('taken', '${attacked}', 'X') ON CONFLICT DO NOTHING`,
    );
    await blocked();
    await first.query('COMMIT');

    expect((await skipped).rowCount).toBe(0);
    await expectIntact(attacked, 1);
    await db().app(insertSql(attacked, 'next'));
    await expectIntact(attacked, 2);
    await expectIntact(other, 2);
  });

  it.each<[string, (userId: string) => string, number]>([
    ['several rows', (id) => insertSql(id, 'a', 'b', 'c'), 4],
    ['rows that are skipped', (id) => `${insertSql(id, 'a', '1', 'b', 'a', 'c')} ON CONFLICT DO NOTHING`, 4],
    [
      'a query',
      (id) => `INSERT INTO audit_log (id, user_id, action) SELECT id || n, user_id, 'X'
      FROM audit_log, generate_series(1, 20) AS n WHERE user_id = '${id}'`,
      21,
    ],
    [
      'two INSERT in one statement',
      (id) => `WITH first AS (${insertSql(id, 'a', 'b')} RETURNING id),
      second AS (${insertSql(id, 'c')} RETURNING id) SELECT * FROM first, second`,
      4,
    ],
    [
      'an INSERT that calls a function which inserts',
      (id) => `INSERT INTO audit_log (id, user_id, action)
      SELECT '${id}-' || n || coalesce(write_entry('${id}-in-' || n, '${id}'), ''), '${id}', 'X'
      FROM generate_series(1, 3) AS n WHERE n <> 1`,
      5,
    ],
    [
      'a savepoint that is rolled back',
      (id) => `BEGIN; ${insertSql(id, 'a')}; SAVEPOINT s; ${insertSql(id, 'b', 'c')};
      ROLLBACK TO s; ${insertSql(id, 'd')}; COMMIT`,
      3,
    ],
    [
      'a block whose error is caught',
      (id) => `DO $$ BEGIN ${insertSql(id, 'a')};
      BEGIN ${insertSql(id, 'b', 'a')}; EXCEPTION WHEN unique_violation THEN NULL; END; ${insertSql(id, 'c')}; END $$`,
      3,
    ],
    [
      'MERGE',
      (id) => `MERGE INTO audit_log USING (VALUES ('${id}-1'), ('${id}-a')) AS new (id) ON audit_log.id = new.id
      WHEN NOT MATCHED THEN INSERT (id, user_id, action) VALUES (new.id, '${id}', 'X')`,
      2,
    ],
    [
      'given positions and hashes',
      (id) => `INSERT INTO audit_log (id, user_id, action, seq, previous_hash, hash)
      VALUES ('${id}-a', '${id}', 'X', 9000000000000000000, 'x', 'x')`,
      2,
    ],
  ])('has the position of the newest entry after %s', async (_what, sql, entries) => {
    await db().admin(`CREATE OR REPLACE FUNCTION write_entry(id text, user_id text) RETURNS text LANGUAGE sql VOLATILE
      AS $$ INSERT INTO audit_log (id, user_id, action) VALUES ($1, $2, 'X') RETURNING NULL $$`);
    const userId = await givenChain(db(), 1);
    await (await session()).query(sql(userId));

    await expectIntact(userId, entries);
    await db().app(insertSql(userId, 'next'));
    await expectIntact(userId, entries + 1);
  });

  it('has no fork when sessions race with entries, duplicates and rollbacks', async () => {
    const userId = await givenChain(db(), 0);
    const sessions = await Promise.all(Array.from({ length: 6 }, session));
    const work = sessions.map(async (client, at) => {
      for (let n = 0; n < 10; n += 1) {
        await client.query(`${insertSql(userId, `same-${n}`, `${at}-${n}`)} ON CONFLICT DO NOTHING`);
        await client.query(`BEGIN; ${insertSql(userId, `gone-${at}-${n}`)}; ROLLBACK`);
      }
    });
    await Promise.all(work);

    await expectIntact(userId, 70);
  });

  it.each([`timestamptz '2999-01-01'`, `timestamptz '1970-01-01'`, `'infinity'`, `'-infinity'`])(
    'counts for nothing that the app role dates an entry %s: the database dates it',
    async (time) => {
      const userId = await givenChain(db(), 0);
      await db().app(
        `INSERT INTO audit_log (id, user_id, action, timestamp, created_at) VALUES ($1 || '-1', $1, 'X', ${time}, ${time})`,
        [userId],
      );

      expect(
        await db().admin(
          `SELECT timestamp = created_at AS same, timestamp BETWEEN now() - interval '1 minute' AND now() AS now
           FROM audit_log WHERE user_id = $1`,
          [userId],
        ),
      ).toEqual([{ same: true, now: true }]);
      await expectIntact(userId, 1);
    },
  );

  it('dates the entries of a session that took the app role, and keeps the dates of the administrator', async () => {
    const userId = await givenChain(db(), 1, 200);
    const insert = `INSERT INTO audit_log (id, user_id, action, timestamp) VALUES ('${userId}-as', '${userId}', 'X', '2999-01-01')`;
    await db().admin(`SET ROLE "${db().target.role}"; ${insert}; RESET ROLE`);

    expect(
      await db().admin(
        `SELECT now() - timestamp > interval '199 days' AS old FROM audit_log WHERE user_id = $1 ORDER BY seq`,
        [userId],
      ),
    ).toEqual([{ old: true }, { old: false }]);
  });
});
