import { diffSchema } from '@azora/db-fleet';
import type { Migration } from '@azora/db-migrate';
import { compareHistory, MIGRATION_LOCK, migrateDown, migrateUp, readHistory, withClient } from '@azora/db-migrate';
import { openPrismaEngine, type PrismaEngine } from '../../testkit/src/prisma-engine';
import {
  failureOf,
  givenMigrations,
  nameOf,
  openClient,
  removeMigrations,
  rowsOf,
  useEmptyDatabase,
  WAIT,
} from './migrations-fixture';

const SCHEMA = `
datasource db {
  provider = "postgresql"
}
model users {
  id    Int     @id
  email String? @unique
}
`;

const FILES = {
  '01_users': 'CREATE TABLE "users" ("id" INTEGER NOT NULL, CONSTRAINT "users_pkey" PRIMARY KEY ("id"));\n',
  '01_users/down': 'DROP TABLE "users";\n',
  '02_email':
    'ALTER TABLE "users" ADD COLUMN "email" TEXT;\nCREATE UNIQUE INDEX "users_email_key" ON "users"("email");\n',
};

const IN_SYNC = { pending: [], missing: [], edited: [], failed: [] };
const HISTORY_TABLE = `
  SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) AS default_value,
    (SELECT json_agg(pg_get_constraintdef(oid) ORDER BY conname) FROM pg_constraint WHERE conrelid = attrelid AND contype = 'p')
  FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE attrelid = '_prisma_migrations'::regclass AND attnum > 0 ORDER BY attnum`;

const url = useEmptyDatabase();
afterAll(removeMigrations);

async function withEngine<Result>(work: (engine: PrismaEngine) => Promise<Result>): Promise<Result> {
  const engine = await openPrismaEngine(url().href, SCHEMA);
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

const up = (migrations: readonly Migration[]) => migrateUp(url(), migrations, WAIT);
const diagnose = (migrations: readonly Migration[]) => withEngine((engine) => engine.diagnose(migrations));

describe('compatibility with Prisma', () => {
  it('Prisma finds nothing to do after our runner', async () => {
    const migrations = await givenMigrations(FILES);
    await up(migrations);

    await withEngine(async (engine) => {
      expect(await engine.diagnose(migrations)).toEqual(IN_SYNC);
      expect(await engine.apply(migrations)).toEqual([]);
      expect((await diffSchema(url(), SCHEMA)).up).toBe('');
    });
  });

  it('Prisma sees the migrations that our runner left pending', async () => {
    const migrations = await givenMigrations(FILES);
    await up(migrations.slice(0, 1));

    await withEngine(async (engine) => {
      expect(await engine.diagnose(migrations)).toEqual({ ...IN_SYNC, pending: [nameOf('02_email')] });
      expect((await diffSchema(url(), SCHEMA)).up).toMatch(/ADD COLUMN +"email" TEXT/);
      expect(await engine.apply(migrations)).toEqual([nameOf('02_email')]);
    });
    expect(await up(migrations)).toEqual([]);
  });

  it('our runner accepts migrations that Prisma applied, in the same table', async () => {
    const migrations = await givenMigrations(FILES);
    await withEngine((engine) => engine.apply(migrations));
    const prismas = await rowsOf(url(), HISTORY_TABLE);

    await withClient(url(), async (client) => {
      const rows = await readHistory(client);
      expect(rows.map(({ checksum }) => checksum)).toEqual(migrations.map(({ checksum }) => checksum));
      expect(compareHistory(migrations, rows)).toMatchObject({
        applied: rows.map(({ name }) => name),
        pending: [],
        edited: [],
      });
    });
    expect(await up(migrations)).toEqual([]);
    await rowsOf(url(), 'DROP TABLE _prisma_migrations, users');
    await up(migrations);
    expect(await rowsOf(url(), HISTORY_TABLE)).toEqual(prismas);
  });

  it('Prisma agrees after a corrected failure, and after a migration was reverted', async () => {
    const migrations = await givenMigrations(FILES);
    const broken = await givenMigrations({ ...FILES, '02_email': 'ALTER TABLE nope ADD "email" TEXT;' });
    await failureOf(up(broken));

    expect(await diagnose(broken)).toEqual({ ...IN_SYNC, pending: [nameOf('02_email')] });
    await up(migrations);
    expect(await diagnose(migrations)).toEqual(IN_SYNC);
    await migrateDown(url(), migrations, { ...WAIT, steps: 1 });
    expect(await diagnose(migrations)).toEqual({ ...IN_SYNC, pending: [nameOf('02_email')] });
  });

  it('both find the same edited and missing files', async () => {
    const migrations = await givenMigrations(FILES);
    await up(migrations);
    const edited = await givenMigrations({ ...FILES, '01_users': 'SELECT 1;' });
    const windows = await givenMigrations({ ...FILES, '02_email': FILES['02_email'].replaceAll('\n', '\r\n') });

    expect(await diagnose(edited)).toEqual({ ...IN_SYNC, edited: [nameOf('01_users')] });
    expect((await failureOf(up(edited))).code).toBe('MIGRATION.EDITED');
    expect(await diagnose(windows)).toEqual(IN_SYNC);
    expect(await up(windows)).toEqual([]);
    expect(await diagnose(migrations.slice(0, 1))).toEqual({ ...IN_SYNC, missing: [nameOf('02_email')] });
    expect((await failureOf(up(migrations.slice(0, 1)))).code).toBe('MIGRATION.MISSING');
  });

  it('Prisma applies nothing again after our runner has recognized a squash', async () => {
    await up(await givenMigrations(FILES));
    const header = `-- squashes: ${nameOf('01_users')}\n-- squashes: ${nameOf('02_email')}\n`;
    const squashed = await givenMigrations({ '03_squashed': `${header}${FILES['01_users']}${FILES['02_email']}` });

    expect(await up(squashed)).toEqual([]);
    expect(await diagnose(squashed)).toEqual({ ...IN_SYNC, missing: [nameOf('01_users'), nameOf('02_email')] });
    await withEngine(async (engine) => expect(await engine.apply(squashed)).toEqual([]));
  });

  it('our runner stops after a failure of Prisma, which may have applied a part', async () => {
    const broken = await givenMigrations({ '01_users': 'CREATE TABLE a ();\nSELECT nope;' });
    await withEngine((engine) => engine.apply(broken)).catch(() => undefined);

    expect((await failureOf(up(broken))).code).toBe('MIGRATION.UNFINISHED');
  });

  it('both take the same advisory lock', async () => {
    const migrations = await givenMigrations(FILES);
    const holder = await openClient(url());
    await holder.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);

    await withEngine(async (engine) => {
      const applying = engine.apply(migrations);
      const waiting = `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = ${MIGRATION_LOCK}`;
      for (let tries = 0; tries < 200 && (await holder.query(waiting)).rows.length === 0; tries += 1);
      expect((await holder.query(waiting)).rows).toHaveLength(1);
      await holder.end();
      expect(await applying).toHaveLength(2);
    });
  });
});
