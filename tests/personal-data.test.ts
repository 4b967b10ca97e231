/** @server any */

import * as agent from '@azora/agent';
import { findServices, readSchemaModel, type SchemaModel } from '@azora/db-fleet';
import { repositoryRoot, type TestDatabase, useDatabase } from '@azora/db-testkit';
import * as education from '@azora/education';
import * as family from '@azora/family';
import * as forge from '@azora/forge';
import * as health from '@azora/health';
import * as nexus from '@azora/nexus';
import * as notification from '@azora/notification';
import * as sapiens from '@azora/sapiens';
import * as story from '@azora/story';
import * as workflow from '@azora/workflow';
import { seedContext } from '../prisma/personas';
import { seedBase } from '../prisma/service-seed';

interface OpenStore {
  readonly exportPerson: (userId: string) => Promise<unknown>;
  readonly erasePerson: (userId: string) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

/** The functions of a store, with the store opened. */
function opened<Store extends { close(): Promise<void> }>(
  store: Store,
  {
    exportPerson,
    erasePerson,
  }: {
    exportPerson: (store: Store, userId: string) => Promise<unknown>;
    erasePerson: (store: Store, userId: string) => Promise<unknown>;
  },
): OpenStore {
  return {
    exportPerson: (userId) => exportPerson(store, userId),
    erasePerson: (userId) => erasePerson(store, userId),
    close: () => store.close(),
  };
}

const OPEN: Readonly<Record<string, (url: string) => OpenStore>> = {
  agent: (url) => opened(agent.openAgent({ url }), agent),
  education: (url) => opened(education.openEducation({ url }), education),
  family: (url) => opened(family.openFamily({ url }), family),
  forge: (url) => opened(forge.openForge({ url }), forge),
  health: (url) => opened(health.openHealth({ url }), health),
  nexus: (url) => opened(nexus.openNexus({ url }), nexus),
  notification: (url) => opened(notification.openNotifications({ url }), notification),
  sapiens: (url) => opened(sapiens.openSapiens({ url }), sapiens),
  story: (url) => opened(story.openStory({ url }), story),
  workflow: (url) => opened(workflow.openWorkflow({ url }), workflow),
};

type ModelSchema = SchemaModel['services'][number]['models'][number];
type Row = Readonly<Record<string, unknown>>;

/** SQL of the administrator for rows about users that the seed leaves to the stores. */
const GIVEN: Readonly<Record<string, string>> = {
  agent: `INSERT INTO requests (key, operation, body_hash, answer_id, user_id)
    SELECT 'given-' || user_id, 'start_conversation', repeat('0', 64), id, user_id FROM conversations WHERE user_id IS NOT NULL`,
  education: `INSERT INTO certificates (id, enrollment_id, student_id, course_id, number, verification_code, holder_name, course_title, issued_at,
      revocation, revoked_by_id, revoked_at)
    SELECT 'given-' || e.id, e.id, e.student_id, e.course_id, 'AZ-2026-' || lpad(row_number() OVER ()::text, 8, '0'),
      upper(lpad(to_hex(row_number() OVER ()), 24, '0')), 'Ada', 'Go', now(), 'issued_in_error', c.instructor_id, now()
    FROM enrollments AS e JOIN courses AS c ON c.id = e.course_id`,
  forge: `INSERT INTO ratings (id, contract_id, author_id, ratee_id, ratee_role, score, comment)
    SELECT 'rated-' || id, id, employer_id, freelancer_id, 'freelancer', 5, 'Good work' FROM contracts`,
  notification: 'SELECT mark_all_read(user_id) FROM recipients',
  sapiens: `INSERT INTO requests (key, operation, body_hash, answer_id, student_id)
    SELECT 'given-' || student_id, 'addCard', repeat('0', 64), student_id, student_id FROM student_profiles`,
  workflow: `INSERT INTO requests (key, operation, body_hash, answer_id, user_id)
    SELECT 'given-' || id, 'create_workflow', repeat('0', 64), id::text, owner_id FROM workflows`,
};

/** A column with the ids of users. */
interface Column {
  readonly model: ModelSchema;
  readonly column: string;
}

/** The rows of a table that name a user in a column. */
interface Named extends Column {
  readonly rows: readonly Row[];
}

describe.each(Object.keys(OPEN))('the personal data of %s', (service) => {
  const db = useDatabase(service);
  let columns: readonly Column[] = [];
  beforeAll(async () => {
    const services = await findServices(repositoryRoot());
    const names = services.map(({ name }) => name);
    const { seed } = await import(`@azora/${service}/seed`);
    await seedBase(seed, db().target.admin.href, seedContext(new Date('2026-06-01'), names, repositoryRoot()));
    // Ratings of running contracts are made past the rules, because the seed completes no contract.
    await db().admin(`BEGIN; SET LOCAL session_replication_role = 'replica'; ${GIVEN[service] ?? ''}; COMMIT`);
    columns = userColumns(
      (await readSchemaModel(services)).services.find(({ name }) => name === service)?.models ?? [],
    );
  });

  it('is exported and erased from each table that names a user', async () => {
    const store = OPEN[service]?.(db().url);
    if (store === undefined) throw new Error(`${service} has no store`);
    const users = await usersOf(db(), columns);
    const entries =
      "INSERT INTO audit_logs (id, user_id, action) SELECT 'about-' || id, id, 'X' FROM unnest($1::text[]) AS id";
    await db().app(entries, [users]);

    const problems = new Set<string>();
    const named = new Set<string>();
    for (const user of users) {
      const before = await Promise.all(columns.map((it) => rowsOf(db(), it, user)));
      const found = before.filter(({ rows }) => rows.length > 0);
      const exported = objectsOf(await store.exportPerson(user));
      await store.erasePerson(user);
      for (const it of found) {
        named.add(placeOf(it));
        const missing = it.rows.filter((row) => !exported.some((object) => isOf(it.model, row, user, object)));
        if (missing.length > 0) problems.add(`${placeOf(it)}: rows are not exported`);
        for (const problem of await problemsAfter(db(), it, user)) problems.add(problem);
      }
    }
    await store.close();

    expect([...problems]).toEqual([]);
    expect(columns.map(placeOf).filter((place) => !named.has(place))).toEqual([]);
  });
});

function userColumns(models: readonly ModelSchema[]): readonly Column[] {
  return models.flatMap((model) =>
    model.columns
      .filter(({ ref, subject }) => isUser(ref) || isUser(subject))
      .map(({ name }) => ({ model, column: name })),
  );
}

const placeOf = ({ model, column }: Column) => `${model.table}.${column}`;

const isUser = (path: { readonly service: string; readonly model: string } | undefined) =>
  path?.service === 'auth' && path.model === 'User';

async function usersOf(db: TestDatabase, columns: readonly Column[]): Promise<readonly string[]> {
  const sql = columns.map(({ model, column }) => `SELECT "${column}" AS id FROM "${model.table}"`).join(' UNION ');
  const rows = await db.admin(`SELECT id FROM (${sql}) AS it WHERE id IS NOT NULL ORDER BY id`);
  return rows.map(({ id }) => String(id));
}

async function rowsOf(db: TestDatabase, { model, column }: Column, user: string): Promise<Named> {
  const rows = await db.admin(`SELECT to_jsonb(t) AS row FROM "${model.table}" AS t WHERE "${column}" = $1`, [user]);
  return { model, column, rows: rows.map(({ row }) => row as Row) };
}

/** All objects inside of a value. */
function objectsOf(value: unknown): readonly Row[] {
  if (value === null || typeof value !== 'object') return [];
  const inner = Object.values(value).flatMap(objectsOf);
  return Array.isArray(value) ? inner : [value as Row, ...inner];
}

/** Whether an exported object is a row: it has the values of the primary key; the export need not repeat the user. */
function isOf(model: ModelSchema, row: Row, user: string, exported: Row): boolean {
  const values = Object.values(exported).map(String);
  // A time is text in one of them and may be a Date in the other.
  const keys = model.primaryKey.filter((key) => key !== 'created_at');
  return keys.every((key) => row[key] === user || values.includes(String(row[key])));
}

/** The rows that are not as the annotation of their table says. */
async function problemsAfter(db: TestDatabase, it: Named, user: string): Promise<readonly string[]> {
  const { rows } = await rowsOf(db, it, user);
  switch (it.model.erase?.action) {
    case 'delete':
      return rows.length === 0 ? [] : [`${placeOf(it)}: rows are left`];
    case 'retain':
      return rows.length >= it.rows.length ? [] : [`${placeOf(it)}: rows are not retained`];
    case 'anonymise':
      return textsLeft(it, rows);
    default:
      return [`${placeOf(it)}: no annotation says what an erasure does`];
  }
}

/** A row that still names the user may have no personal text of before. */
function textsLeft(it: Named, left: readonly Row[]): readonly string[] {
  const texts = it.model.columns.filter(({ pii }) => pii !== undefined).map(({ name }) => name);
  if (left.length > 0 && texts.length === 0) return [`${placeOf(it)}: names the user`];
  const isKept = (text: string) =>
    left.some((row) => row[text] !== null && it.rows.some((was) => was[text] === row[text]));
  return texts.filter(isKept).map((text) => `${placeOf(it)}: ${text} is left`);
}
