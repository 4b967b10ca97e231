/** @server none */
import { readFile } from 'node:fs/promises';
import { SuiteError } from '@azora/db-core';
import { readGrants } from '@azora/db-migrate';
import { get_datamodel } from '@prisma/prisma-schema-wasm';
import { findServices } from '../src/config/registry';
import { parseSchemas, scanSchema, withoutUrls } from '../src/schema/psl';
import { countModels, readSchemaModel, references, serviceOrder } from '../src/schema/schema-model';
import { FIXTURE_ROOT, givenSuite, REPOSITORY_ROOT, removeSuites } from './suite-fixture';

afterEach(removeSuites);

const readFixture = async () => readSchemaModel(await findServices(FIXTURE_ROOT));

async function modelOf(service: string, name: string) {
  const { services } = await readFixture();
  return services.find((it) => it.name === service)?.models.find((it) => it.name === name);
}

describe('a schema of an earlier Prisma', () => {
  it('may keep the URLs of its datasource, which Prisma 7 refuses', async () => {
    const text = [
      'datasource db {',
      '  provider = "postgresql"',
      '  url = env("DATABASE_URL") // a brace: }',
      '  directUrl=env("DIRECT_URL")',
      '  shadowDatabaseUrl = env("SHADOW")',
      '}',
      'model Page {',
      '  id Int @id',
      '  url String',
      '  nothing Nope',
      '}',
    ].join('\r\n');

    expect(withoutUrls(text).split('\n')).toHaveLength(11);
    expect(withoutUrls(text)).toContain('url String');
    await expect(parseSchemas([{ file: 'schema.prisma', text }])).rejects.toMatchObject({
      meta: { problems: [{ line: 10 }] },
    });
    expect(await parseSchemas([{ file: 'schema.prisma', text: text.replace('  nothing Nope', '') }])).toMatchObject([
      { models: [{ name: 'Page', fields: [{ name: 'id' }, { name: 'url' }] }] },
    ]);
  });
});

