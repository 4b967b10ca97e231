/** @server any */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, type TestDatabase, useDatabase } from '@azora/db-testkit';
import { acceptedBy, type Column, columnsOf, type Value } from './bounds-fixture';

const SERVICES = readdirSync(path.join(repositoryRoot(), 'services')).sort();

/** Values that no client can read, by type. A number with a precision cannot be infinite. */
const UNREADABLE: Readonly<Record<string, readonly string[]>> = {
  timestamptz: ['infinity', '-infinity', '10000-01-01', '0001-12-31 BC'],
  timestamp: ['infinity', '-infinity', '10000-01-01', '0001-12-31 BC'],
  date: ['infinity', '-infinity', '10000-01-01', '0001-12-31 BC'],
  float4: ['NaN', 'Infinity', '-Infinity'],
  float8: ['NaN', 'Infinity', '-Infinity'],
  numeric: ['NaN'],
};

/** What a rule refuses that this test cannot judge. */
const REFUSED_OTHERWISE: Readonly<Record<string, readonly string[]>> = {
  // By the status of the hold, it is 0 or at most its amount, which is a number.
  mint: ['holds.captured_amount accepts NaN'],
};

/** Services whose app role passes texts of people to functions. */
const STORES = ['education', 'family', 'forge', 'health', 'nexus', 'notification', 'sapiens'];
/** Tables that all services have, or the hub of events: they have tests of their own. */
const SHARED = [
  ...['audit_log', 'audit_logs', 'outbox', 'outbox_relay', 'inbox'],
  ...['events', 'event_log', 'event_sources', 'sagas', 'subscription_lanes', 'subscriptions'],
];

/** Longer than any text but a message of many chunks. */
const LONG = "repeat('x', 1000000)";
const TEXT_RULES_OTHERWISE: Readonly<Record<string, readonly string[]>> = {
  // Its chunks are bounded: 10,000 of 10,000 characters.
  sapiens: ['messages.content accepts a long text'],
};
/** Lists of the tables of events, which only their functions write, are bookmarks without NULL. */
const LISTS_OF_EVENTS = ['outbox_relay.bookmark_times', 'outbox_relay.bookmark_transaction_ids'];

function unreadable({ type, isArray }: Column): readonly Value[] {
  return (UNREADABLE[type] ?? []).map((value) => {
    const sql = `'${value}'::${type}`;
    return [value, isArray ? `ARRAY[${sql}]` : sql];
  });
}

function invalidTexts({ column, isArray }: Column): readonly Value[] {
  if (isArray) return [['an empty element', "ARRAY['']::text[]"]];
  const isId = column === 'id' || /_(id|by)$/.test(column);
  return [['a long text', LONG], ...(isId ? ([['blanks', "'  '"]] as const) : [])];
}

function nullInList({ type }: Column): readonly Value[] {
  return [['NULL in a list', `ARRAY[NULL]::${type}[]`]];
}

/** The table of events of the hub has the name of a table of notification. */
function isShared(service: string, table: string): boolean {
  return SHARED.includes(table) || (service === 'nexus' && table === 'deliveries');
}

describe.each(SERVICES)('the columns of %s', (name) => {
  const db = useDatabase(name);

  it('accept no time and no number that a client cannot read', async () => {
    const columns = await columnsOf(db(), Object.keys(UNREADABLE));

    expect(columns.length).toBeGreaterThan(5);
    const judged = columns.filter(({ isTriggered }) => !isTriggered);
    expect(await acceptedBy(db(), judged, unreadable)).toEqual(REFUSED_OTHERWISE[name] ?? []);
  });

  it('accept no NULL in a list', async () => {
    const accepted = await acceptedBy(db(), await columnsOf(db()), nullInList);

    expect(accepted).toEqual(LISTS_OF_EVENTS.map((column) => `${column} accepts NULL in a list`));
  });

  if (!STORES.includes(name)) return;
  it('accept no text and no id that the store refuses', async () => {
    const columns = (await columnsOf(db(), ['text'])).filter(({ table }) => !isShared(name, table));

    expect(columns.length).toBeGreaterThan(5);
    expect(await acceptedBy(db(), columns, invalidTexts)).toEqual(TEXT_RULES_OTHERWISE[name] ?? []);
    const unread = `SELECT conname FROM pg_constraint WHERE conname ~ '_(ids|texts)_check$' AND NOT convalidated`;
    expect(await db().admin(unread)).toEqual([]);
  });

  it('accept no id that is longer than the ids in events', async () => {
    const ids = (await columnsOf(db(), ['text'])).filter(
      ({ table, column, isArray }) => !isShared(name, table) && !isArray && (column === 'id' || column.endsWith('_id')),
    );

    expect(await acceptedBy(db(), ids, () => [['256 characters', "repeat('x', 256)"]])).toEqual([]);
    expect(await acceptedBy(db(), ids, () => [['255 characters', "repeat('x', 255)"]])).toHaveLength(ids.length);
  });
});

