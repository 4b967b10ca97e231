/** @server any */
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseUrl } from '@azora/db-core';
import type { Client } from 'pg';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import type { Target } from '../src/operations/targets';
import { backUp, givenPlace, removePlaces, restore } from './backup-fixture';
import { inRestored, startWriters, watchedStorage, withLateSnapshot } from './backup-writers';
import { givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, openClient, rowsOf } from './migrations-fixture';

const ACCOUNTS = 40;
const FIRST_BALANCE = 1_000;

const BANK = {
  schema: `
model Account {
  id      Int @id
  balance Int
  @@map("accounts")
}

model Transfer {
  id     Int @id @default(autoincrement())
  payer  Int
  payee  Int
  amount Int
  @@map("transfers")
}`,
  up: `
CREATE TABLE accounts (id integer PRIMARY KEY, balance integer NOT NULL);
CREATE TABLE transfers (id serial PRIMARY KEY, payer integer NOT NULL REFERENCES accounts, payee integer NOT NULL, amount integer NOT NULL);
INSERT INTO accounts SELECT id, ${FIRST_BALANCE} FROM generate_series(1, ${ACCOUNTS}) AS id;`,
};
/** The second half of each table is money that moves between the two; the rest makes the tables large. */
const VAULTS = {
  schema: `
model Left {
  id      Int    @id
  balance Int
  weight  String
  @@map("left_vault")
}

model Right {
  id      Int    @id
  balance Int
  weight  String
  @@map("right_vault")
}`,
  up: `
CREATE TABLE left_vault (id integer PRIMARY KEY, balance integer NOT NULL, weight text NOT NULL);
CREATE TABLE right_vault (id integer PRIMARY KEY, balance integer NOT NULL, weight text NOT NULL);
INSERT INTO left_vault SELECT id, 10, repeat('x', 1500) FROM generate_series(1, 12000) AS id;
INSERT INTO right_vault SELECT id, 10, repeat('x', 1500) FROM generate_series(1, 12000) AS id;`,
};
const PARENTS = {
  schema: 'model Parent {\n  id Int @id @default(autoincrement())\n  @@map("parents")\n}',
  up: 'CREATE TABLE parents (id serial PRIMARY KEY);',
};
/** The fence locks tables in the order of their names. A writer that uses the opposite order meets it halfway. */
const CHILDREN = {
  schema: `
model Child {
  id     Int @id @default(autoincrement())
  parent Int
  @@map("children")
}

model Note {
  id Int @id @default(autoincrement())
  @@map("notes")
}`,
  up: 'CREATE TABLE children (id serial PRIMARY KEY, parent integer NOT NULL); CREATE TABLE notes (id serial PRIMARY KEY);',
};

afterAll(removePlaces);
afterAll(removeFleets);

async function givenServices(services: Readonly<Record<string, { schema: string; up: string }>>) {
  const fleet = await givenFleet(
    Object.fromEntries(
      Object.entries(services).map(([name, { schema, up }]) => [
        name,
        { schema, migrations: { '20260101000001_init': { up, down: '-- irreversible: a test\n' } } },
      ]),
    ),
  );
  for (const target of fleet.targets) await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
  return fleet;
}

/** Moves money between two accounts, the lower id first, so that two payments in opposite directions do not deadlock. */
function pay([session]: readonly Client[], writer: number, round: number): Promise<unknown> | undefined {
  const payer = ((writer * 7 + round * 3) % ACCOUNTS) + 1;
  const payee = ((payer + (round % (ACCOUNTS - 1))) % ACCOUNTS) + 1;
  const amount = (round % 50) + 1;
  const updates = [
    { id: payer, by: -amount },
    { id: payee, by: amount },
  ].sort((left, right) => left.id - right.id);
  const sql = updates.map(({ id, by }) => `UPDATE accounts SET balance = balance + ${by} WHERE id = ${id}`).join(';');
  return session?.query(
    `BEGIN; ${sql}; INSERT INTO transfers (payer, payee, amount) VALUES (${payer}, ${payee}, ${amount}); COMMIT`,
  );
}