describe('readSchemaModel', () => {
  it('reads a model with its keys, indexes and annotations', async () => {
    expect(await modelOf('auth', 'Session')).toMatchObject({
      table: 'sessions',
      documentation: '',
      line: 36,
      primaryKey: ['id'],
      uniques: [{ name: 'sessions_token_key', columns: ['token'] }],
      indexes: [{ name: 'sessions_user_id_ended_at_idx', columns: ['user_id', 'ended_at'] }],
      foreignKeys: [
        {
          field: 'user',
          columns: ['user_id'],
          target: { model: 'User', table: 'users', columns: ['id'] },
          onDelete: 'Cascade',
          isNullable: false,
          isUnique: false,
        },
      ],
      erase: { action: 'delete' },
      retain: { days: 90, field: 'endedAt', column: 'ended_at' },
      grant: ['select', 'insert', 'update', 'delete'],
    });
  });

  it('reads a column whole', async () => {
    const columns = (await modelOf('auth', 'User'))?.columns;

    expect(columns?.find(({ name }) => name === 'email')).toEqual({
      field: 'email',
      name: 'email',
      documentation: 'Lower case.',
      line: 24,
      pslType: 'String',
      nativeType: 'VarChar(200)',
      sqlType: 'varchar(200)',
      enumValues: undefined,
      isNullable: false,
      isList: false,
      isId: false,
      isUnique: true,
      default: undefined,
      isUpdatedAt: false,
      ref: undefined,
      subject: undefined,
      pii: 'email',
      isSecret: false,
      mask: undefined,
      derivedFrom: undefined,
    });
  });

  it('reads types, lists, defaults and enum values, also of columns that Prisma has no type for', async () => {
    const columns = [
      ...((await modelOf('shop', 'Order'))?.columns ?? []),
      ...((await modelOf('auth', 'User'))?.columns ?? []),
    ];

    expect(columns.map((it) => [it.name, it.pslType, it.sqlType, it.isNullable, it.default ?? null])).toEqual([
      ['id', 'String', 'uuid', false, 'uuid(7)'],
      ['buyer_id', 'String', 'text', true, null],
      ['watchers', 'String', 'text[]', false, '[]'],
      ['total', 'Decimal', 'decimal(18,8)', false, '0'],
      ['search_text', 'Unsupported', 'tsvector', true, null],
      ['parent_id', 'String', 'uuid', true, null],
      ['id', 'String', 'text', false, 'cuid(1)'],
      ['email', 'String', 'varchar(200)', false, null],
      ['role', 'Role', 'role', false, 'member'],
      ['created_at', 'DateTime', 'timestamptz(6)', false, 'now()'],
    ]);
    expect(columns.find(({ name }) => name === 'role')?.enumValues).toEqual(['admin', 'plain_member']);
  });

  it('recognizes a relation with at most one child, and a default deletion rule', async () => {
    expect((await modelOf('auth', 'MfaSettings'))?.foreignKeys).toMatchObject([
      { isUnique: true, onDelete: 'Restrict' },
    ]);
  });

  it('gives the app role the rights in @grant, and all rights without it', async () => {
    const shop = (await findServices(FIXTURE_ROOT)).find(({ name }) => name === 'shop');
    expect(shop && (await readGrants(shop.schemaPath))).toEqual(
      new Map([
        ['orders', ['select', 'insert']],
        ['Class', ['select', 'insert', 'update', 'delete']],
      ]),
    );
  });

  it('reports every schema that does not parse, with its line and without colors', async () => {
    const services = await givenSuite({
      auth: 'model User {\n  id Strin @id\n  at DateTim\n}',
      fine: 'model Thing {\n  id Int @id\n}',
      shop: 'model Order {\n  id Int\n}',
    });
    const error = await readSchemaModel(services).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      code: 'SCHEMA.INVALID',
      message: 'Prisma cannot read services/auth/prisma/schema.prisma, services/shop/prisma/schema.prisma',
      meta: {
        problems: [
          { file: 'services/auth/prisma/schema.prisma', line: 2, message: expect.stringContaining('"Strin"') },
          { file: 'services/auth/prisma/schema.prisma', line: 3, message: expect.stringContaining('"DateTim"') },
          { file: 'services/shop/prisma/schema.prisma', line: 1, message: expect.stringContaining('unique criteria') },
        ],
      },
    });
    expect(error instanceof SuiteError && error.why?.includes('\u001b')).toBe(false);
  });

  it('names a missing schema', async () => {
    const services = await givenSuite({ auth: 'model User {\n  id Int @id\n}' });
    const missing = services.map((it) => ({ ...it, schemaPath: `${it.directory}/prisma/none.prisma` }));

    await expect(readSchemaModel(missing)).rejects.toMatchObject({
      code: 'SCHEMA.INVALID',
      why: 'services/auth/prisma/none.prisma: The file cannot be read (ENOENT).',
    });
  });

  it('reports the invalid annotations of all schemas together', async () => {
    const services = await givenSuite({ auth: BAD_COMMENTS, shop: BAD_PATHS });
    const error = await readSchemaModel(services).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      code: 'SCHEMA.INVALID_ANNOTATION',
      message: '19 annotations in the schemas cannot be used',
    });
    const problems = error instanceof SuiteError ? (error.why ?? '').split('\n') : [];
    expect(problems.map((line) => line.replace(/^services\/(\w+)\/prisma\/schema\.prisma/, '$1'))).toEqual([
      expect.stringMatching(/^auth:3: "@pii name" is attached to nothing/),
      'auth:7: User contains personal data (age) and needs an @erase',
      expect.stringMatching(/^auth:8: "@pii mail" does not match @pii email/),
      expect.stringMatching(/^auth:10: "@secret" is attached to nothing/),
      expect.stringMatching(/^auth:12: "@pii name" is attached to nothing/),
      'auth:15: @subject is given twice',
      'auth:16: @pii must be on a line of its own',
      expect.stringMatching(/^auth:18: "@secret" is attached to nothing/),
      'auth:20: sessions is a relation, not a column',
      expect.stringMatching(/^auth:25: @earse is not an annotation. Did you mean @erase\?/),
      'auth:26: @retain of Session counts from at, which is not a DateTime',
      'auth:30: user is a relation, not a column',
      'shop:3: @retain of Order counts from never, which does not exist',
      'shop:6: @ref people.User.id of a: there is no service people',
      'shop:8: @ref auth.Person.id of b: auth has no model Person',
      'shop:10: @ref auth.User.key of c: auth.User has no column key',
      'shop:12: @ref auth.User.name of d: no key or index of auth.User begins with name',
      'shop:14: @subject auth.User.id of e: the column has type String, the id has type Int',
      'shop:16: @ref auth.User.sessions of f: auth.User has no column sessions',
    ]);
  });

  it('checks everything but references when asked to', async () => {
    const shop = await givenSuite({
      shop: '/// @erase delete\nmodel Order {\n  /// @ref auth.User.id\n  id Int @id\n}',
    });
    const wrong = await givenSuite({ shop: '/// @erase never\nmodel Order {\n  id Int @id\n}' });

    const schemaModel = await readSchemaModel(shop, { references: 'unchecked' });
    expect(references(schemaModel)).toEqual([]);
    await expect(readSchemaModel(shop)).rejects.toMatchObject({ code: 'SCHEMA.INVALID_ANNOTATION' });
    await expect(readSchemaModel(wrong, { references: 'unchecked' })).rejects.toMatchObject({
      code: 'SCHEMA.INVALID_ANNOTATION',
    });
  });
});