describe('a new column', () => {
  const db = useDatabase('workflow');

  it.each([
    ['without a bound', 'at timestamptz', 4],
    ['with a bound on one side', 'at timestamptz CHECK (at > to_timestamp(0))', 2],
    ['with a bound for some rows only', `at date, done boolean, CHECK (done IS NULL OR at < '9999-01-01')`, 4],
    ['that ignores what is not known', `at timestamptz, too timestamptz, CHECK (LEAST(at, too) < '9999-01-01')`, 8],
    ['of a list', 'at timestamptz[]', 4],
    ['with a number', 'n double precision CHECK (n > 0)', 2],
    ['with a number of a precision', 'n numeric(9, 2) CHECK (n > 0)', 1],
    [
      'with both bounds',
      'n double precision CHECK (n > 0 AND n < 5), d date CHECK (isfinite(d) AND d < make_date(10000, 1, 1) AND d > make_date(1, 1, 1))',
      0,
    ],
  ])('%s is found', async (_, definition, found) => {
    await db().admin(`DROP TABLE IF EXISTS given; CREATE TABLE given (${definition})`);
    const columns = (await columnsOf(db(), Object.keys(UNREADABLE))).filter(({ table }) => table === 'given');

    expect(await acceptedBy(db(), columns, unreadable)).toHaveLength(found);
  });

  it.each([
    ['a list without a rule', 'names text[]', ['NULL in a list']],
    ['a list of numbers', 'counts int[] CHECK (0 <= ALL (counts))', ['NULL in a list']],
    ['a list with a rule for NULL', 'names text[] CHECK (array_position(names, NULL) IS NULL)', []],
  ])('%s is judged by its elements', async (_, definition, found) => {
    await db().admin(`DROP TABLE IF EXISTS given; CREATE TABLE given (${definition})`);
    const columns = (await columnsOf(db())).filter(({ table }) => table === 'given');

    const accepted = await acceptedBy(db(), columns, nullInList);
    expect(accepted.map((it) => it.replace(/.* accepts /, ''))).toEqual(found);
  });
});

/** Runs the SQL of a migration as one transaction, as the runner does. */
async function run(db: TestDatabase, service: string, migration: string, file: 'migration.sql' | 'down.sql') {
  const folder = path.join(repositoryRoot(), 'services', service, 'prisma', 'migrations');
  const name = readdirSync(folder).find((it) => it.endsWith(migration)) ?? '';
  await db.admin(`BEGIN; ${readFileSync(path.join(folder, name, file), 'utf8')}; COMMIT`).catch(async (error) => {
    await db.admin('ROLLBACK');
    throw error;
  });
}

describe('the migrations that bound the times', () => {
  const db = useDatabase('notification');
  const migrate = (migration: string, file: 'migration.sql' | 'down.sql') => run(db(), 'notification', migration, file);

  it('bound new rows although a row has an infinite time, and are complete when it is corrected', async () => {
    await migrate('_validate_times', 'down.sql');
    await migrate('0002_times', 'down.sql');
    const insert = (id: string, time: string) =>
      db().admin(`INSERT INTO audit_logs (id, action, created_at) VALUES ('${id}', 'X', '${time}')`);
    await insert('old', 'infinity');

    await migrate('0002_times', 'migration.sql');
    await expect(migrate('_validate_times', 'migration.sql')).rejects.toMatchObject({
      constraint: 'audit_logs_times_check',
    });
    await expect(insert('new', 'infinity')).rejects.toMatchObject({ constraint: 'audit_logs_times_check' });
    await db().admin(`SET session_replication_role = replica; DELETE FROM audit_logs; RESET session_replication_role`);
    await migrate('_validate_times', 'migration.sql');

    expect(
      await db().admin(`SELECT bool_and(convalidated) AS validated FROM pg_constraint WHERE conname ~ '_times_check$'`),
    ).toEqual([{ validated: true }]);
  });
});

describe('the migrations that bound texts and lists', () => {
  const db = useDatabase('sapiens');
  const migrate = (migration: string, file: 'migration.sql' | 'down.sql') => run(db(), 'sapiens', migration, file);

  it('repair the lists of existing rows, and ask for the correction of an empty id', async () => {
    await migrate('_validate_text_rules', 'down.sql');
    await migrate('1_text_rules', 'down.sql');
    await db().admin(`INSERT INTO skills (id, slug, name, topic) VALUES ('skill', 'x', 'x', 'x');
      INSERT INTO items (id, skill_id, prompt, options, correct_option, discrimination, location)
        VALUES ('item', 'skill', 'x', '{a,NULL,""}', 2, 1, 0);
      INSERT INTO assessments (id, student_id, topic) VALUES ('assessment', 'ada', 'x');
      INSERT INTO assessment_items (id, assessment_id, item_id, position, prompt, options, correct_option, difficulty)
        VALUES ('asked', 'assessment', 'item', 1, 'x', '{a,NULL}', 0, 0.5);
      INSERT INTO student_profiles (id, student_id, interests, strengths) VALUES ('', 'ada', '{NULL,a,NULL}', '{NULL}')`);

    await migrate('1_text_rules', 'migration.sql');
    const added = db().admin("UPDATE items SET options = '{b,NULL}', correct_option = 0");
    await expect(added).rejects.toMatchObject({ constraint: 'items_texts_check' });
    const refused = { constraint: 'student_profiles_texts_check' };
    await expect(migrate('_validate_text_rules', 'migration.sql')).rejects.toMatchObject(refused);
    await db().admin("UPDATE student_profiles SET id = 'profile', interests = '{a}', strengths = '{}'");
    await migrate('_validate_text_rules', 'migration.sql');

    expect(
      await db().admin(`SELECT i.options, i.correct_option, a.options AS asked FROM items AS i, assessment_items AS a`),
    ).toEqual([{ options: ['a', '(no text)', '(no text)'], correct_option: 2, asked: ['a', '(no text)'] }]);
  });
});
