/** @server any */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { readSchemaModel } from '../src/schema/schema-model';
import { backUp, filesIn, givenPlace, removePlaces, restore } from './backup-fixture';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';
import { givenSuite, removeSuites } from './suite-fixture';

const SCHEMA = `
/// @erase delete
model Letter {
  id       Int    @id
  /// @pii free-text
  body     String
  /// @derived-from body
  title    String @db.VarChar(200)
  /// @derived-from body
  checksum String
  /// @derived-from body
  words    String[]
  payload  Json
  /// @mask kept
  kept     Json
  hash     String @db.Char(64)
  link     Bytes
  /// @mask masked(title) || '|' || masked(label)
  label    String @unique
  entry    Entry?
  @@map("letters")
}

model Entry {
  hash   String @id @db.Char(64)
  letter Int    @unique
  about  Letter @relation(fields: [letter], references: [id])
  @@map("entries")
}`;
const UP = `
CREATE TABLE letters (
  id int PRIMARY KEY, body text NOT NULL, title varchar(200) NOT NULL, checksum text NOT NULL CHECK (checksum ~ '^[0-9a-f]{32}$'),
  words text[] NOT NULL, payload jsonb NOT NULL, kept jsonb NOT NULL, hash char(64) NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
  link bytea NOT NULL CHECK (octet_length(link) = 32), label text UNIQUE CHECK (starts_with(label, title || '|')), search tsvector GENERATED ALWAYS AS (to_tsvector('simple', body)) STORED);
CREATE TABLE entries (hash char(64) PRIMARY KEY, letter int NOT NULL UNIQUE REFERENCES letters);
CREATE TABLE copies (body text);
CREATE MATERIALIZED VIEW bodies AS SELECT body FROM letters;
CREATE INDEX letters_words_idx ON letters USING gin (to_tsvector('simple', title));`;
const CANARY = 'canary0123456789';
const SHA256 = createHash('sha256').update(CANARY).digest('hex');
const MD5 = createHash('md5').update(CANARY).digest('hex');

describe('what is derived from personal data', () => {
  let fleet: GivenFleet;
  beforeAll(async () => {
    fleet = await givenMigratedFleet({ post: { schema: SCHEMA, up: UP } });
    await rowsOf(
      fleet.target('post').admin,
      `INSERT INTO letters VALUES (1, '${CANARY}', '${CANARY}', '${MD5}', '{${CANARY}}', '{"text": "${CANARY}"}', '{"seats": [1]}',
         '${SHA256}', decode('${SHA256}', 'hex'), '${CANARY}|${CANARY}');
       INSERT INTO entries VALUES ('${SHA256}', 1);
       INSERT INTO copies VALUES ('${CANARY}');
       REFRESH MATERIALIZED VIEW bodies;
       UPDATE _prisma_migrations SET logs = 'Key (body)=(${CANARY}) already exists.';
       CREATE SCHEMA azora_import;
       CREATE TABLE azora_import.rejects (import_id text, reason text);
       INSERT INTO azora_import.rejects VALUES ('1', '${CANARY} is not valid')`,
    );
  });
  afterAll(removePlaces);
  afterAll(removeFleets);
  afterAll(removeSuites);

  const maskedSet = async (log: (line: string) => void = () => undefined) => {
    const { storage, directory } = await givenPlace();
    const schemaModel = await readSchemaModel(fleet.targets.map(({ service }) => service));
    const { set } = await backUp(fleet.targets, storage, { mask: { schemaModel, key: 'a key for tests' }, log });
    return { storage, directory: path.join(directory, set), set };
  };

  it('is in no file of a masked set: copies, hashes, statistics, journals and tables without a model', async () => {
    const lines: string[] = [];
    const { directory } = await maskedSet((line) => lines.push(line));

    const texts = (await filesIn(directory)).map(async (file) => {
      const bytes = await readFile(path.join(directory, file));
      return { file, text: (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString() };
    });
    const leaks = (await Promise.all(texts)).flatMap(({ file, text }) =>
      [CANARY, SHA256, MD5].filter((it) => text.includes(it)).map((it) => [file, it]),
    );
    expect(leaks).toEqual([]);
    expect(lines.sort()).toEqual([
      'The masked set has no rows of "azora_import"."rejects", which no model describes',
      'The masked set has no rows of "public"."copies", which no model describes',
    ]);
  });

  it('keeps its form, and generated columns and views are computed from what is masked', async () => {
    const { storage, set } = await maskedSet();
    await restore(fleet.targets, storage, set);

    const { admin } = fleet.target('post');
    const [letter] = await rowsOf(
      admin,
      `SELECT to_jsonb(letters) || jsonb_build_object('link', encode(link, 'hex')) FROM letters`,
    );
    const masked = expect.stringMatching(/^masked [0-9a-f]{12}$/);
    const form = { id: 1, body: masked, title: masked, words: [masked], payload: {}, kept: { seats: [1] } };
    expect(letter).toMatchObject({
      ...form,
      search: expect.stringContaining("'masked'"),
      hash: expect.not.stringContaining(SHA256),
    });
    const joined =
      'SELECT letters.hash = entries.hash AND body = (SELECT body FROM bodies) FROM letters JOIN entries ON letter = id';
    expect(await rowsOf(admin, joined)).toEqual([true]);
    expect(await rowsOf(admin, 'SELECT count(*)::int FROM _prisma_migrations WHERE logs IS NULL')).toEqual([1]);
  });

  it.each([
    ['/// @derived-from subject\n  title String', '@derived-from subject of title: the column does not exist'],
    ['/// @derived-from Paper.body\n  title String', '@derived-from Paper.body of title: the column does not exist'],
    ['/// @derived-from id\n  title String', '@derived-from id of title: the column is not masked'],
    [
      '/// @derived-from a.b.c\n  title String',
      '"@derived-from a.b.c" does not match @derived-from field, Model.field',
    ],
    ['/// @secret\n  size Int', 'a masked backup has no replacement for size of type integer, which needs an @mask'],
    [
      '/// @pii address\n  spot Unsupported("point")',
      'a masked backup has no replacement for spot of type point, which needs an @mask',
    ],
  ])('must be declared so that it can be masked: %j', async (column, message) => {
    const services = await givenSuite({ post: `/// @erase delete\nmodel Letter {\n  id Int @id\n  ${column}\n}` });

    await expect(readSchemaModel(services)).rejects.toMatchObject({
      code: 'SCHEMA.INVALID_ANNOTATION',
      why: expect.stringContaining(message),
    });
  });
});