const BAD_COMMENTS = `
enum Role {
  /// the first
  /// @pii name
  admin
}

model User {
  /// @pii mail
  id Int @id
  // @secret
  name String
  /// @pii name

  /// @subject auth.User.id
  /// @subject auth.User.id
  /// Her age. @pii birth-date
  age Int
  /// @secret
  @@index([age])
  /// @pii name
  sessions Session[]
}

/// @retain 9d by at
/// @earse
model Session {
  id Int @id
  at Int
  userId Int
  /// @ref auth.User.id
  user User @relation(fields: [userId], references: [id])
}
`;

const BAD_PATHS = `
/// @erase delete
/// @retain 9d by never
model Order {
  id Int @id
  /// @ref people.User.id
  a Int
  /// @ref auth.Person.id
  b Int
  /// @ref auth.User.key
  c Int
  /// @ref auth.User.name
  d Int
  /// @subject auth.User.id
  e String
  /// @ref auth.User.sessions
  f Int
  /// @ref auth.User.id
  fine Int[]
}
`;

describe('countModels', () => {
  it('also counts in a schema that does not parse', async () => {
    const services = await givenSuite({
      auth: 'model A {\n  id Strin\n}\n// model B {\nmodel C {\n}',
      shop: 'enum E {\n  a\n}',
    });

    expect(await countModels(services)).toEqual(
      new Map([
        ['auth', 2],
        ['shop', 0],
      ]),
    );
  });
});

describe('references', () => {
  it('lists each column that refers to another database, with both ends', async () => {
    const target = { service: 'auth', model: 'User', field: 'id', table: 'users', column: 'id' };
    const order = { service: 'shop', model: 'Order', table: 'orders', target };

    expect(references(await readFixture())).toEqual([
      { ...order, field: 'buyerId', column: 'buyer_id', isList: false },
      { ...order, field: 'watchers', column: 'watchers', isList: true },
    ]);
  });
});

describe('serviceOrder', () => {
  const schemaWith = (...targets: string[]) =>
    ['model A {', '  id Int @id', ...targets.flatMap((name) => [`  /// @ref ${name}.A.id`, `  ${name} Int`]), '}'].join(
      '\n',
    );

  it('puts a service after those it refers to, and independent services into one wave', async () => {
    const services = await givenSuite({
      a: schemaWith('c', 'b'),
      b: schemaWith('d'),
      c: schemaWith(),
      d: schemaWith(),
      e: schemaWith('e'),
    });

    expect(serviceOrder(await readSchemaModel(services))).toEqual([['c', 'd', 'e'], ['b'], ['a']]);
  });

  it('puts services that refer to each other in a circle into one wave, before services that refer to them', async () => {
    const services = await givenSuite({
      a: schemaWith('z'),
      x: schemaWith('y', 'm'),
      y: schemaWith('z'),
      z: schemaWith('x'),
      m: schemaWith(),
    });

    expect(serviceOrder(await readSchemaModel(services))).toEqual([['m'], ['x', 'y', 'z'], ['a']]);
  });
});

