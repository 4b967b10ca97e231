import { migrateFleetUp } from '../src/operations/migrations/migrate';
import { givenFleet } from './fleet-fixture';
import { WAIT } from './migrations-fixture';

export const INIT = '20260101000000_init';
const UP = `
  CREATE SCHEMA billing;
  CREATE TYPE "Mood" AS ENUM ('good', 'bad');
  CREATE TYPE billing."State" AS ENUM ('open', 'paid');
  CREATE TABLE users (id serial, mood "Mood" NOT NULL DEFAULT 'good', CONSTRAINT users_pkey PRIMARY KEY (id));
  CREATE TABLE billing.bills (
    id serial, user_id integer NOT NULL, state billing."State" NOT NULL DEFAULT 'open', total integer,
    doubled integer GENERATED ALWAYS AS (total * 2) STORED, number bigint NOT NULL,
    CONSTRAINT bills_pkey PRIMARY KEY (id), CONSTRAINT total_positive CHECK (total > 0));
  CREATE SEQUENCE billing.numbers;
  ALTER TABLE billing.bills ALTER COLUMN number SET DEFAULT nextval('billing.numbers');
  ALTER TABLE billing.bills ADD CONSTRAINT bills_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT ON UPDATE CASCADE;
  CREATE UNIQUE INDEX bills_total_key ON billing.bills (total);
  CREATE INDEX open_bills ON billing.bills (id) WHERE state = 'open';
  CREATE VIEW billing.open_bills_view AS SELECT id, state FROM billing.bills WHERE state = 'open';
  CREATE VIEW unlisted AS SELECT id FROM users;
  CREATE FUNCTION billing.close() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1';
  CREATE SCHEMA parts;
  CREATE FUNCTION parts.unused() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';`;
/** A service with tables in schemas public and billing. */
export const schemaOf = (bill = '', states: readonly string[] = ['open', 'paid']) => `
generator client {
  provider = "prisma-client"
  previewFeatures = ["views"]
}
datasource db {
  provider = "postgresql"
  schemas = ["public", "billing"]
}
model User {
  id Int @id @default(autoincrement())
  mood Mood @default(good)
  bills Bill[]
  @@map("users")
  @@schema("public")
}
model Bill {
  id Int @id @default(autoincrement())
  userId Int @map("user_id")
  user User @relation(fields: [userId], references: [id])
  state State @default(open)
  total Int? @unique
  doubled Int? @default(dbgenerated())
  number BigInt @default(dbgenerated("nextval('billing.numbers'::regclass)"))
  ${bill}
  @@map("bills")
  @@schema("billing")
}
view OpenBill {
  id Int @unique
  state State
  @@map("open_bills_view")
  @@schema("billing")
}
enum Mood {
  good
  bad
  @@schema("public")
}
enum State {
  ${states.join('\n  ')}
  @@schema("billing")
}`;

/** The service with its first migration applied. */
export async function givenShop() {
  const fleet = await givenFleet({
    shop: { schema: schemaOf(), migrations: { [INIT]: { up: UP, down: 'SELECT 1' } } },
  });
  const write = (schema: string) => fleet.write('shop', { schema });
  const target = fleet.target('shop');
  await migrateFleetUp([{ target }], WAIT);
  return { target, write };
}