/** The total of all balances, and the number of accounts whose balance differs from the sum of their transfers. */
function auditOf(url: DatabaseUrl): Promise<readonly unknown[]> {
  return rowsOf(
    url,
    `WITH moved AS (
       SELECT id, ${FIRST_BALANCE}
         + coalesce((SELECT sum(amount) FROM transfers WHERE payee = accounts.id), 0)
         - coalesce((SELECT sum(amount) FROM transfers WHERE payer = accounts.id), 0) AS balance FROM accounts)
     SELECT sum(accounts.balance)::int AS money,
            (count(*) FILTER (WHERE accounts.balance <> moved.balance))::int AS wrong,
            nextval('transfers_id_seq') > (SELECT max(id) FROM transfers) AS goes_on
     FROM accounts JOIN moved USING (id)`,
  );
}

const EXACT = [{ money: ACCOUNTS * FIRST_BALANCE, wrong: 0, goes_on: true }];
const ORPHANS = 'SELECT count(*)::int FROM children WHERE NOT parent = ANY (';

describe('a backup set of a database with writers', () => {
  it('has balances and transfers of one moment', async () => {
    const bank = (await givenServices({ bank: BANK })).target('bank');
    const { storage } = await givenPlace();
    const writers = await startWriters([bank.admin], 4, async (...given) => pay(...given));
    const sets: string[] = [];

    for (let round = 0; round < 4; round += 1) {
      sets.push((await backUp([bank], storage, { fence: round % 2 === 1 })).set);
      await writers.goneOn();
    }
    await writers.stop();

    expect(await Promise.all(sets.map((set) => inRestored(storage, set, bank, auditOf)))).toEqual(
      sets.map(() => EXACT),
    );
    await restore([bank], storage, sets[2] ?? '');
    expect(await auditOf(bank.admin)).toEqual(EXACT);
  });
});

