import { quoteIdentifier } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { findServices } from '../src/config/registry';
import { readSettings } from '../src/config/settings';
import { examineFleet } from '../src/operations/migrations/doctor';
import { setUpDatabases } from '../src/operations/setup';
import { appUrl, type Target } from '../src/operations/targets';
import { withRightsLock } from '../src/postgres/roles';
import { readSchemaModel } from '../src/schema/schema-model';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';

const passwordOf = () => 'only-for-tests';
const SHOP = {
  schema: `
    model Item {
      id    Int    @id @default(autoincrement())
      price Int
      @@map("items")
    }
    /// @grant select, insert
    model Entry {
      id Int @id
      @@map("entries")
    }`,
  up: `
    CREATE TABLE items (id serial PRIMARY KEY, price int);
    CREATE TABLE entries (id int PRIMARY KEY);
    CREATE VIEW sums AS SELECT sum(price) FROM items;
    CREATE FUNCTION sell(item int) RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
      AS 'SELECT item';
    CREATE FUNCTION count_sale() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
      AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER count_sale AFTER INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION count_sale();`,
};

describe('the rights in a database', () => {
  let fleet: GivenFleet;
  let shop: Target;
  /** A role that the app role passes rights on to. */
  const friend = `azt_friend_${process.pid}`;
  beforeAll(async () => {
    fleet = await givenMigratedFleet({ shop: SHOP });
    shop = fleet.target('shop');
    await setUp();
    await admin(`CREATE ROLE ${friend}`);
  });
  afterAll(async () => {
    await admin(`DROP OWNED BY ${friend}; DROP ROLE ${friend}`);
    await removeFleets();
  });

  const admin = (sql: string) => withClient(shop.admin, (client) => client.query(sql));
  const setUp = async () => {
    const services = await findServices(fleet.root);
    const settings = readSettings(fleet.root, services, fleet.environment);
    const schemaModel = await readSchemaModel(services);
    const input = { settings, allServices: services, services, schemaModel, passwordOf };
    const { rows } = await setUpDatabases(input, { log: () => undefined });
    expect(rows.map(({ state }) => state)).toEqual(['done']);
  };
  const findings = async () => {
    const { findings: found } = await examineFleet([shop], {});
    return found
      .filter(({ check }) => ['rights', 'role-limits'].includes(check))
      .map(({ object, message, next }) => ({ is: `${object} ${message}`, next }));
  };
  /** Every right in the catalog, as text. */
  const rights = async () => {
    const { rows } = await admin(`
      SELECT concat_ws(' ', relname, acl) AS it FROM pg_class, aclexplode(relacl) AS acl
        WHERE relnamespace = 'public'::regnamespace AND acl.grantee <> relowner
      UNION ALL SELECT attname || attacl::text FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid > 16383
      UNION ALL SELECT proname || proacl::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
      UNION ALL SELECT datacl::text FROM pg_database WHERE datname = current_database()
      UNION ALL SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public'
      UNION ALL SELECT defaclacl::text FROM pg_default_acl
      UNION ALL SELECT to_jsonb(pg_roles)::text FROM pg_roles WHERE rolname = '${shop.role}'
      UNION ALL SELECT setdatabase || setconfig::text FROM pg_db_role_setting WHERE setrole = '${shop.role}'::regrole
      UNION ALL SELECT roleid::regrole::text FROM pg_auth_members WHERE member = '${shop.role}'::regrole
      ORDER BY 1`);
    return rows.map(({ it }) => it);
  };

  it('are what setup gives: the app role calls functions, PUBLIC has no right', async () => {
    expect(await findings()).toEqual([]);
    expect((await rights()).filter((it) => /^(?:sell|count_sale)/.test(String(it)))).toEqual([
      expect.stringMatching(/^count_sale\{\w+=X\/\w+\}$/),
      expect.stringMatching(new RegExp(`^sell\\{\\w+=X/\\w+,${shop.role}=X/\\w+\\}$`)),
    ]);
  });

  it.each<[string, string | readonly string[]]>([
    ['GRANT TEMPORARY ON DATABASE {db} TO PUBLIC', 'database {database} gives PUBLIC the right TEMPORARY'],
    ['GRANT CONNECT ON DATABASE {db} TO PUBLIC', 'database {database} gives PUBLIC the right CONNECT'],
    [
      'GRANT CREATE, TEMPORARY ON DATABASE {db} TO {app}',
      'database {database} gives {role} the right CREATE, TEMPORARY',
    ],
    ['REVOKE CONNECT ON DATABASE {db} FROM {app}', 'database {database} does not give {role} the right CONNECT'],
    ['GRANT CREATE ON SCHEMA public TO PUBLIC', 'schema public gives PUBLIC the right CREATE'],
    ['GRANT CREATE ON SCHEMA public TO {app} WITH GRANT OPTION', 'schema public gives {role} the right CREATE*'],
    ['REVOKE USAGE ON SCHEMA public FROM {app}', 'schema public does not give {role} the right USAGE'],
    ['GRANT SELECT ON items TO PUBLIC', 'table items gives PUBLIC the right SELECT'],
    ['GRANT UPDATE, TRUNCATE ON entries TO {app}', 'table entries gives {role} the right TRUNCATE, UPDATE'],
    ['GRANT UPDATE (id) ON entries TO {app}', 'table entries gives {role} the right UPDATE (id)'],
    ['GRANT SELECT (price) ON items TO PUBLIC', 'table items gives PUBLIC the right SELECT (price)'],
    ['REVOKE DELETE ON items FROM {app}', 'table items does not give {role} the right DELETE'],
    ['GRANT SELECT ON sums TO {app}', 'table sums gives {role} the right SELECT'],
    ['GRANT SELECT ON _prisma_migrations TO {app}', 'table _prisma_migrations gives {role} the right SELECT'],
    [
      'GRANT SELECT ON items TO {app} WITH GRANT OPTION; SET ROLE {app}; GRANT SELECT ON items TO {friend}; RESET ROLE',
      'table items gives {role} the right SELECT*, and does not give {role} the right SELECT',
    ],
    ['GRANT USAGE ON SEQUENCE items_id_seq TO PUBLIC', 'sequence items_id_seq gives PUBLIC the right USAGE'],
    [
      'REVOKE UPDATE ON SEQUENCE items_id_seq FROM {app}',
      'sequence items_id_seq does not give {role} the right UPDATE',
    ],
    ['GRANT EXECUTE ON FUNCTION sell TO PUBLIC', 'function sell(item integer) gives PUBLIC the right EXECUTE'],
    [
      'REVOKE EXECUTE ON FUNCTION sell FROM {app}',
      'function sell(item integer) does not give {role} the right EXECUTE',
    ],
    ['GRANT EXECUTE ON FUNCTION count_sale TO {app}', 'function count_sale() gives {role} the right EXECUTE'],
    [
      'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC',
      expect.stringMatching(/^DEFAULT PRIVILEGES FOR ROLE \w+ on TABLES gives PUBLIC the right SELECT$/),
    ],
    [
      'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO {app}',
      expect.stringMatching(
        /^DEFAULT PRIVILEGES FOR ROLE \w+ IN SCHEMA public on SEQUENCES gives \w+ the right SELECT, UPDATE, USAGE$/,
      ),
    ],
    [
      'ALTER ROLE {app} SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS',
      'role {role} is not NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS',
    ],
    ['ALTER ROLE {app} NOLOGIN', 'role {role} is not LOGIN'],
    ['GRANT pg_read_all_data TO {app}', 'role {role} is a member of pg_read_all_data'],
    [
      'ALTER ROLE {app} SET lock_timeout = 0',
      '{role} has no limit for lock_timeout, so abandoned statements keep running on the server',
    ],
    [
      'ALTER ROLE {app} IN DATABASE {db} SET statement_timeout = 0',
      '{role} has no limit for statement_timeout, so abandoned statements keep running on the server',
    ],
  ])('are named by the doctor and restored by setup after: %s', async (sql, expected) => {
    const fill = (text: string) =>
      text
        .replaceAll('{db}', quoteIdentifier(shop.database))
        .replaceAll('{database}', shop.database)
        .replaceAll('{app}', quoteIdentifier(shop.role))
        .replaceAll('{role}', shop.role)
        .replaceAll('{friend}', friend);
    const before = await rights();
    await admin(fill(sql));
    const [found, ...others] = await findings();

    expect(others).toEqual([]);
    expect(found).toEqual({
      is: typeof expected === 'string' ? fill(expected) : expected,
      next: expect.stringMatching(/^Run "npm run db:setup", or [A-Z]/),
    });

    // PostgreSQL accepts the statement that the doctor names.
    await admin(`BEGIN; ${found?.next.replace(/^.*?, or /, '')}; ROLLBACK`);
    await setUp();
    expect(await findings()).toEqual([]);
    expect(await rights()).toEqual(before);
  });

  it('are not waited for without end while the app role holds the lock under which they change', async () => {
    await withClient(appUrl(shop, passwordOf), async (holder) => {
      const { rows } = await holder.query("SELECT pg_advisory_lock(x'726f6c65'::int), pg_backend_pid() AS pid");
      const work = jest.fn(async () => undefined);

      await expect(withClient(shop.admin, (client) => withRightsLock(client, work, 0))).rejects.toMatchObject({
        code: 'SERVER.RIGHTS_LOCKED',
        why: `Process ${rows[0].pid} of the role ${shop.role} holds it.`,
      });
      expect(work).not.toHaveBeenCalled();
    });
  });
});
