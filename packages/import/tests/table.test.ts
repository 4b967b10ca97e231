import path from 'node:path';
import { useDatabase } from '@azora/db-testkit';
import { Database } from 'node-sqlite3-wasm';
import { openTable } from '../src';
import { contentsOf, importDatabase, rollBack, runImport, useFolder, write } from './legacy-fixture';

const agent = useDatabase('agent');
const folder = useFolder();
const databases = () => [importDatabase('agent', agent())];
const open = () => openTable(path.join(folder(), 'map.json'));
beforeEach(() => agent().admin('TRUNCATE tasks CASCADE'));

const map = (more: object) => ({
  'map.json': JSON.stringify({
    source: 'tasks.csv',
    format: 'csv',
    service: 'agent',
    table: 'tasks',
    key: ['id'],
    columns: {
      id: 'Number',
      title: { field: 'Summary', required: true },
      priority: { value: 'high' },
      created_at: { field: 'Opened', as: 'time' },
      updated_at: { field: 'Opened', as: 'time' },
      metadata: { field: 'Tags', as: 'json' },
    },
    ...more,
  }),
});

it('moves a CSV file into a table, rejects what mapping and constraints reject, and takes it out again', async () => {
  await agent().admin(`INSERT INTO tasks (id, title) VALUES ('7', 'Known'), ('own', 'Own')`);
  const before = await contentsOf(agent());
  write(folder(), {
    ...map({}),
    'tasks.csv': [
      'Number,Summary,Opened,Tags',
      '7,"Known, and changed",2025-01-31,"[""a""]"',
      '8,New,2025-02-01 10:00:00,',
      '8,New,2025-02-01 10:00:00,',
      '8,Other,2025-02-01 10:00:00,',
      '9,,2025-02-01,',
      '10,   ,2025-02-01,',
      '11,Bad day,2025-02-30,',
      `12,${'x'.repeat(256)},2025-02-01,`,
      ',No id,2025-02-01,',
      '13,Too,many,fields,here',
      '14,Last,2025-02-03,{}',
    ].join('\n'),
  });

  const { begun, reports } = await runImport(open, databases());

  expect(reports['agent']?.stages).toEqual([
    {
      stage: 'tasks.csv into tasks',
      table: 'public.tasks',
      inserted: 2,
      updated: 1,
      unchanged: 0,
      duplicates: 1,
      rejected: 7,
    },
  ]);
  expect(reports['agent']?.rejects.map(({ code, position, reason }) => `${position.record} ${code} ${reason}`)).toEqual(
    [
      '4 DUPLICATE_ID Record 2 has the same id and other values',
      '5 INVALID_VALUE Summary is missing',
      '6 INVALID_VALUE The row breaks the rule tasks_title_check',
      '7 INVALID_VALUE Opened is not a time that exists',
      '8 INVALID_VALUE PostgreSQL does not accept a value (SQLSTATE 22001)',
      '9 INVALID_VALUE The record has no value for the key column id',
      expect.stringMatching(/^10 INVALID_CSV /),
    ],
  );
  expect(await agent().admin('SELECT id, title, priority, metadata FROM tasks ORDER BY id COLLATE "C"')).toEqual([
    { id: '14', title: 'Last', priority: 'high', metadata: {} },
    { id: '7', title: 'Known, and changed', priority: 'high', metadata: ['a'] },
    { id: '8', title: 'New', priority: 'high', metadata: null },
    { id: 'own', title: 'Own', priority: 'normal', metadata: null },
  ]);
  await rollBack(begun.id, databases());
  expect(await contentsOf(agent())).toEqual(before);
});

it('moves a table of a SQLite file', async () => {
  write(folder(), map({ source: 'tasks.db', format: 'sqlite', sourceTable: 'issue' }));
  const database = new Database(path.join(folder(), 'tasks.db'));
  database.exec(`CREATE TABLE issue (Number INTEGER, Summary TEXT, Opened REAL, Tags TEXT);
    INSERT INTO issue VALUES (1, 'From SQLite', 1762640792.5, '{"a":1}')`);
  database.close();

  await runImport(open, databases());

  expect(await agent().admin('SELECT id, title, created_at::text AS at, metadata FROM tasks')).toEqual([
    { id: '1', title: 'From SQLite', at: expect.stringMatching(/:26:32\.5/), metadata: { a: 1 } },
  ]);
});

it('names every fault of a mapping, and a table or column that does not exist', async () => {
  write(folder(), { 'map.json': '{"source":"x","format":"xml","key":[]}' });
  await expect(open()).rejects.toMatchObject({
    code: 'IMPORT.INVALID_MAP',
    why: expect.stringMatching(/format: .*; service: .*; key: /),
  });

  write(folder(), { ...map({ table: 'nothing' }), 'tasks.csv': 'Number\n1' });
  await expect(runImport(open, databases())).rejects.toMatchObject({ code: 'IMPORT.UNKNOWN_TABLE' });

  write(folder(), map({ columns: { id: 'Number', owner: 'Owner' } }));
  await expect(runImport(open, databases())).rejects.toMatchObject({ code: 'IMPORT.UNKNOWN_COLUMN' });
});
