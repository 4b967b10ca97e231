import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { withClient } from '@azora/db-migrate';
import type { DatabaseEntry } from '../src/backup-store/manifest';
import { openSet } from '../src/backup-store/set';
import { localeNotes } from '../src/operations/backup/access';
import { restoreFleet } from '../src/operations/backup/restore';
import { verifySet } from '../src/operations/backup/verify';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import type { Target } from '../src/operations/targets';
import { createDatabase, dropDatabase } from '../src/postgres/databases';
import { readAccess, readLocale } from '../src/postgres/dump/access';
import { backUp, givenPlace, removePlaces, restore } from './backup-fixture';
import { givenMigratedFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf } from './migrations-fixture';

const SCHEMA = 'model Note {\n  id Int @id\n  text String?\n  @@map("notes")\n}';
const UP = `
CREATE TABLE notes (id int PRIMARY KEY, text text);
INSERT INTO notes VALUES (1, 'a');
CREATE SCHEMA inner_parts;
CREATE FUNCTION inner_parts.read_notes() RETURNS SETOF notes LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
  AS 'SELECT * FROM public.notes';
CREATE FUNCTION inner_parts.open_to_all() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE VIEW inner_parts.titles AS SELECT text FROM notes;
CREATE TYPE mood AS ENUM ('good');
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM notes;`;

describe('owners, rights and settings', () => {
  const suffix = randomBytes(4).toString('hex');
  const [reader, owner] = [`azt_reader_${suffix}`, `azt_owner_${suffix}`];
  let target: Target;
  beforeAll(async () => {
    const fleet = await givenMigratedFleet({ notes: { schema: SCHEMA, up: UP } });
    target = fleet.target('notes');
    await rowsOf(
      target.admin,
      `CREATE ROLE ${reader} NOLOGIN; CREATE ROLE ${owner} NOLOGIN;
       GRANT USAGE ON SCHEMA inner_parts TO ${reader};
       GRANT SELECT ON notes TO ${owner} WITH GRANT OPTION;
       ALTER FUNCTION inner_parts.read_notes() OWNER TO ${owner};
       REVOKE ALL ON FUNCTION inner_parts.read_notes() FROM PUBLIC;
       GRANT EXECUTE ON FUNCTION inner_parts.read_notes() TO ${reader};
       GRANT SELECT (text), UPDATE (id) ON notes TO ${reader};
       GRANT SELECT ON inner_parts.titles TO ${reader};
       ALTER VIEW inner_parts.titles OWNER TO ${owner};
       REVOKE ALL ON TYPE mood FROM PUBLIC;
       ALTER MATERIALIZED VIEW counted OWNER TO ${owner};
       ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO ${reader};
       ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
       CREATE PUBLICATION notes_changes FOR TABLE notes;
       ALTER DATABASE ${target.database} SET search_path = public, "odd, name";
       ALTER DATABASE ${target.database} CONNECTION LIMIT 77;
       ALTER ROLE ${reader} IN DATABASE ${target.database} SET work_mem = '8MB';
       COMMENT ON DATABASE ${target.database} IS 'it''s the notes';
       GRANT CONNECT ON DATABASE ${target.database} TO ${reader}`,
    );
  });
  afterAll(async () => {
    const { maintenance } = target;
    await removePlaces();
    await removeFleets();
    await rowsOf(maintenance, `DROP ROLE IF EXISTS ${reader}; DROP ROLE IF EXISTS ${owner}`);
  });

  const accessOf = () => withClient(target.admin, (client) => readAccess(client, target.role));
  const PUBLICATION = 'SELECT pubname::text, tablename::text FROM pg_publication_tables';

  it('are restored as they were, and verified', async () => {
    const { storage, directory } = await givenPlace();
    const before = await accessOf();
    expect(before.owners.map(({ name }) => name)).toEqual([
      'inner_parts.read_notes()',
      'inner_parts.titles',
      'public.counted',
    ]);
    const { set } = await backUp([target], storage);
    // What happens after the backup is not part of it.
    await rowsOf(
      target.admin,
      `ALTER DATABASE ${target.database} SET work_mem = '9MB'; GRANT SELECT ON notes TO PUBLIC; DROP PUBLICATION notes_changes`,
    );

    const { verification } = await verifySet(
      [target],
      { set: await openSet(storage, set, undefined), home: directory, references: [], environment: process.env },
      {},
    );
    expect(verification).toMatchObject({ ok: true, problems: [], warnings: [] });
    await restore([target], storage, set);

    expect(await accessOf()).toEqual(before);
    expect(await rowsOf(target.admin, PUBLICATION)).toEqual([{ pubname: 'notes_changes', tablename: 'notes' }]);
  });

  it('are in the script for psql too', async () => {
    const { storage, directory } = await givenPlace();
    const { set } = await backUp([target], storage);

    const script = await readFile(path.join(directory, set, 'notes', 'restore.sql'), 'utf8');

    expect(script).toContain('REVOKE ALL ON ROUTINE inner_parts.read_notes() FROM PUBLIC');
    expect(script).toContain(`ALTER ROUTINE inner_parts.read_notes() OWNER TO "${owner}"`);
    expect(script).toContain('ALTER DATABASE :"DBNAME" CONNECTION LIMIT 77');
  });

  it('refuse a restore without the owner before anything is changed, and name the rights of other missing roles', async () => {
    const { storage } = await givenPlace();
    const { set } = await backUp([target], storage);
    const rename = (from: string, to: string) => rowsOf(target.admin, `ALTER ROLE ${from} RENAME TO ${to}`);

    await rename(owner, `${owner}_gone`);
    const refused = await failureOf(restore([target], storage, set));
    await rename(`${owner}_gone`, owner);
    expect(refused).toMatchObject({ code: 'RESTORE.MISSING_ROLE', meta: { service: 'notes', roles: [owner] } });

    await rename(reader, `${reader}_gone`);
    const notes: string[] = [];
    const surroundings = { home: '/', environment: process.env, passwordOf: () => 'only-for-tests', dropOld: true };
    const request = {
      set: await openSet(storage, set, undefined),
      ...surroundings,
      log: (line: string) => notes.push(line),
    };
    const { rows } = await restoreFleet([target], request, {});
    await rename(`${reader}_gone`, reader);
    expect(rows).toMatchObject([{ state: 'done' }]);
    expect(notes).toEqual([expect.stringContaining(`the rights of the role ${reader}`)]);
  });
});

