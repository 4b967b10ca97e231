/** @server any */
import { createHash, createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import { readSchemaModel } from '../src/schema/schema-model';
import { backUp, filesIn, givenPlace, removePlaces, restore } from './backup-fixture';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const PEOPLE = `
/// @erase delete
model Person {
  /// @subject shop.Person.id
  id        Int       @id
  /// @pii email
  email     String    @unique @db.VarChar(255)
  /// @pii name
  name      String
  /// @pii phone
  phone     String?   @db.VarChar(16)
  /// @pii ip
  ip        String?   @db.VarChar(45)
  /// @pii location
  country   String?   @db.Char(2)
  /// @pii birth-date
  born      DateTime? @db.Date
  /// @pii behaviour
  likes     String[]
  /// @pii free-text
  notes     Json      @default("{}")
  /// @pii financial
  balance   Decimal   @db.Decimal(18, 8)
  /// @secret
  token     String    @unique @db.Char(64)
  /// @secret
  password  String?
  /// @mask 'https://masked.invalid/'
  url       String
  @@map("people")
}`;
const TABLE = `CREATE TABLE people (
  id int PRIMARY KEY, email varchar(255) NOT NULL UNIQUE CHECK (email ~ '^[^@]+@[^@]+$'), name text NOT NULL,
  phone varchar(16) CHECK (phone ~ '^\\+[1-9][0-9]{6,14}$'), ip varchar(45), country char(2) CHECK (country ~ '^[A-Z]{2}$'),
  born date, likes text[], notes jsonb NOT NULL CHECK (jsonb_typeof(notes) = 'object'), balance numeric(18, 8) NOT NULL,
  token char(64) NOT NULL UNIQUE CHECK (token ~ '^[0-9a-f]{64}$'), password text, url text NOT NULL CHECK (url LIKE 'https://%'));`;
const CANARIES = ['canary', '+4477009001', '10.9.8.7', '1969-07-20', 'c'.repeat(64)];
const KEY = 'a key for tests';

describe('a masked backup set', () => {
  let fleet: GivenFleet;
  beforeAll(async () => {
    const migrations = { '20260101000001_init': { up: TABLE, down: 'DROP TABLE people' } };
    const service = { schema: PEOPLE, migrations };
    fleet = await givenFleet({ shop: service, club: service });
    for (const { admin, service: of } of fleet.targets) {
      await migrateTargetUp(fleet.target(of.name), { lockTimeoutMs: 10_000 });
      await rowsOf(
        admin,
        `INSERT INTO people VALUES (1, 'Canary@example.org', 'canary', '+4477009001', '10.9.8.7', 'GB', '1969-07-20',
           '{canary,NULL}', '{"canary": "canary"}', 12.5, '${'c'.repeat(64)}', 'canary', 'https://canary'),
         (2, '${of.name}@example.org', '', NULL, NULL, NULL, NULL, NULL, '{}', 0, '${'d'.repeat(64)}', NULL, 'https://x')`,
      );
    }
  });
  afterAll(removePlaces);
  afterAll(removeFleets);

  const schemaModel = () => readSchemaModel(fleet.targets.map(({ service }) => service));
  const maskedBy = async (key: string) => {
    const { storage, directory } = await givenPlace();
    const { set } = await backUp(fleet.targets, storage, { mask: { schemaModel: await schemaModel(), key } });
    const texts = (await filesIn(path.join(directory, set))).map(async (file) => {
      const bytes = await readFile(path.join(directory, set, file));
      return { file, text: (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString() };
    });
    return { storage, set, texts: await Promise.all(texts) };
  };

  it('has no personal data and no secrets in any file', async () => {
    const { texts } = await maskedBy(KEY);

    expect(texts.some(({ file }) => file === path.join('shop', 'people.copy.gz'))).toBe(true);
    const leaks = texts.flatMap(({ file, text }) =>
      CANARIES.filter((it) => text.toLowerCase().includes(it)).map((it) => [file, it]),
    );
    expect(leaks).toEqual([]);
  });

  it('restores with every constraint, unchanged numbers and one pseudonym for equal values', async () => {
    const { storage, set } = await maskedBy(KEY);
    await restore(fleet.targets, storage, set);
    const [shop, club] = await Promise.all(
      ['shop', 'club'].map((name) => rowsOf(fleet.target(name).admin, 'SELECT people FROM people ORDER BY id')),
    );

    expect(shop?.[0]).toEqual(club?.[0]);
    expect(shop?.[1]).not.toEqual(club?.[1]);
    const pseudonym = createHmac('sha256', createHash('sha256').update(KEY).digest())
      .update('canary@example.org')
      .digest('hex');
    expect(
      await rowsOf(fleet.target('shop').admin, 'SELECT email, balance, password, url FROM people ORDER BY id'),
    ).toEqual([
      {
        email: `${pseudonym.slice(0, 20)}@masked.invalid`,
        balance: '12.50000000',
        password: null,
        url: 'https://masked.invalid/',
      },
      {
        email: expect.stringMatching(/^[0-9a-f]{20}@masked\.invalid$/),
        balance: '0.00000000',
        password: null,
        url: 'https://masked.invalid/',
      },
    ]);
  });

  it('has different pseudonyms under another key', async () => {
    const people = async (key: string) => (await maskedBy(key)).texts.find(({ file }) => file.includes('people'))?.text;

    expect(await people('one')).toEqual(await people('one'));
    expect(await people('one')).not.toEqual(await people('another'));
  });
});
