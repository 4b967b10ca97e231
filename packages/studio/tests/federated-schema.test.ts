/** @server none */
import type { AdapterIntrospectResult, Column } from '@prisma/studio-core/data';
import { federate, type Introspected, readSchemaName, schemaName } from '../src/data/federated-schema';

type ColumnKeys = Pick<Column, 'fkSchema' | 'fkTable' | 'fkColumn'>;

const NO_KEY: ColumnKeys = { fkSchema: null, fkTable: null, fkColumn: null };

function givenColumn(table: string, name: string, key: ColumnKeys = NO_KEY): Column {
  const datatype = { group: 'string', isArray: false, isNative: true, name: 'text', options: [], schema: 'pg_catalog' };
  return {
    ...key,
    name,
    table,
    schema: 'public',
    datatype: datatype as Column['datatype'],
    defaultValue: null,
    isAutoincrement: false,
    isComputed: false,
    isRequired: false,
    nullable: false,
    pkPosition: name === 'id' ? 1 : null,
  };
}

function givenPart(service: string, tables: Readonly<Record<string, readonly Column[]>>): Introspected {
  const entries = Object.entries(tables).map(([name, columns]) => {
    const byName = Object.fromEntries(columns.map((column) => [column.name, column]));
    return [name, { name, schema: 'public', columns: byName }] as const;
  });
  const schemas = { public: { name: 'public', tables: Object.fromEntries(entries) } };
  const query = { sql: '', parameters: [] };
  const result: AdapterIntrospectResult = { schemas, timezone: 'UTC', filterOperators: ['='], query };
  return { service, result };
}

const AUTH = givenPart('auth', {
  _prisma_migrations: [givenColumn('_prisma_migrations', 'id')],
  users: [givenColumn('users', 'id'), givenColumn('users', 'email')],
  sessions: [givenColumn('sessions', 'user_id', { fkSchema: 'public', fkTable: 'users', fkColumn: 'id' })],
});
const STORY = givenPart('story', { stories: [givenColumn('stories', 'id'), givenColumn('stories', 'user_id')] });
const SERVICES = [
  { service: 'auth', hidden: [{ table: 'users', column: 'email', kind: 'pii' as const }] },
  { service: 'story', hidden: [] },
];
const LINK = {
  service: 'story',
  table: 'stories',
  column: 'user_id',
  toService: 'auth',
  toTable: 'users',
  toColumn: 'id',
};

function keyOf(column: Column | undefined): ColumnKeys | undefined {
  return column && { fkSchema: column.fkSchema, fkTable: column.fkTable, fkColumn: column.fkColumn };
}

describe('federate', () => {
  it('makes each service a schema, and keeps its foreign keys', () => {
    const schemas = federate([AUTH, STORY], SERVICES, []);

    expect(Object.keys(schemas)).toEqual(['auth', 'story']);
    const column = schemas['auth']?.tables['sessions']?.columns['user_id'];
    expect(keyOf(column)).toEqual({ fkSchema: 'auth', fkTable: 'users', fkColumn: 'id' });
    expect(column?.schema).toBe('auth');
  });

  it('leaves out hidden columns', () => {
    const schemas = federate([AUTH], SERVICES, []);

    expect(Object.keys(schemas['auth']?.tables['users']?.columns ?? {})).toEqual(['id']);
  });

  it('turns a reference to another service into a foreign key', () => {
    const schemas = federate([AUTH, STORY], SERVICES, [LINK]);

    const column = schemas['story']?.tables['stories']?.columns['user_id'];
    expect(keyOf(column)).toEqual({ fkSchema: 'auth', fkTable: 'users', fkColumn: 'id' });
  });

  it('adds no foreign key to a service that could not be read', () => {
    const schemas = federate([STORY], SERVICES, [LINK]);

    expect(keyOf(schemas['story']?.tables['stories']?.columns['user_id'])).toEqual(NO_KEY);
  });

  it('puts _prisma_migrations last', () => {
    const schemas = federate([AUTH], SERVICES, []);

    expect(Object.keys(schemas['auth']?.tables ?? {})).toEqual(['sessions', 'users', '_prisma_migrations']);
  });
});

describe('the name of a schema', () => {
  it.each([
    ['auth', 'public', 'auth'],
    ['auth', 'audit.v2', 'auth.audit.v2'],
  ])('for service %s and schema %s is %s, and can be read back', (service, schema, name) => {
    expect(schemaName(service, schema)).toBe(name);
    expect(readSchemaName(name)).toEqual({ service, schema });
  });
});
