/** @server any */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { quoteIdentifier } from '@azora/db-core';
import { repositoryRoot, type TestDatabase, useDatabase } from '@azora/db-testkit';

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

/** Services whose app role passes new ids to functions. */
const CALLED_WITH_IDS = ['education', 'family', 'forge', 'nexus', 'sapiens'];
/** Tables that all services have, or the hub of events. */
const SHARED = [
  ...['_prisma_migrations', 'audit_logs', 'outbox', 'outbox_relay', 'inbox'],
  ...['events', 'event_log', 'event_sources', 'deliveries', 'sagas'],
];

interface Column {
  readonly table: string;
  readonly column: string;
  /** The name in {@link UNREADABLE}; of the elements, for an array. */
  readonly type: string;
  readonly isArray: boolean;
  /** Its CHECK constraints, with the columns that each reads. */
  readonly checks: readonly { readonly condition: string; readonly reads: readonly Read[] }[];
  /** Whether a trigger of the table refuses what no client can read, as the ledger's do for speed. */
  readonly isTriggered: boolean;
}

interface Read {
  readonly column: string;
  readonly type: string;
}

/** Every column of a type in {@link UNREADABLE}. */
async function columnsOf(db: TestDatabase): Promise<readonly Column[]> {
  const rows = await db.admin(
    `SELECT relname::text AS "table", attname::text AS "column", element.typname::text AS type, listed AS "isArray",
       EXISTS (SELECT FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
         WHERE tgrelid = pg_class.oid AND strpos(prosrc, quote_literal(relname || '_times_check')) > 0) AS "isTriggered",
       coalesce((SELECT json_agg(json_build_object('condition', pg_get_expr(conbin, conrelid), 'reads',
         (SELECT json_agg(json_build_object('column', it.attname, 'type', format_type(it.atttypid, it.atttypmod)))
          FROM pg_attribute AS it WHERE it.attrelid = conrelid AND it.attnum = ANY (conkey))))
         FROM pg_constraint WHERE contype = 'c' AND conrelid = pg_class.oid AND pg_attribute.attnum = ANY (conkey)), '[]') AS checks
     FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
       JOIN pg_type AS own ON own.oid = atttypid
       CROSS JOIN LATERAL (SELECT own.typcategory = 'A' AS listed) AS kind
       JOIN pg_type AS element ON element.oid = CASE WHEN listed THEN own.typelem ELSE own.oid END
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> '_prisma_migrations'
       AND element.typname = ANY ($1)
     ORDER BY relname, attnum`,
    [Object.keys(UNREADABLE)],
  );
  return rows as unknown as readonly Column[];
}

/** A function that ignores NULL says something about a row although a column is not known. */
const IGNORES_NULL = /\b(COALESCE|LEAST|GREATEST|CASE|num_n\w+|concat\w*|IS (NOT )?(DISTINCT|TRUE|FALSE|UNKNOWN))\b/i;

/**
 * The condition as a SELECT over the unreadable values, in which every other column is not known. By three-valued logic, a
 * condition that is false then is false for every row.
 */
function refusalOf({ column, type, isArray }: Column, { condition, reads }: Column['checks'][number]): string {
  const others = reads.filter((it) => it.column !== column);
  if (others.length > 0 && IGNORES_NULL.test(condition)) return 'false';
  const unknown = others.reduce((text, it) => {
    const name = quoteIdentifier(it.column);
    const spelled = [it.column, name].map((spelling) => `(${spelling} IS `);
    return spelled.reduce(
      (rest, start) =>
        rest.replaceAll(`${start}NULL)`, 'NULL::boolean').replaceAll(`${start}NOT NULL)`, 'NULL::boolean'),
      text,
    );
  }, condition);
  const value = isArray ? `ARRAY[value]::${type}[]` : 'value';
  const row = [`${value} AS ${quoteIdentifier(column)}`];
  for (const it of others) row.push(`NULL::${it.type} AS ${quoteIdentifier(it.column)}`);
  return `(SELECT (${unknown}) IS FALSE FROM (SELECT ${row.join(', ')}) AS given)`;
}

/** The columns that accept a value that no client can read. */
async function unbounded(db: TestDatabase, columns: readonly Column[]): Promise<readonly string[]> {
  const questions = columns.map((it) => {
    const values = (UNREADABLE[it.type] ?? []).map((value) => `'${value}'`).join(', ');
    const refusals = ['false', ...it.checks.map((check) => refusalOf(it, check))].join(' OR ');
    return `SELECT '${it.table}.${it.column} accepts ' || value::text AS name FROM unnest(ARRAY[${values}]::${it.type}[]) AS value
      WHERE NOT (${refusals})`;
  });
  const accepted = await db.admin(questions.join(' UNION ALL '));
  return accepted.map(({ name }) => String(name));
}

describe.each(SERVICES)('the columns of %s', (name) => {
  const db = useDatabase(name);

  it('accept no time and no number that a client cannot read', async () => {
    const columns = await columnsOf(db());

    expect(columns.length).toBeGreaterThan(5);
    const judged = columns.filter(({ isTriggered }) => !isTriggered);
    expect(await unbounded(db(), judged)).toEqual(REFUSED_OTHERWISE[name] ?? []);
  });

  if (!CALLED_WITH_IDS.includes(name)) return;
  it('accept no id that is longer than the ids in events', async () => {
    const found = await db().admin(
      `
      SELECT relname || '.' || attname AS id FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND atttypid = 'text'::regtype
        AND (attname = 'id' OR attname LIKE '%\\_id') AND relname <> ALL ($1) AND relname NOT LIKE 'subscription%'
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = pg_class.oid AND conname = relname || '_ids_check' AND convalidated
          AND attnum = ANY (conkey) AND strpos(pg_get_constraintdef(pg_constraint.oid), '<= 255') > 0)`,
      [SHARED],
    );

    expect(found).toEqual([]);
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
    const columns = (await columnsOf(db())).filter(({ table }) => table === 'given');

    expect(await unbounded(db(), columns)).toHaveLength(found);
  });
});

describe('the migrations that bound the times', () => {
  const db = useDatabase('notification');
  const folder = path.join(repositoryRoot(), 'services', 'notification', 'prisma', 'migrations');
  const run = async (migration: string, file: 'migration.sql' | 'down.sql') => {
    const name = readdirSync(folder).find((it) => it.endsWith(migration)) ?? '';
    await db()
      .admin(`BEGIN; ${readFileSync(path.join(folder, name, file), 'utf8')}; COMMIT`)
      .catch(async (error) => {
        await db().admin('ROLLBACK');
        throw error;
      });
  };

  it('bound new rows although a row has an infinite time, and are complete when it is corrected', async () => {
    await run('_validate_times', 'down.sql');
    await run('0002_times', 'down.sql');
    const insert = (id: string, time: string) =>
      db().admin(`INSERT INTO audit_logs (id, action, created_at) VALUES ('${id}', 'X', '${time}')`);
    await insert('old', 'infinity');

    await run('0002_times', 'migration.sql');
    await expect(run('_validate_times', 'migration.sql')).rejects.toMatchObject({
      constraint: 'audit_logs_times_check',
    });
    await expect(insert('new', 'infinity')).rejects.toMatchObject({ constraint: 'audit_logs_times_check' });
    await db().admin(`SET session_replication_role = replica; DELETE FROM audit_logs; RESET session_replication_role`);
    await run('_validate_times', 'migration.sql');

    expect(
      await db().admin(`SELECT bool_and(convalidated) AS validated FROM pg_constraint WHERE conname ~ '_times_check$'`),
    ).toEqual([{ validated: true }]);
  });
});
