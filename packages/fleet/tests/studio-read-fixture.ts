import { parseDatabaseUrl } from '@azora/db-core';
import type { Storage } from '../src/backup-store/storage';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import { openAccess } from '../src/operations/studio/access';
import type { StudioContext } from '../src/operations/studio/context';
import type { Target } from '../src/operations/targets';
import { readSchemaModel } from '../src/schema/schema-model';
import { type GivenFleet, givenFleet } from './fleet-fixture';

/** Users and countries, and a shop that holds their ids: in arrays, hidden, with other types, in columns with unusual names. */
const SERVICES = {
  auth: {
    schema: `
      /// @erase anonymise
      model User {
        id       String    @id @db.Uuid
        /// @pii email
        email    String    @unique
        sessions Session[]
        @@map("users")
      }
      model Session {
        id     Int    @id
        userId String @map("user_id") @db.Uuid
        user   User   @relation(fields: [userId], references: [id])
        /// @secret
        token  String @unique
        @@index([userId])
        @@map("sessions")
      }
      model Country {
        code   String   @id @db.VarChar(3)
        number Int      @unique
        region Region[]
        @@map("countries")
      }
      model Region {
        country String  @db.VarChar(3)
        name    String
        parent  Country @relation(fields: [country], references: [code])
        @@id([country, name])
        @@map("regions")
      }`,
    up: `
      CREATE TABLE users (id uuid PRIMARY KEY, email text NOT NULL UNIQUE);
      CREATE TABLE sessions (id int PRIMARY KEY, user_id uuid NOT NULL REFERENCES users, token text NOT NULL UNIQUE);
      CREATE INDEX sessions_user_id_idx ON sessions (user_id);
      CREATE TABLE countries (code varchar(3) PRIMARY KEY, number int NOT NULL UNIQUE);
      CREATE TABLE regions (country varchar(3) NOT NULL REFERENCES countries, name text NOT NULL, PRIMARY KEY (country, name));`,
  },
  shop: {
    schema: `
      /// @erase anonymise
      model Order {
        id       Int      @id
        /// @ref auth.User.id
        buyerId  String?  @map("buyer id") @db.Uuid
        /// @ref auth.User.id
        watchers String[] @db.Uuid
        /// @ref auth.User.id
        /// @pii identifier
        giftFor  String?  @map("gift_for") @db.Uuid
        /// @ref auth.Country.code
        country  String?  @db.VarChar(2)
        /// @ref auth.Country.number
        number   Int?
        /// @ref auth.User.email
        contact  String?
        @@map("Order")
      }`,
    up: `
      CREATE TABLE "Order" (id int PRIMARY KEY, "buyer id" uuid, watchers uuid[] NOT NULL DEFAULT '{}', gift_for uuid,
        country varchar(2), number int, contact text);
      CREATE INDEX order_buyer_idx ON "Order" ("buyer id");`,
  },
};

/** The two services, migrated. {@link removeFleets} removes them. */
export async function givenShop(): Promise<GivenFleet> {
  const services = Object.entries(SERVICES).map(([name, { schema, up }]) => {
    const tables = [...up.matchAll(/CREATE TABLE (\S+)/g)].map(([, table]) => `DROP TABLE ${table} CASCADE;`);
    return [name, { schema, migrations: { '20260101000000_init': { up, down: tables.join('\n') } } }] as const;
  });
  const fleet = await givenFleet(Object.fromEntries(services));
  for (const target of fleet.targets) await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
  return fleet;
}

export interface GivenContext {
  readonly targets?: readonly Target[];
  readonly reveal?: boolean;
  readonly openStorage?: () => Promise<Storage>;
}

/** The context of a studio of the fleet. */
export async function contextOf(fleet: GivenFleet, given: GivenContext = {}): Promise<StudioContext> {
  const { targets = fleet.targets, reveal = false, openStorage = async () => EMPTY } = given;
  const schemaModel = await readSchemaModel(fleet.targets.map(({ service }) => service));
  const access = targets.map(
    (target) =>
      [target.service.name, openAccess({ target, schemaModel, write: false, reveal, log: () => undefined })] as const,
  );
  return {
    ...{ targets, environment: {}, schemaModel, openStorage, secret: undefined, write: false, reveal },
    access: new Map(access),
  };
}

/** The fleet's targets, with one of them moved to another port. */
export function movedTo(fleet: GivenFleet, service: string, port: number): readonly Target[] {
  return fleet.targets.map((target) => {
    if (target.service.name !== service) return target;
    const url = new URL(target.admin.href);
    url.port = String(port);
    return { ...target, admin: parseDatabaseUrl(url.href, 'moved') };
  });
}

const none = () => Promise.reject(new Error('the backup store is empty'));
const EMPTY: Storage = {
  location: 'nowhere',
  list: async () => [],
  begin: none,
  read: none,
  readText: none,
  unfinished: async () => [],
  writeText: none,
  remove: none,
};
