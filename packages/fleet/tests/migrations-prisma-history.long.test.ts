/** @server any */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findDrift } from '../src/operations/migrations/drift';
import { isBehind, migrateFleetDown, migrateFleetUp, readFleetMigrations } from '../src/operations/migrations/migrate';
import { writeMigrations } from '../src/operations/migrations/new-migration';
import { isVerified, verifyFleet } from '../src/operations/migrations/verify';
import { givenFleet, removeFleets } from './fleet-fixture';
import { rowsOf, WAIT } from './migrations-fixture';

/** A folder as `prisma migrate dev` and its users write it: no down.sql, and every habit that stands in public histories. */
const HISTORY: Readonly<Record<string, string>> = {
  '20230101000000_init': `\uFEFF-- CreateEnum\r\nCREATE TYPE "Mood" AS ENUM ('good', 'bad');\r\n\r\n-- CreateTable\r\nCREATE TABLE "User" (\r
    "id" SERIAL NOT NULL,\r\n    "email" TEXT NOT NULL,\r\n    "mood" "Mood" NOT NULL DEFAULT 'good',\r\n\r
    CONSTRAINT "User_pkey" PRIMARY KEY ("id")\r\n);\r\n\r\n-- CreateIndex\r\nCREATE UNIQUE INDEX "User_email_key" ON "User"("email");\r\n`,
  '20230201000000_a_value_and_its_use': `-- AlterEnum\nBEGIN;\nALTER TYPE "Mood" ADD VALUE 'calm';\nCOMMIT;\n
    ALTER TABLE "User" ALTER COLUMN "mood" SET DEFAULT 'calm';\n`,
  '20230301000000_index': `-- It takes long.\nALTER TABLE "User" ADD COLUMN "name" TEXT;
    CREATE INDEX CONCURRENTLY IF NOT EXISTS "User_name_idx" ON "User"("name");\n`,
  '20230401000000_own_transaction': `BEGIN;\nALTER TABLE "User" ADD COLUMN "age" INTEGER;\nUPDATE "User" SET "age" = 1;\nCOMMIT;\n`,
  '20230501000000_block': `DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_type WHERE typname = 'nothing; here') THEN
    EXECUTE 'ALTER TABLE "User" ADD CONSTRAINT "age_positive" CHECK ("age" > 0)'; END IF; END $$;\n`,
  '20230601000000 with spaces': 'VACUUM "User";\nANALYZE "User"',
  '20230615000000_odd_names': `CREATE TABLE "odd table.x" (
    "id" INTEGER NOT NULL, "a long column" TEXT DEFAULT 'it''s', "kind" TEXT GENERATED ALWAYS AS (lower("a long column")) STORED,
    CONSTRAINT "odd table.x_pkey" PRIMARY KEY ("id"));
    CREATE INDEX "odd index" ON "odd table.x" ("a long column");
    CREATE UNIQUE INDEX "odd part" ON "odd table.x" ("id") WHERE "id" > 0;\n`,
  '20230701000000_nothing': '-- This is an empty migration.',
};
const NAMES = Object.keys(HISTORY);
/** A schema of an earlier Prisma, with the comments of other tools. */
const schemaOf = (more = '', odd = '') => `generator client {
  provider = "prisma-client-js"
}
datasource db {
  provider  = "postgresql"
  url       = env("DATABASE_URL") // the pool
  directUrl = env("DIRECT_URL")
}
/// The people.
/// @deprecated Use accounts
model User {
  /// @zod.number.int().positive()
  id Int @id @default(autoincrement())
  email String @unique
  mood Mood @default(calm)
  name String?
  age Int?
  ${more}
  @@index([name])
}
/// @zod.import(["import { x } from 'y'"])
model Odd {
  id Int @id
  quoted String? @default("it's") @map("a long column")
  kind String? @default(dbgenerated())
  ${odd}
  @@index([quoted], map: "odd index")
  @@map("odd table.x")
}
enum Mood {
  good
  bad
  calm
}`;