describe('the services of this repository', () => {
  it('have schemas with valid annotations, whose references all resolve', async () => {
    const schemaModel = await readSchemaModel(await findServices(REPOSITORY_ROOT));

    const refs = schemaModel.services.flatMap(({ models }) =>
      models.flatMap(({ columns }) => columns.filter((it) => it.ref)),
    );
    expect(references(schemaModel)).toHaveLength(refs.length);
    expect(refs.length).toBeGreaterThan(0);
    expect(serviceOrder(schemaModel).flat().sort()).toEqual(schemaModel.services.map(({ name }) => name));
  });

  it('give the app role the same rights by their lines as by the whole schema model', async () => {
    const services = await findServices(REPOSITORY_ROOT);
    const schemaModel = await readSchemaModel(services);

    for (const service of services) {
      const models = schemaModel.services.find(({ name }) => name === service.name)?.models ?? [];
      expect(await readGrants(service.schemaPath)).toEqual(new Map(models.map(({ table, grant }) => [table, grant])));
    }
  });

  it('reject a @grant that does not parse', async () => {
    const [service] = await givenSuite({ auth: '/// @grant fly\nmodel User {\n  id Int @id\n}' });

    await expect(service && readGrants(service.schemaPath)).rejects.toMatchObject({
      code: 'SCHEMA.INVALID_ANNOTATION',
    });
  });

  it('reject a misspelled @grant, and leave the annotations of other tools alone', async () => {
    const read = async (comment: string) => {
      const [service] = await givenSuite({
        auth: `/// ${comment}\nmodel User {\n  id Int @id\n  @@map("a \\"b\\"")\n}`,
      });
      return service && readGrants(service.schemaPath);
    };

    for (const comment of ['@grants select', '@Grant select', '@garnt select']) {
      await expect(read(comment)).rejects.toMatchObject({ code: 'SCHEMA.INVALID_ANNOTATION' });
    }
    for (const comment of ['@deprecated', '@zod.import([])', '@erase delete', '@internal']) {
      expect(await read(comment)).toEqual(new Map([['"a ""b"""', ['select', 'insert', 'update', 'delete']]]));
    }
  });

  it('have comments that the line scanner reads as Prisma does', async () => {
    const services = [...(await findServices(REPOSITORY_ROOT)), ...(await findServices(FIXTURE_ROOT))];
    for (const { schemaPath } of services) {
      const text = await readFile(schemaPath, 'utf8');
      const scanned = scannedComments(text);
      const known = prismaComments(text);

      expect(known.map(([name]) => [name, scanned.get(name)])).toEqual(known);
    }
  });
});

function scannedComments(text: string): ReadonlyMap<string, string> {
  const textOf = (doc: readonly { readonly text: string }[]) => doc.map((it) => it.text).join('\n');
  const comments = scanSchema(text).blocks.flatMap(({ name, doc, members }): [string, string][] => [
    [name, textOf(doc)],
    ...[...members].map(([field, member]): [string, string] => [`${name}.${field}`, textOf(member.doc)]),
  ]);
  return new Map(comments);
}

interface Documented {
  readonly name: string;
  readonly documentation?: string;
}

function prismaComments(text: string): readonly (readonly [string, string])[] {
  const parsed: { readonly models: readonly (Documented & { readonly fields: readonly Documented[] })[] } = JSON.parse(
    get_datamodel(JSON.stringify({ prismaSchema: [['schema.prisma', text]] })),
  );
  return parsed.models.flatMap(({ name, documentation = '', fields }) => [
    [name, documentation] as const,
    ...fields.map((field) => [`${name}.${field.name}`, field.documentation ?? ''] as const),
  ]);
}