describe('a large database that several sessions read', () => {
  let vault: Target;
  beforeAll(async () => {
    vault = (await givenServices({ vault: VAULTS })).target('vault');
  });

  const moneyIn = (url: DatabaseUrl) =>
    rowsOf(url, 'SELECT ((SELECT sum(balance) FROM left_vault) + (SELECT sum(balance) FROM right_vault))::int');

  it('shows all of them the same state', async () => {
    const { storage } = await givenPlace();
    const writers = await startWriters([vault.admin], 2, async ([session], writer, round) => {
      const id = 6_001 + ((writer * 3_000 + round) % 6_000);
      await session?.query(`BEGIN; UPDATE left_vault SET balance = balance - 1 WHERE id = ${id};
        UPDATE right_vault SET balance = balance + 1 WHERE id = ${id}; COMMIT`);
    });

    const sets = [(await backUp([vault], storage)).set, (await backUp([vault], storage)).set];
    await writers.stop();

    for (const set of sets) expect(await inRestored(storage, set, vault, moneyIn)).toEqual([240_000]);
  });

  it('is altered only after the backup, by a session that waits without a timeout', async () => {
    const { storage } = await givenPlace();
    const altering: Promise<unknown>[] = [];
    const watched = watchedStorage(storage, async () => {
      if (altering.length > 0) return;
      for (const table of ['left_vault', 'right_vault']) {
        const sql = `ALTER TABLE ${table} DROP COLUMN balance, ADD COLUMN other integer DEFAULT 7`;
        altering.push(rowsOf(vault.admin, sql));
      }
      await waitingForLocks(vault, 2);
    });

    const { set } = await backUp([vault], watched);
    await Promise.all(altering);

    expect(await inRestored(storage, set, vault, moneyIn)).toEqual([240_000]);
    expect(await rowsOf(vault.admin, 'SELECT sum(other)::int FROM left_vault')).toEqual([84_000]);
    await restore([vault], storage, set);
    expect(await moneyIn(vault.admin)).toEqual([240_000]);
  });

  it('leaves nothing behind and writes nothing more when one session cannot store its rows', async () => {
    const { storage, directory } = await givenPlace();
    const stored: string[] = [];
    const watched = watchedStorage(storage, async (file) => {
      stored.push(file);
      if (file.includes('right_vault')) await sleep(500);
      if (!file.includes('left_vault')) return;
      while (!stored.some((other) => other.includes('right_vault'))) await sleep(5);
      throw new Error('the disk is gone');
    });

    await expect(backUp([vault], watched)).rejects.toThrow('the disk is gone');

    const then = [...stored];
    expect(await readdir(directory)).toEqual([]);
    await sleep(1_000);
    expect(stored).toEqual(then);
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('a backup set of two services with writers', () => {
  /** Each writer commits a parent in one service, then a child in the other, and writes to two tables in either order. */
  const givenFamilies = async () => {
    const { target } = await givenServices({ people: PARENTS, young: CHILDREN });
    const [people, young] = [target('people'), target('young')];
    const writers = await startWriters([people.admin, young.admin], 4, async ([first, second], writer) => {
      const parent = (await first?.query('INSERT INTO parents DEFAULT VALUES RETURNING id'))?.rows[0].id;
      const inserts = [`INSERT INTO children (parent) VALUES (${parent})`, 'INSERT INTO notes DEFAULT VALUES'];
      await second?.query(`BEGIN; ${(writer % 2 === 0 ? inserts : inserts.toReversed()).join(';')}; COMMIT`);
    });
    return { people, young, writers };
  };

  /** The number of children in a set whose parent is missing from it. */
  const orphansIn = async (
    storage: Awaited<ReturnType<typeof givenPlace>>['storage'],
    set: string,
    people: Target,
    young: Target,
  ) => {
    const parents = await inRestored(storage, set, people, (url) => rowsOf(url, 'SELECT id FROM parents'));
    const [orphans] = await inRestored(storage, set, young, (url) =>
      rowsOf(url, `${ORPHANS}'{${parents.join(',')}}'::integer[])`),
    );
    return Number(orphans);
  };

  it('never has a child without its parent with --fence, even when one snapshot is late; without it, it may', async () => {
    const { people, young, writers } = await givenFamilies();
    const { storage } = await givenPlace();

    await withLateSnapshot(young, 60, async (late) => {
      for (let round = 0; round < 3; round += 1) {
        const { set, manifest } = await backUp([people, late], storage, { fence: true });
        expect(manifest?.fence).toEqual({ heldMs: expect.any(Number) });
        expect(await orphansIn(storage, set, people, young)).toBe(0);
        await writers.goneOn();
      }
      // Proves that the test can fail: without the fence, these writers do create orphans.
      let orphans = 0;
      while (orphans === 0) {
        const { set, manifest } = await backUp([people, late], storage);
        expect(manifest?.fence).toBeNull();
        orphans = await orphansIn(storage, set, people, young);
      }
    });
    await writers.stop();
  });

  it('lets writers that meet the fence halfway finish, and cancels none of them', async () => {
    const { people, young, writers } = await givenFamilies();
    const slow = await startWriters([young.admin], 2, async ([session], writer) => {
      const inserts = ['INSERT INTO children (parent) VALUES (0)', 'INSERT INTO notes DEFAULT VALUES'];
      const [first, second] = writer === 0 ? inserts : inserts.toReversed();
      await session?.query(`BEGIN; ${first}; SELECT pg_sleep(0.02); ${second}; COMMIT; SELECT pg_sleep(0.02)`);
    });
    const { storage } = await givenPlace();

    for (let round = 0; round < 3; round += 1) {
      const { manifest } = await backUp([people, young], storage, { fence: true });
      expect(manifest.fence?.heldMs).toBeGreaterThanOrEqual(0);
    }
    await Promise.all([slow.goneOn(), writers.goneOn()]);
    await Promise.all([slow.stop(), writers.stop()]);
  });

  it('is not made with --fence while a write transaction stays open', async () => {
    const { people, young, writers } = await givenFamilies();
    const { storage, directory } = await givenPlace();
    const open = await openClient(young.admin, 'open');
    await open.query('BEGIN; INSERT INTO notes DEFAULT VALUES');

    const { code } = await failureOf(backUp([people, young], storage, { fence: true }));
    expect(code).toBe('BACKUP.FENCE_TIMEOUT');
    expect(await readdir(directory)).toEqual([]);
    expect(await storage.list()).toEqual([]);
    await writers.goneOn();

    await open.query('COMMIT');
    await open.end();
    const { set } = await backUp([people, young], storage, { fence: true });
    expect(await storage.list()).toEqual([set]);
    await writers.goneOn();
    await writers.stop();
  });
});

/** Resolves when this many sessions of the database wait for a lock. */
async function waitingForLocks({ admin }: Target, count: number): Promise<void> {
  const sql = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  while ((await rowsOf(admin, sql)).length < count) await sleep(10);
}
