/** @server any */
import type { ReferencesAnswer } from '../../studio/src/api/answers';
import { findReferences, type ReferenceSearch } from '../src/operations/studio/find-references';
import { type CandidateColumn, COUNT_LIMIT, countStatement } from '../src/postgres/studio/find-references';
import { type GivenFleet, removeFleets } from './fleet-fixture';
import { failureOf, openClient, rowsOf } from './migrations-fixture';
import { contextOf, type GivenContext, givenShop, movedTo } from './studio-read-fixture';

const ANN = '00000000-0000-4000-8000-00000000000a';
const BOB = '00000000-0000-4000-8000-00000000000b';

describe('finding references', () => {
  let fleet: GivenFleet;
  const find = async (search: ReferenceSearch, given: GivenContext = {}): Promise<ReferencesAnswer> =>
    findReferences(await contextOf(fleet, given), search);
  const linesOf = async (path: string, value: string, given: GivenContext = {}) => {
    const [service = '', table = '', column = ''] = path.split('.');
    const { references, errors } = await find({ service, table, column, value }, given);
    expect(errors).toEqual([]);
    return references.map((found) => `${found.service}.${found.table}.${found.column} ${found.rows}`);
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

  it('follows references from other services, array columns included, and foreign keys', async () => {
    expect(await linesOf('auth.users.id', ANN)).toEqual([
      'auth.sessions.user_id 2',
      'shop.Order.buyer id 2',
      'shop.Order.watchers 1',
    ]);
    expect(await linesOf('auth.users.id', BOB)).toEqual(['shop.Order.watchers 2']);
  });

  it('finds the row that a reference or a foreign key points to', async () => {
    expect(await linesOf('shop.Order.buyer id', ANN)).toEqual(['auth.users.id 1']);
    expect(await linesOf('shop.Order.watchers', BOB)).toEqual(['auth.users.id 1']);
    expect(await linesOf('auth.sessions.user_id', ANN)).toEqual(['auth.users.id 1']);
    expect(await linesOf('auth.regions.country', 'DE')).toEqual(['auth.countries.code 1']);
  });

  it('does not truncate the value to the length of a column', async () => {
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
  ])('returns nothing when %s cannot hold %j', async (column, value) => {
    expect(await linesOf(column, value)).toEqual([]);
  });

  it('searches columns of different types and with quoted names, where the value may fit some types only', async () => {
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

  it('neither searches hidden columns nor searches for their values without --reveal', async () => {
    const reveal = { reveal: true };

    expect(await linesOf('auth.users.email', 'ann@x.invalid')).toEqual([]);
    expect(await linesOf('shop.Order.contact', 'ann@x.invalid')).toEqual([]);
    expect(await linesOf('shop.Order.gift_for', ANN)).toEqual([]);
    expect(await linesOf('auth.users.email', 'ann@x.invalid', reveal)).toEqual(['shop.Order.contact 1']);
    expect(await linesOf('shop.Order.contact', 'ann@x.invalid', reveal)).toEqual(['auth.users.email 1']);
    expect(await linesOf('auth.users.id', ANN, reveal)).toContain('shop.Order.gift_for 1');
  });

  it('stops counting at the limit', async () => {
    const admin = fleet.target('shop').admin;
    await rowsOf(admin, `INSERT INTO "Order" (id, "buyer id") SELECT n, '${BOB}' FROM generate_series(100, 3000) n`);

    expect(await linesOf('auth.users.id', BOB)).toEqual([
      `shop.Order.buyer id ${COUNT_LIMIT}`,
      'shop.Order.watchers 2',
    ]);
    await rowsOf(admin, 'DELETE FROM "Order" WHERE id >= 100');
  });

  it('uses an index where there is one', async () => {
    const client = await openClient(fleet.target('shop').admin);
    const column: CandidateColumn = { table: 'Order', column: 'buyer id', type: 'uuid', isArray: false };
    await client.query('SET enable_seqscan = off');

    const { rows } = await client.query(`EXPLAIN ${countStatement([column])}`.replace('$1', `'${ANN}'`));
    await client.end();
    expect(JSON.stringify(rows)).toMatch(/Index.*order_buyer_idx.*Index Cond/);
  });

  it('returns the references of the other services when one is unreachable', async () => {
    const search = { service: 'auth', table: 'users', column: 'id', value: ANN };

    expect(await find(search, { targets: movedTo(fleet, 'shop', 1) })).toEqual({
      references: [{ service: 'auth', table: 'sessions', column: 'user_id', rows: 2 }],
      errors: [{ service: 'shop', code: 'SERVER.UNREACHABLE', message: expect.stringContaining(':1/') }],
    });
  });

  it('reports a locked table without waiting for the lock', async () => {
    const locker = await openClient(fleet.target('shop').admin);
    await locker.query('BEGIN; LOCK TABLE "Order"');
    const answer = await find({ service: 'auth', table: 'users', column: 'id', value: ANN });
    await locker.end();

    expect(answer.references).toHaveLength(1);
    expect(answer.errors).toMatchObject([{ service: 'shop', code: 'DATABASE.FAILED', message: /lock timeout/ }]);
  });

  it('skips services that are not shown, and columns that the database does not have', async () => {
    expect(await linesOf('auth.users.id', BOB, { targets: [fleet.target('auth')] })).toEqual([]);
    await rowsOf(fleet.target('shop').admin, 'ALTER TABLE "Order" RENAME watchers TO onlookers');
    expect(await linesOf('auth.users.id', ANN)).toEqual(['auth.sessions.user_id 2', 'shop.Order.buyer id 2']);
    await rowsOf(fleet.target('shop').admin, 'ALTER TABLE "Order" RENAME onlookers TO watchers');
  });

  it.each(['auth.users.nope', 'auth.nope.id', 'nope.users.id'])('rejects the unknown column %s', async (path) => {
    const [service = '', table = '', column = ''] = path.split('.');

    expect(await failureOf(find({ service, table, column, value: ANN }))).toMatchObject({
      code: 'STUDIO.UNKNOWN_COLUMN',
      meta: { service, table, column },
    });
  });

  it('rejects a column of a service that is not shown', async () => {
    const search = { service: 'auth', table: 'users', column: 'id', value: ANN };

    expect(await failureOf(find(search, { targets: [fleet.target('shop')] }))).toMatchObject({
      code: 'STUDIO.UNKNOWN_COLUMN',
    });
  });

  it('counts a partitioned table once', async () => {
    const admin = fleet.target('auth').admin;
    await rowsOf(
      admin,
      `CREATE TABLE visits (at int, user_id uuid REFERENCES users) PARTITION BY RANGE (at);
       CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (1) TO (9);
       INSERT INTO visits VALUES (1, '${BOB}');`,
    );
    const lines = await linesOf('auth.users.id', BOB);
    await rowsOf(admin, 'DROP TABLE visits');

    expect(lines).toEqual(['auth.visits.user_id 1', 'shop.Order.watchers 2']);
  });
});
