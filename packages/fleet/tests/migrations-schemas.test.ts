/** @server any */

import { withClient } from '@azora/db-migrate';
import { examineFleet } from '../src/operations/migrations/doctor';
import { migrateFleetUp } from '../src/operations/migrations/migrate';
import { planFleet } from '../src/operations/migrations/plan';
import { truncateDatabases } from '../src/operations/reset';
import { compareCatalogs, readObjects } from '../src/postgres/verify/catalog';
import { findingsOf } from './doctor-fixture';
import { givenFleet, removeFleets } from './fleet-fixture';
import { rowsOf, WAIT } from './migrations-fixture';
import { givenShop } from './schemas-fixture';

const INIT = '20260101000000_init';

describe('a service with tables in several schemas', () => {
  afterEach(removeFleets);

  it('gives the app role its rights in each of them, and on the views of schema.prisma', async () => {
    const { target } = await givenShop();
    const can = async (relation: string) => {
      const rights = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];
      const asked = rights.map((right) => `has_table_privilege('${target.role}', '${relation}', '${right}')`);
      const [held] = await rowsOf(target.admin, `SELECT ARRAY[${asked.join(', ')}]`);
      return rights.filter((_, at) => (held as readonly boolean[])[at]);
    };

    expect(await can('billing.bills')).toEqual(['SELECT', 'INSERT', 'UPDATE', 'DELETE']);
    expect(await can('billing.open_bills_view')).toEqual(['SELECT']);
    expect(await can('unlisted')).toEqual([]);
    expect(
      await rowsOf(
        target.admin,
        `SET ROLE "${target.role}"; INSERT INTO users DEFAULT VALUES;
         INSERT INTO billing.bills (user_id, total) VALUES (1, 5) RETURNING id, number::int, doubled, billing.close()`,
      ),
    ).toEqual([{ id: 1, number: 1, doubled: 10, close: 1 }]);
    expect(
      await rowsOf(
        target.admin,
        `SELECT has_schema_privilege('${target.role}', 'parts', 'USAGE')
                OR has_function_privilege('public', 'billing.close()', 'EXECUTE')`,
      ),
    ).toEqual([false]);
  });

  it('is examined by the doctor in all of them', async () => {
    const { target } = await givenShop();
    await rowsOf(
      target.admin,
      `CREATE TABLE billing.loose (id int); GRANT SELECT ON billing.bills TO PUBLIC; GRANT USAGE ON SCHEMA parts TO PUBLIC;
       CREATE INDEX twin ON billing.bills (id) WHERE state = 'open'; ALTER SEQUENCE billing.numbers MAXVALUE 10;
       SELECT setval('billing.numbers', 10)`,
    );
    const findings = findingsOf(await examineFleet([target], {}));

    expect(findings.map(({ check, object }) => `${check} ${object}`).sort()).toEqual([
      'duplicate-index billing.bills.twin',
      'foreign-key-index billing.bills.bills_user_id_fkey',
      'primary-key billing.loose',
      'rights schema parts',
      'rights table billing.bills',
      'sequence billing.numbers',
    ]);
    expect(findings.map(({ next }) => next).join('\n')).toEqual(
      expect.stringMatching(
        /"bills_user_id_idx" ON "billing"\."bills" \("user_id"\)[\s\S]*DROP INDEX CONCURRENTLY "billing"\."twin"[\s\S]*ALTER TABLE "billing"\."loose"/,
      ),
    );
  });

  it('is emptied in all of them', async () => {
    const { target } = await givenShop();
    await rowsOf(target.admin, 'INSERT INTO users DEFAULT VALUES; INSERT INTO billing.bills (user_id) VALUES (1)');

    expect(await truncateDatabases([target], {})).toMatchObject([{ state: 'done' }]);
    expect(await rowsOf(target.admin, 'SELECT count(*)::int FROM billing.bills')).toEqual([0]);
  });
});

describe('names with dots', () => {
  afterEach(removeFleets);

  it('are not taken for names in another schema, in a plan or in the comparison of catalogs', async () => {
    const names = ['app.a', '"app.a"', 'app."b.c"', '"app.b".c'];
    const fleet = await givenFleet({
      shop: {
        schema: 'model A {\n  id Int @id\n}',
        migrations: {
          [INIT]: {
            up: `CREATE SCHEMA app; CREATE SCHEMA "app.b"; ${names.map((name) => `CREATE TABLE ${name} (x int);`).join('')}
              INSERT INTO app.a VALUES (1); INSERT INTO "app.b".c VALUES (1)`,
            down: `${names.map((name) => `DROP TABLE ${name};`).join('')} DROP SCHEMA app; DROP SCHEMA "app.b"`,
          },
        },
      },
    });
    const target = fleet.target('shop');
    await migrateFleetUp([{ target }], WAIT);
    const [planned] = await planFleet([{ target }], { down: true, steps: 1 }, {});
    const losses = planned?.state === 'done' ? planned.data.steps.flatMap((step) => step.losses) : [];

    expect(losses.map(({ table, hit }) => `${table} ${hit}`)).toEqual([
      'app.a true',
      '"app.a" false',
      'app."b.c" false',
      '"app.b".c true',
    ]);
    const look = () => withClient(target.admin, (client) => readObjects(client, { grants: false }));
    const before = await look();
    await rowsOf(target.admin, 'ALTER TABLE "app.a" ADD COLUMN "y.z" int; ALTER TABLE app."b.c" ADD COLUMN y int');
    expect(compareCatalogs(before, await look()).map(({ object }) => object)).toEqual(['"app.a"."y.z"', 'app."b.c".y']);
  });
});