describe('a database', () => {
  let target: Target;
  beforeAll(async () => {
    target = (await givenMigratedFleet({ notes: { schema: SCHEMA, up: UP } })).target('notes');
  });
  afterAll(removePlaces);
  afterAll(removeFleets);

  it('with more than a set can carry is refused by name, unless that is allowed', async () => {
    const { storage } = await givenPlace();
    // Without a connection and a slot, which the server of the test need not allow.
    await rowsOf(
      target.admin,
      `CREATE SUBSCRIPTION "from elsewhere" CONNECTION 'dbname=none' PUBLICATION any_one WITH (connect = false, slot_name = NONE, enabled = false)`,
    );
    const notes: string[] = [];
    const log = (line: string) => notes.push(line);

    const refused = await failureOf(backUp([target], storage));
    const { manifest } = await backUp([target], storage, { allowIncomplete: true, log });
    await rowsOf(target.admin, 'DROP SUBSCRIPTION "from elsewhere"');

    const part = 'the subscription "from elsewhere"';
    expect(refused).toMatchObject({ code: 'BACKUP.NOT_CARRIED', meta: { service: 'notes', parts: [part] } });
    expect(manifest.databases).toHaveLength(1);
    expect(notes).toEqual([`warning: the set of notes does not carry ${part}`]);
  });

  it('keeps its locale, where the server offers it', async () => {
    const { storage, directory } = await givenPlace();
    const plain = { provider: 'c', collate: 'C', ctype: 'C', locale: null, rules: null };
    await withClient(target.maintenance, async (client) => {
      await dropDatabase(client, target.database);
      await createDatabase(client, target.database, plain);
    });
    await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
    const { set, manifest } = await backUp([target], storage);
    const opened = await openSet(storage, set, undefined);

    const { verification } = await verifySet(
      [target],
      { set: opened, home: directory, references: [], environment: process.env },
      {},
    );
    await restore([target], storage, set);

    expect(verification).toMatchObject({ ok: true, warnings: [] });
    expect(await withClient(target.admin, readLocale)).toEqual(plain);
    // The same set, as if it came from a server with another locale.
    const [entry] = manifest.databases as [DatabaseEntry];
    const text = (await storage.readText(set, 'notes/access.json')) ?? '';
    const read = async () => Readable.from([Buffer.from(text.replaceAll('"C"', '"xx_XX.nowhere"'))]);
    const foreign = { ...opened, storage: { ...storage, read } };
    expect(await withClient(target.admin, (client) => localeNotes(client, foreign, { target, entry }))).toEqual([
      expect.stringMatching(/^the database gets the locale .* LC_COLLATE 'C' .* does not offer .*'xx_XX\.nowhere'/),
    ]);
  });

  it('gets the locale of the server where that one is unknown', async () => {
    const unknown = { provider: 'c', collate: 'xx_XX.nowhere', ctype: 'xx_XX.nowhere', locale: null, rules: null };
    await withClient(target.maintenance, async (client) => {
      await dropDatabase(client, target.database);
      expect(await createDatabase(client, target.database, unknown)).toBe(true);
    });

    expect((await withClient(target.admin, readLocale)).collate).not.toBe(unknown.collate);
  });
});
