import { useDatabase } from '@azora/db-testkit';

describe('every column of auth with a time', () => {
  const db = useDatabase('auth');

  it('rejects times that a Date cannot hold', async () => {
    const tables = await db().admin(`
      SELECT relname::text AS name, array_agg(attname::text ORDER BY attnum) AS columns,
        (SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint
          WHERE conrelid = pg_class.oid AND conname = relname || '_times_check') AS condition
      FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> '_prisma_migrations'
        AND atttypid = 'timestamptz'::regtype AND attnum > 0 AND NOT attisdropped
      GROUP BY pg_class.oid, relname ORDER BY relname`);

    const accepted: string[] = [];
    for (const { name, columns, condition } of tables) {
      for (const column of columns as string[]) {
        const row = (columns as string[]).map((it) => (it === column ? `t AS "${it}"` : `now() AS "${it}"`));
        const [found] = await db().admin(`SELECT bool_or(${condition ?? true}) AS accepts
          FROM (SELECT ${row.join(', ')} FROM unnest(ARRAY['infinity', '-infinity', '10000-01-01']::timestamptz[]) AS t) AS r`);
        if (found?.['accepts'] !== false) accepted.push(`${name}.${column}`);
      }
    }

    expect(tables.length).toBeGreaterThan(10);
    expect(accepted).toEqual([]);
  });
});