describe('a history of Prisma', () => {
  afterEach(removeFleets);

  it('is adopted where Prisma has applied a part, applied, verified and continued, without an edit', async () => {
    const { root, target, write } = await givenHistory();
    const look = async () => {
      const [row] = await readFleetMigrations([target], {});
      return row?.state === 'done' ? { ...row.data, behind: isBehind(row) } : undefined;
    };
    await givenAppliedByPrisma(target.admin);
    expect(await look()).toMatchObject({
      applied: NAMES.slice(0, 2),
      pending: NAMES.slice(2),
      unfinished: [],
      edited: [],
    });

    expect(await migrateFleetUp([{ target }], WAIT)).toMatchObject([{ data: { migrations: NAMES.slice(2) } }]);

    expect(await look()).toMatchObject({ applied: NAMES, behind: false });
    expect(await findDrift([target], {})).toMatchObject([{ data: { changes: [], unwritten: '' } }]);
    const verified = await verifyFleet([target], root, {});
    expect({ ok: isVerified(verified), verified }).toMatchObject({
      ok: true,
      verified: [{ data: { irreversible: NAMES } }],
    });
    const refused = await migrateFleetDown([{ target, to: NAMES[3] }], { acceptDataLoss: true }, WAIT);
    expect(refused).toMatchObject([
      { error: { code: 'MIGRATION.IRREVERSIBLE', meta: { migrations: ['20230701000000_nothing'] } } },
    ]);

    await write(schemaOf('nickname String?', 'size Int?'));
    const now = new Date('2026-11-21T10:00:00Z');
    const [written] = await writeMigrations(target, { slug: 'nickname', why: 'a user asked for it', now });
    const change = path.basename(written?.directory ?? '');
    expect(await migrateFleetUp([{ target }], WAIT)).toMatchObject([{ data: { migrations: [change] } }]);
    expect(await migrateFleetDown([{ target, to: NAMES.at(-1) }], { acceptDataLoss: false }, WAIT)).toMatchObject([
      { data: { migrations: [change] } },
    ]);
    expect(await filesOf(target.service.migrationsPath)).toEqual({ ...HISTORY, [change]: expect.any(String) });
  });

  it('refuses to continue after an attempt of Prisma that nobody resolved', async () => {
    const { target } = await givenHistory();
    await givenAppliedByPrisma(target.admin);
    await rowsOf(target.admin, `UPDATE _prisma_migrations SET rolled_back_at = NULL WHERE logs IS NOT NULL`);
    const [row] = await migrateFleetUp([{ target }], WAIT);

    expect(row).toMatchObject({ error: { code: 'MIGRATION.UNFINISHED', meta: { migrations: [NAMES[1]] } } });
  });
});

async function givenHistory() {
  const fleet = await givenFleet({ shop: { schema: schemaOf(), migrations: {} } });
  const target = fleet.target('shop');
  const { migrationsPath } = target.service;
  await writeFile(path.join(migrationsPath, 'migration_lock.toml'), 'provider = "postgresql"\n');
  for (const [name, sql] of Object.entries(HISTORY)) {
    await mkdir(path.join(migrationsPath, name));
    await writeFile(path.join(migrationsPath, name, 'migration.sql'), sql);
  }
  return { root: fleet.root, target, write: (schema: string) => fleet.write('shop', { schema }) };
}

/** The tables and rows that `prisma migrate deploy` leaves: a failed attempt that was resolved, then both migrations. */
async function givenAppliedByPrisma(url: Parameters<typeof rowsOf>[0]): Promise<void> {
  const [first = '', second = ''] = NAMES;
  const sha = (name: string) =>
    createHash('sha256')
      .update(HISTORY[name] ?? '')
      .digest('hex');
  await rowsOf(url, (HISTORY[first] ?? '').slice(1));
  await rowsOf(url, `ALTER TYPE "Mood" ADD VALUE 'calm'`);
  await rowsOf(
    url,
    `ALTER TABLE "User" ALTER COLUMN "mood" SET DEFAULT 'calm';
     CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
       migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ, started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
       applied_steps_count INTEGER NOT NULL DEFAULT 0);
     INSERT INTO _prisma_migrations VALUES
       (gen_random_uuid(), '${sha(first)}', '2023-01-02', '${first}', NULL, NULL, '2023-01-02', 1),
       (gen_random_uuid(), '${sha(second)}', NULL, '${second}', 'A migration failed to apply.', '2023-02-02', '2023-02-01', 0),
       (gen_random_uuid(), '${sha(second)}', '2023-02-03', '${second}', NULL, NULL, '2023-02-03', 1)`,
  );
}

async function filesOf(directory: string): Promise<Readonly<Record<string, string>>> {
  const folders = (await readdir(directory, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const files = folders.map(async ({ name }) => [
    name,
    await readFile(path.join(directory, name, 'migration.sql'), 'utf8'),
  ]);
  return Object.fromEntries(await Promise.all(files));
}
