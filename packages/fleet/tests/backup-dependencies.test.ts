import { randomBytes } from 'node:crypto';
import { withClient } from '@azora/db-migrate';
import { openSet } from '../src/backup-store/set';
import { verifySet } from '../src/operations/backup/verify';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import { planPostData } from '../src/postgres/dump/load';
import { dumpSchema } from '../src/postgres/dump/schema';
import { backUp, givenPlace, removePlaces, restore } from './backup-fixture';
import { givenFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const SCHEMA = 'model Thing {\n  id Int @id\n  @@map("things")\n}';

/** Objects that need a primary key, and indexes that need those objects. */
const LATE = `
CREATE TABLE things (id int PRIMARY KEY, label text, "a; Type: INDEX; Schema: public; Owner: -" int);
CREATE TABLE "x; Type: INDEX; Schema: public; Owner: -" (id int PRIMARY KEY);
CREATE TABLE "two
lines" ("a
column" int);
CREATE TABLE "Twin" (id int); CREATE TABLE "twin" (id int); CREATE TABLE "twin-1" (id int); CREATE TABLE "a/b" (id int);
CREATE MATERIALIZED VIEW by_key AS SELECT id, label, count(*) AS n FROM things GROUP BY id;
CREATE UNIQUE INDEX by_key_id ON by_key (id);
CREATE VIEW by_key_again AS SELECT id, label, count(*) AS n FROM things GROUP BY id;
CREATE MATERIALIZED VIEW on_view AS SELECT id, n FROM by_key_again;
CREATE INDEX on_view_n ON on_view (n);
INSERT INTO things VALUES (1, 'a'), (2, 'b');
INSERT INTO "x; Type: INDEX; Schema: public; Owner: -" VALUES (7);
INSERT INTO "Twin" VALUES (1); INSERT INTO "twin" VALUES (2); INSERT INTO "twin-1" VALUES (3); INSERT INTO "a/b" VALUES (4);
INSERT INTO "two
lines" VALUES (5);
REFRESH MATERIALIZED VIEW by_key; REFRESH MATERIALIZED VIEW on_view;`;

describe('a backup set with dependencies', () => {
  afterAll(removePlaces);
  afterAll(removeFleets);

  const given = async (up: string) => {
    const migrations = { '20260101000001_init': { up, down: '-- irreversible: a test\n' } };
    const target = (await givenFleet({ shop: { schema: SCHEMA, migrations } })).target('shop');
    await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
    return target;
  };

  it('is proven although PostgreSQL prints some conditions in another form after a restore', async () => {
    const target = await given(`
      CREATE TABLE things (id int PRIMARY KEY, kind varchar(9) CHECK (kind IN ('a', 'b')),
        CHECK (id BETWEEN 0 AND 9 AND (kind = 'a') = (id > 5)));
      CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
      CREATE TRIGGER fixed BEFORE UPDATE ON things FOR EACH ROW
        WHEN ((OLD.id, OLD.kind) IS DISTINCT FROM (NEW.id, NEW.kind) OR OLD.id = 7) EXECUTE FUNCTION keep();`);
    const { storage, directory } = await givenPlace();
    const { set } = await backUp([target], storage);

    const opened = await openSet(storage, set, undefined);
    const request = { set: opened, home: directory, references: [], environment: process.env };
    expect((await verifySet([target], request, {})).verification).toMatchObject({ ok: true });
  });

  it('restores what needs a key, whatever the names of tables are', async () => {
    const target = await given(LATE);
    const { storage } = await givenPlace();
    const schemaOf = () => withClient(target.admin, (client) => dumpSchema(client));
    const before = await schemaOf();
    const { set } = await backUp([target], storage);

    await restore([target], storage, set);

    expect(await schemaOf()).toEqual(before);
    const rows = await rowsOf(
      target.admin,
      `SELECT json_build_array((SELECT sum(n) FROM by_key), (SELECT sum(n) FROM on_view), (SELECT id FROM "Twin"), (SELECT id FROM twin),
         (SELECT id FROM "twin-1"), (SELECT id FROM "a/b"), (SELECT id FROM "x; Type: INDEX; Schema: public; Owner: -"))`,
    );
    expect(rows).toEqual([[2, 2, 1, 2, 3, 4, 7]]);
  });

  it('builds indexes before the foreign keys, but never before what they need', () => {
    const stages = planPostData(
      [
        'ALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_pkey PRIMARY KEY (id)',
        'ALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_fk FOREIGN KEY (id) REFERENCES public.b(id)',
        'CREATE INDEX a_i ON public.a USING btree (id)',
        'CREATE MATERIALIZED VIEW public.m AS SELECT 1 AS id WITH NO DATA',
        'CREATE INDEX m_i ON public.m USING btree (id)',
        'REFRESH MATERIALIZED VIEW public.m',
      ]
        .map((statement) => `${statement};\n`)
        .join('\n'),
    );

    const heads = stages.map(({ indexes, rest }) =>
      [indexes, rest].map((some) => some.map(({ text }) => text.split(/\s+/).slice(0, 3).join(' '))),
    );
    expect(heads).toEqual([
      [
        ['ALTER TABLE ONLY', 'CREATE INDEX a_i'],
        ['ALTER TABLE ONLY', 'CREATE MATERIALIZED VIEW'],
      ],
      [['CREATE INDEX m_i'], ['REFRESH MATERIALIZED VIEW']],
    ]);
  });

  it('restores the rows of the configuration tables of extensions', async () => {
    const target = await given('CREATE TABLE things (id int PRIMARY KEY)');
    const [version] = await rowsOf(target.admin, 'SHOW server_version_num');
    // Before version 18, extensions can only be installed in the directory of the server.
    if (Number(version) < 180_000) return;
    // The server makes it: it may run on another machine, and as another user.
    const directory = `/tmp/azora-extension-${randomBytes(4).toString('hex')}`;
    const files = `${directory}/extension`;
    const control = `default_version = '1'\nrelocatable = false\nschema = public\n`;
    const script = `CREATE TABLE units (name text PRIMARY KEY, is_own boolean DEFAULT true);
      INSERT INTO units VALUES ('metre', false); CREATE SEQUENCE unit_numbers;
      CREATE TABLE inside (id int); INSERT INTO inside VALUES (1);
      SELECT pg_extension_config_dump('units', 'WHERE is_own'); SELECT pg_extension_config_dump('unit_numbers', '');`;
    const write = (name: string, text: string) =>
      `COPY (SELECT string_to_table($q$${text}$q$, E'\\n')) TO PROGRAM $p$mkdir -p ${files} && cat > ${files}/${name}$p$`;
    await rowsOf(target.admin, write('azt_units.control', control));
    await rowsOf(target.admin, write('azt_units--1.sql', script));
    await rowsOf(target.maintenance, `ALTER ROLE CURRENT_USER SET extension_control_path = '$system:${directory}'`);
    try {
      await rowsOf(
        target.admin,
        `CREATE EXTENSION azt_units; INSERT INTO units VALUES ('ell'); SELECT setval('unit_numbers', 7)`,
      );
      const { storage } = await givenPlace();
      const { set, manifest } = await backUp([target], storage, { allowDrift: true });
      expect(manifest.databases[0]?.tables.find(({ name }) => name === 'units')).toMatchObject({ rows: 1 });

      await restore([target], storage, set);

      expect(await rowsOf(target.admin, 'SELECT name FROM units ORDER BY 1')).toEqual(['ell', 'metre']);
      expect(await rowsOf(target.admin, `SELECT nextval('unit_numbers')::int`)).toEqual([8]);
      expect(await rowsOf(target.admin, 'SELECT id FROM inside')).toEqual([1]);
    } finally {
      await rowsOf(target.maintenance, 'ALTER ROLE CURRENT_USER RESET extension_control_path');
      await rowsOf(target.maintenance, `COPY (SELECT 1) TO PROGRAM 'rm -r ${directory}'`);
    }
  });
});
