/** @server none */
import { requireCompanionQuery } from '../src/studio/companion-query';
import { failureOf } from './migrations-fixture';

const HIDDEN = [{ table: 'people', column: 'email', kind: 'pii' }] as const;

describe('a statement for the companion, whose one session is the superuser', () => {
  it.each([
    'SELECT id, path FROM chunks WHERE id = $1 ORDER BY path LIMIT 10',
    'with "__ps_agg__" as (select cast(coalesce(count(*), 0) as text) as "n" from "public"."chunks" where true) select "__ps_agg__"."n", "id" from "public"."chunks" inner join "__ps_agg__" on true',
    "SELECT embedding <=> '[1,2]' AS distance FROM chunks",
    'SELECT c.relname, a.attname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid',
    "SELECT * FROM information_schema.columns WHERE table_name = 'chunks'",
    'VALUES (1), (2)',
    "SELECT (path).upper, (ARRAY['a', 'b'])[2] FROM chunks",
    // The page's row search.
    `with "__ps_search_guardrails__" as (select set_config('statement_timeout', '5000ms', true) as "s", set_config('lock_timeout', '100ms', true) as "l") select "id" from "public"."chunks" inner join "__ps_search_guardrails__" on true where cast("path" as text) ilike $1`,
  ])('is allowed: %s', async (sql) => {
    await expect(requireCompanionQuery(sql, HIDDEN)).resolves.toBeUndefined();
  });

  it.each([
    'SELECT * FROM people',
    'SELECT p FROM public.people p',
    'SELECT 1 WHERE EXISTS (SELECT email FROM people)',
    'WITH people AS (SELECT * FROM people) SELECT * FROM people',
    'WITH people AS (SELECT 1) SELECT * FROM public.people',
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_catalog.pg_read_file('/etc/passwd')",
    "SELECT public.count('x')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT query_to_xml('SELECT email FROM people', true, false, '')",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT set_config('statement_timeout', '5000ms', false)",
    "SELECT set_config('statement_timeout', '0', true)",
    "SELECT set_config('statement_timeout', '10000ms', true)",
    "SELECT set_config('search_path', '5000ms', true)",
    "SELECT set_config('lock_timeout', path, true) FROM chunks",
    "SELECT set_config('lock_timeout', '5000ms', id > '') FROM chunks",
    "SELECT public.set_config('lock_timeout', '5000ms', true)",
    "SELECT set_config('lock_timeout', '5000ms', true, 1)",
    "SELECT set_config('lock_timeout', (SELECT email FROM people), true)",
    "SELECT id FROM chunks WHERE pg_read_file('/etc/passwd') > ''",
    'SELECT id FROM chunks LIMIT (SELECT lo_unlink(1))',
    'SELECT * FROM pg_sleep(100)',
    'SELECT * FROM generate_series(1, 10)',
    'SELECT * FROM ROWS FROM (pg_ls_dir($$/$$))',
    'SELECT rolpassword FROM pg_authid',
    'SELECT * FROM pg_stats',
    'SELECT * FROM pg_catalog.pg_file_settings',
    'SELECT * INTO mine FROM chunks',
    'SELECT id FROM chunks FOR UPDATE',
    'WITH gone AS (DELETE FROM chunks RETURNING id) SELECT * FROM gone',
    'DELETE FROM chunks',
    'CREATE TABLE mine AS SELECT 1',
    "COPY chunks TO '/tmp/mine'",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    'DO $$ BEGIN NULL; END $$',
    'EXPLAIN ANALYZE DELETE FROM chunks',
    'RESET ROLE',
    'SELECT 1; SELECT 2',
    'SELECT 1; DROP TABLE chunks',
    'PREPARE mine AS DELETE FROM chunks',
    'EXECUTE mine',
    'CALL something()',
    '',
    'SELECT FROM WHERE',
    // An unpaired surrogate beside a character of several bytes, and NUL: the server reads another text than the parser.
    "SELECT 'é\ud800' AS a",
    'SELECT 1 \udc00 -- ',
    'SELECT 1\0; SELECT * FROM people',
    // Calls in the notation of a column.
    "SELECT ('/etc/passwd'::text).pg_read_file",
    'SELECT (path).pg_read_file FROM chunks',
    "SELECT ((ARRAY['/etc'])[1]).pg_ls_dir",
  ])('is rejected: %s', async (sql) => {
    expect((await failureOf(requireCompanionQuery(sql, HIDDEN))).code).toBe('STUDIO.NOT_ON_COMPANION');
  });
});
