import type { UsageAnswer } from '../../studio/src/api/answers';
import { findUses, type UsageQuestion } from '../src/operations/studio/usage';
import { MOST_USES, type Place, usesStatement } from '../src/postgres/uses';
import { type GivenFleet, removeFleets } from './fleet-fixture';
import { failureOf, openClient, rowsOf } from './migrations-fixture';
import { contextOf, type GivenContext, givenShop, movedTo } from './studio-read-fixture';

const ANN = '00000000-0000-4000-8000-00000000000a';
const BOB = '00000000-0000-4000-8000-00000000000b';

describe('where a value is used', () => {
  let fleet: GivenFleet;
  const usesOf = async (question: UsageQuestion, given: GivenContext = {}): Promise<UsageAnswer> =>
    findUses(await contextOf(fleet, given), question);
  const linesOf = async (path: string, value: string, given: GivenContext = {}) => {
    const [service = '', table = '', column = ''] = path.split('.');
    const { uses, errors } = await usesOf({ service, table, column, value }, given);
    expect(errors).toEqual([]);
    return uses.map((use) => `${use.service}.${use.table}.${use.column} ${use.rows}`);
  };

  beforeAll(async () => {
    fleet = await givenShop();
    await rowsOf(
      fleet.target('auth').admin,
      `INSERT INTO users VALUES ('${ANN}', 'ann@x.invalid'), ('${BOB}', 'bob@x.invalid');
       INSERT INTO sessions VALUES (1, '${ANN}', 't1'), (2, '${ANN}', 't2');
       INSERT INTO countries VALUES ('DE', 49), ('DEU', 50);
       INSERT INTO regions VALUES ('DE', 'Bayern');`,
    );
    await rowsOf(
      fleet.target('shop').admin,
      `INSERT INTO "Order" VALUES (1, '${ANN}', '{${BOB}}', '${ANN}', 'DE', 49, 'ann@x.invalid'),
         (2, NULL, '{${BOB},${ANN}}', NULL, NULL, NULL, NULL), (3, '${ANN}', '{}', NULL, NULL, 50, NULL);`,
    );
  });
  afterAll(removeFleets);

  it('is told of references from other services, lists included, and of foreign keys', async () => {
    expect(await linesOf('auth.users.id', ANN)).toEqual([
      'auth.sessions.user_id 2',
      'shop.Order.buyer id 2',
      'shop.Order.watchers 1',
    ]);
    expect(await linesOf('auth.users.id', BOB)).toEqual(['shop.Order.watchers 2']);
  });

  it('is told of the row that a reference, or a foreign key, names', async () => {
    expect(await linesOf('shop.Order.buyer id', ANN)).toEqual(['auth.users.id 1']);
    expect(await linesOf('shop.Order.watchers', BOB)).toEqual(['auth.users.id 1']);
    expect(await linesOf('auth.sessions.user_id', ANN)).toEqual(['auth.users.id 1']);
    expect(await linesOf('auth.regions.country', 'DE')).toEqual(['auth.countries.code 1']);
  });

  it('finds the value itself, and not what a column has room for of it', async () => {
    expect(await linesOf('auth.countries.code', 'DE')).toEqual(['auth.regions.country 1', 'shop.Order.country 1']);
    expect(await linesOf('auth.countries.code', 'DEU')).toEqual([]);
  });

  it.each([
    ['auth.users.id', 'nobody'],
    ['auth.users.id', ''],
    ['auth.users.id', "' OR true --"],
    ['auth.users.id', 'nul\0'],
    ['auth.countries.number', '49.5'],
    ['auth.countries.number', '99999999999999999999'],
    ['auth.countries.code', "DE' OR '1'='1"],
  ])('is nowhere where %s cannot be %j', async (column, value) => {
    expect(await linesOf(column, value)).toEqual([]);
  });

  it('is looked for in columns of every type, whatever their names, also where it fits into some of them only', async () => {
    const admin = fleet.target('auth').admin;
    await rowsOf(
      admin,
      `CREATE TABLE wide ("it's ""odd""" bigint REFERENCES countries (number), code text REFERENCES countries);
       ALTER TABLE wide DISABLE TRIGGER ALL;
       INSERT INTO wide VALUES (49, 'DE'), (99999999999, NULL);`,
    );
    const [fits, large, code] = [
      await linesOf('auth.countries.number', '49'),
      await linesOf('auth.countries.number', '99999999999'),
      await linesOf('auth.countries.code', 'DE'),
    ];
    await rowsOf(admin, 'DROP TABLE wide');

    expect(fits).toEqual([`auth.wide.it's "odd" 1`, 'shop.Order.number 1']);
    expect(large).toEqual([`auth.wide.it's "odd" 1`]);
    expect(code).toEqual(['auth.regions.country 1', 'auth.wide.code 1', 'shop.Order.country 1']);
  });

  it('keeps silent about hidden columns until they are revealed', async () => {
    const reveal = { reveal: true };

    expect(await linesOf('auth.users.email', 'ann@x.invalid')).toEqual([]);
    expect(await linesOf('shop.Order.contact', 'ann@x.invalid')).toEqual([]);
    expect(await linesOf('shop.Order.gift_for', ANN)).toEqual([]);
    expect(await linesOf('auth.users.email', 'ann@x.invalid', reveal)).toEqual(['shop.Order.contact 1']);
    expect(await linesOf('shop.Order.contact', 'ann@x.invalid', reveal)).toEqual(['auth.users.email 1']);
    expect(await linesOf('auth.users.id', ANN, reveal)).toContain('shop.Order.gift_for 1');
  });

  it('counts no further than a page can use', async () => {
    const admin = fleet.target('shop').admin;
    await rowsOf(admin, `INSERT INTO "Order" (id, "buyer id") SELECT n, '${BOB}' FROM generate_series(100, 3000) n`);

    expect(await linesOf('auth.users.id', BOB)).toEqual([`shop.Order.buyer id ${MOST_USES}`, 'shop.Order.watchers 2']);
    await rowsOf(admin, 'DELETE FROM "Order" WHERE id >= 100');
  });

  it('is asked of an index where there is one', async () => {
    const client = await openClient(fleet.target('shop').admin);
    const place: Place = { table: 'Order', column: 'buyer id', type: 'uuid', isList: false };
    await client.query('SET enable_seqscan = off');

    const { rows } = await client.query(`EXPLAIN ${usesStatement([place])}`.replace('$1', `'${ANN}'`));
    await client.end();
    expect(JSON.stringify(rows)).toMatch(/Index.*order_buyer_idx.*Index Cond/);
  });

  it('is told as far as it is known when a service cannot be asked', async () => {
    const question = { service: 'auth', table: 'users', column: 'id', value: ANN };

    expect(await usesOf(question, { targets: movedTo(fleet, 'shop', 1) })).toEqual({
      uses: [{ service: 'auth', table: 'sessions', column: 'user_id', rows: 2 }],
      errors: [{ service: 'shop', code: 'SERVER.UNREACHABLE', message: expect.any(String) }],
    });
  });

  it('does not wait behind a lock', async () => {
    const locker = await openClient(fleet.target('shop').admin);
    await locker.query('BEGIN; LOCK TABLE "Order"');
    const answer = await usesOf({ service: 'auth', table: 'users', column: 'id', value: ANN });
    await locker.end();

    expect(answer.uses).toHaveLength(1);
    expect(answer.errors).toMatchObject([{ service: 'shop', code: 'DATABASE.FAILED', message: /lock timeout/ }]);
  });

  it('looks in no service that is not shown, and at no column that is not there yet', async () => {
    expect(await linesOf('auth.users.id', BOB, { targets: [fleet.target('auth')] })).toEqual([]);
    await rowsOf(fleet.target('shop').admin, 'ALTER TABLE "Order" RENAME watchers TO onlookers');
    expect(await linesOf('auth.users.id', ANN)).toEqual(['auth.sessions.user_id 2', 'shop.Order.buyer id 2']);
    await rowsOf(fleet.target('shop').admin, 'ALTER TABLE "Order" RENAME onlookers TO watchers');
  });

  it.each(['auth.users.nope', 'auth.nope.id', 'nope.users.id'])('is not told of %s', async (path) => {
    const [service = '', table = '', column = ''] = path.split('.');

    expect(await failureOf(usesOf({ service, table, column, value: ANN }))).toMatchObject({
      code: 'STUDIO.UNKNOWN_COLUMN',
      meta: { service, table, column },
    });
  });

  it('is not told of a service that is not shown', async () => {
    const question = { service: 'auth', table: 'users', column: 'id', value: ANN };

    expect(await failureOf(usesOf(question, { targets: [fleet.target('shop')] }))).toMatchObject({
      code: 'STUDIO.UNKNOWN_COLUMN',
    });
  });

  it('takes a partitioned table for one place', async () => {
    const admin = fleet.target('auth').admin;
    await rowsOf(
      admin,
      `CREATE TABLE visits (at int, user_id uuid REFERENCES users) PARTITION BY RANGE (at);
       CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (1) TO (9);
       INSERT INTO visits VALUES (1, '${BOB}');`,
    );
    const uses = await linesOf('auth.users.id', BOB);
    await rowsOf(admin, 'DROP TABLE visits');

    expect(uses).toEqual(['auth.visits.user_id 1', 'shop.Order.watchers 2']);
  });
});
