/** What the database answers to a statement of the app role. */
export type Answer =
  /** An error with this SQLSTATE, or of this class of SQLSTATEs; nothing has changed. */
  | { readonly refused: string }
  /** Success, which breaks nothing for this reason; nothing has changed. */
  | { readonly harmless: string }
  /** Success, and a new entry in the audit log, which is right. */
  | { readonly logged: string };

export interface HostileStatement {
  /**
   * One or more statements for psql. `{audit}` is the audit log, `{service}` the service, `{app}` the app role, `{admin}` the
   * administrator, `{db}` the database. A statement with `{table}`, `{function}`, `{trigger}` or `{number}` runs once for each.
   */
  readonly sql: string;
  readonly answer: Answer;
}

const NO_RIGHT = '42501';
/** The SQLSTATE of a rule of a service that a function refuses by name. */
const RULE = 'AZ001';
/** The class of SQLSTATEs of constraints; triggers of some tables refuse the change first. */
const INTEGRITY = '23';

function refused(sqlState: string, statements: readonly string[]): readonly HostileStatement[] {
  return statements.map((sql) => ({ sql, answer: { refused: sqlState } }));
}

function harmless(reason: string, statements: readonly string[]): readonly HostileStatement[] {
  return statements.map((sql) => ({ sql, answer: { harmless: reason } }));
}

function logged(reason: string, statements: readonly string[]): readonly HostileStatement[] {
  return statements.map((sql) => ({ sql, answer: { logged: reason } }));
}

/** Objects of its own, which could hide those of the service from a function or a session. */
const OBJECTS = [
  ...refused(NO_RIGHT, [
    'CREATE TABLE public.evil (id int)',
    'CREATE TABLE public.evil AS SELECT 1 AS id',
    'CREATE UNLOGGED TABLE public.evil (id int)',
    'SELECT 1 AS id INTO public.evil',
    'CREATE TEMP TABLE {audit} (id text)',
    'CREATE TEMP TABLE pg_class (relowner oid, oid oid)',
    'CREATE TEMP TABLE evil ON COMMIT DROP AS SELECT 1 AS id',
    'SELECT 1 AS id INTO TEMP evil',
    'CREATE TEMP VIEW {audit} AS SELECT 1 AS id',
    'CREATE TEMP SEQUENCE evil',
    "CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
    'CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)',
    'CREATE TYPE pg_temp.text AS (id int)',
    'CREATE DOMAIN pg_temp.bigint AS int',
    'CREATE SCHEMA evil',
    'CREATE SCHEMA AUTHORIZATION CURRENT_USER',
    'CREATE VIEW public.evil AS SELECT 1 AS id',
    'CREATE MATERIALIZED VIEW public.evil AS SELECT 1 AS id',
    'CREATE SEQUENCE public.evil',
    "CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
    "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
    "CREATE PROCEDURE public.evil() LANGUAGE sql AS 'SELECT 1'",
    'CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)',
    'CREATE AGGREGATE public.max(text) (SFUNC = textcat, STYPE = text)',
    'CREATE TYPE public.evil AS (id int)',
    "CREATE TYPE public.evil AS ENUM ('a')",
    'CREATE DOMAIN public.evil AS int',
    'CREATE CAST (text AS int) WITH INOUT AS IMPLICIT',
    'CREATE COLLATION public.evil FROM "C"',
    "CREATE CONVERSION public.evil FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
    'CREATE TEXT SEARCH CONFIGURATION public.evil (COPY = simple)',
    'CREATE STATISTICS public.evil ON id, action FROM {audit}',
    'CREATE INDEX evil ON {audit} (action)',
    'CREATE RULE evil AS ON INSERT TO {audit} DO INSTEAD NOTHING',
    'CREATE POLICY evil ON {audit} USING (false)',
    'CREATE PUBLICATION evil FOR TABLE {audit}',
    'CREATE FOREIGN DATA WRAPPER evil',
    'CREATE EXTENSION dblink',
    'CREATE EXTENSION file_fdw',
    'CREATE LANGUAGE evil HANDLER plpgsql_call_handler',
    'CREATE ACCESS METHOD evil TYPE TABLE HANDLER heap_tableam_handler',
    'CREATE DATABASE evil',
    "CREATE TABLESPACE evil LOCATION '/tmp'",
    'CREATE ROLE evil SUPERUSER',
    'CREATE TRIGGER evil BEFORE INSERT ON {audit} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
  ]),
  ...refused('42883', ["SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS it (id int)"]),
];

/** Changes of the objects of the service. */
const DEFINITIONS = refused(NO_RIGHT, [
  'ALTER TABLE {table} ADD COLUMN evil int',
  'ALTER TABLE {table} DISABLE TRIGGER ALL',
  'ALTER TABLE {table} OWNER TO {app}',
  'ALTER TABLE {table} SET UNLOGGED',
  'ALTER TABLE {table} SET (autovacuum_enabled = false)',
  'ALTER TABLE {table} DISABLE ROW LEVEL SECURITY',
  'DROP TABLE {table} CASCADE',
  'TRUNCATE {table} CASCADE',
  'COMMENT ON TABLE {table} IS NULL',
  'DROP ROUTINE {function} CASCADE',
  'ALTER FUNCTION {function} OWNER TO {app}',
  'ALTER FUNCTION {function} SECURITY DEFINER',
  'ALTER FUNCTION {function} SET search_path = pg_temp, public',
  'ALTER FUNCTION {function} RENAME TO evil',
  'DROP TRIGGER {trigger}',
  'ALTER TRIGGER {trigger} RENAME TO evil',
  'REINDEX TABLE {audit}',
  'ALTER SCHEMA public OWNER TO {app}',
  'DROP SCHEMA public CASCADE',
]);

/** Powers that belong to the server or to another role. */
const POWERS = [
  ...refused(NO_RIGHT, [
    "SET session_replication_role = 'replica'",
    "SELECT set_config('session_replication_role', 'replica', false)",
    'SET allow_system_table_mods = on',
    'SET zero_damaged_pages = on',
    "SET log_statement = 'none'",
    "SET session_preload_libraries = 'evil'",
    'SET ROLE {admin}',
    'SET ROLE pg_write_all_data',
    'SET SESSION AUTHORIZATION {admin}',
    'GRANT {admin} TO {app}',
    'GRANT pg_read_all_data TO {app}',
    'GRANT pg_signal_backend TO {app}',
    'ALTER ROLE {app} SUPERUSER',
    'ALTER ROLE {app} CREATEROLE CREATEDB',
    'ALTER ROLE {app} BYPASSRLS REPLICATION',
    'ALTER ROLE {app} CONNECTION LIMIT -1',
    "ALTER ROLE {app} VALID UNTIL 'infinity'",
    "ALTER ROLE {admin} PASSWORD 'evil'",
    "ALTER ROLE {admin} SET search_path = 'evil'",
    'ALTER ROLE ALL SET statement_timeout = 0',
    'DROP ROLE {admin}',
    'ALTER DATABASE {db} SET session_replication_role = replica',
    'ALTER DATABASE {db} OWNER TO {app}',
    'ALTER DATABASE {db} CONNECTION LIMIT 0',
    'ALTER SYSTEM SET fsync = off',
    'ALTER DEFAULT PRIVILEGES FOR ROLE {admin} GRANT ALL ON TABLES TO PUBLIC',
    'REASSIGN OWNED BY {admin} TO {app}',
    'DROP OWNED BY {admin}',
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('postgresql.conf')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_stat_file('postgresql.conf')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/evil')",
    "COPY {audit} FROM PROGRAM 'id'",
    "COPY {audit} TO PROGRAM 'cat > /tmp/evil'",
    "COPY {audit} FROM '/etc/passwd'",
    "COPY {audit} TO '/tmp/evil'",
    "LOAD 'dblink'",
    'SELECT pg_reload_conf()',
    'SELECT pg_rotate_logfile()',
    'SELECT pg_switch_wal()',
    "SELECT pg_create_restore_point('evil')",
    "SELECT pg_backup_start('evil')",
    'SELECT pg_promote()',
    'SELECT pg_stat_reset()',
    "SELECT pg_create_physical_replication_slot('evil')",
    "SELECT pg_create_logical_replication_slot('evil', 'pgoutput')",
    "SELECT pg_replication_origin_create('evil')",
    'SELECT pg_log_backend_memory_contexts(pg_backend_pid())',
    'SELECT pg_terminate_backend({pid})',
    'SELECT pg_cancel_backend({pid})',
    'CHECKPOINT',
  ]),
  ...refused('25001', ['BEGIN; DROP DATABASE {db}; ROLLBACK']),
  ...refused('55000', ["BEGIN; PREPARE TRANSACTION 'evil'"]),
  ...refused('0A000', ['GRANT CREATE ON SCHEMA public TO {app} GRANTED BY {admin}']),
  ...refused('22023', ["SECURITY LABEL ON TABLE {audit} IS 'evil'"]),
];

/** What it may not read. */
const SECRETS = [
  ...refused(NO_RIGHT, [
    'SELECT * FROM pg_authid',
    'SELECT * FROM pg_shadow',
    'SELECT * FROM pg_statistic',
    'SELECT * FROM pg_largeobject',
    'SELECT * FROM pg_hba_file_rules',
    'SELECT * FROM pg_file_settings',
    'SHOW data_directory',
    'SHOW hba_file',
    'SELECT * FROM _prisma_migrations',
    'SELECT count(*) FROM _prisma_migrations',
  ]),
  ...harmless('PostgreSQL shows no password, and no statement of other roles', [
    "SELECT 1 / (CASE WHEN count(*) FILTER (WHERE rolpassword <> repeat('*', 8)) = 0 THEN 1 ELSE 0 END) FROM pg_roles",
    `SELECT 1 / (CASE WHEN count(*) FILTER (WHERE usename <> '{app_name}' AND query NOT IN ('', '<insufficient privilege>')) = 0
       THEN 1 ELSE 0 END) FROM pg_stat_activity`,
  ]),
];

/** The rows of the audit log and of the history. */
const ROWS = [
  ...refused(NO_RIGHT, [
    "UPDATE {audit} SET action = 'evil'",
    'UPDATE {audit} SET action = action WHERE false',
    'DELETE FROM {audit}',
    'DELETE FROM {audit} WHERE false',
    'TRUNCATE {audit}',
    'SELECT * FROM {audit} FOR UPDATE',
    'SELECT * FROM {audit} FOR KEY SHARE',
    'BEGIN; LOCK TABLE {audit} IN ACCESS EXCLUSIVE MODE; ROLLBACK',
    'BEGIN; LOCK TABLE {audit} IN SHARE MODE; ROLLBACK',
    "INSERT INTO {audit} (id, action) VALUES ('hostile-1', 'evil') ON CONFLICT (id) DO UPDATE SET action = 'evil'",
    `MERGE INTO {audit} USING (VALUES ('hostile-1')) AS it (id) ON {audit}.id = it.id
       WHEN MATCHED THEN UPDATE SET action = 'evil'`,
    "MERGE INTO {audit} USING (VALUES ('hostile-1')) AS it (id) ON {audit}.id = it.id WHEN MATCHED THEN DELETE",
    'WITH gone AS (DELETE FROM {audit} RETURNING 1) SELECT count(*) FROM gone',
    "WITH changed AS (UPDATE {audit} SET action = 'evil' RETURNING 1) SELECT count(*) FROM changed",
    'WITH kept AS MATERIALIZED (SELECT id FROM {audit} FOR SHARE) SELECT * FROM kept',
    "INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ('x', 'x', 'x')",
    'DELETE FROM _prisma_migrations',
    'UPDATE _prisma_migrations SET finished_at = NULL',
    'CLUSTER {audit}',
  ]),
  ...refused('23505', ["INSERT INTO {audit} (id, action) VALUES ('hostile-1', 'evil')"]),
  ...refused('22001', ["INSERT INTO {audit} (id, action) VALUES ('evil', repeat('x', 101))"]),
  ...refused('23514', ["INSERT INTO {audit} (id, action, details) VALUES ('evil', 'X', '[]')"]),
  ...refused('22P05', [`INSERT INTO {audit} (id, action, details) VALUES ('evil', 'X', '{"a": "\\u0000"}')`]),
  ...refused('54000', [
    "INSERT INTO {audit} (id, action) VALUES ('evil' || chr(0), 'X')",
    "INSERT INTO {audit} (id, action, user_agent) VALUES ('evil', 'X', repeat('x', 2000000000))",
  ]),
  ...refused('22021', ["INSERT INTO {audit} (id, action) VALUES (E'evil\\x00', 'X')"]),
  ...refused(INTEGRITY, ["UPDATE {number} = 'NaN'"]),
  ...harmless('The id is taken, so nothing is inserted and no head moves', [
    "INSERT INTO {audit} (id, action) VALUES ('hostile-1', 'evil') ON CONFLICT DO NOTHING",
    `MERGE INTO {audit} USING (VALUES ('hostile-1')) AS it (id) ON {audit}.id = it.id
       WHEN NOT MATCHED THEN INSERT (id, action) VALUES ('evil', 'X')`,
  ]),
  ...harmless('It is rolled back', [
    "BEGIN; INSERT INTO {audit} (id, action) VALUES ('evil', 'X'), ('evil2', 'X'); ROLLBACK",
    "BEGIN; SAVEPOINT s; INSERT INTO {audit} (id, action) VALUES ('evil', 'X'); ROLLBACK TO s; COMMIT",
  ]),
  ...logged('The database dates the entry and gives it its position', [
    "INSERT INTO {audit} (id, action, created_at) VALUES ('hostile-' || gen_random_uuid(), 'X', '2999-01-01')",
    "INSERT INTO {audit} (id, action, created_at) VALUES ('hostile-' || gen_random_uuid(), 'X', 'infinity')",
    "INSERT INTO {audit} (id, action, created_at) VALUES ('hostile-' || gen_random_uuid(), 'X', '-infinity')",
    'COPY {audit} (id, action, created_at) FROM STDIN;\nhostile-copied-1\tX\t2999-01-01\nhostile-copied-2\tX\t1970-01-01\n\\.',
    "SET search_path = pg_temp; INSERT INTO public.{audit} (id, action) VALUES ('hostile-' || gen_random_uuid(), 'X')",
    "SET search_path = ''; INSERT INTO public.{audit} (id, action) VALUES ('hostile-' || gen_random_uuid(), 'X')",
    `BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO {audit} (id, action) VALUES ('hostile-' || gen_random_uuid(), 'X'); COMMIT`,
    `BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO {audit} (id, action) SELECT 'hostile-' || gen_random_uuid(), 'X'
       FROM generate_series(1, 3); COMMIT`,
    `WITH one AS (INSERT INTO {audit} (id, action) VALUES ('hostile-' || gen_random_uuid(), 'X') RETURNING id),
       two AS (INSERT INTO {audit} (id, action) VALUES ('hostile-' || gen_random_uuid(), 'X') RETURNING id)
       SELECT count(*) FROM one, two`,
    `PREPARE evil AS INSERT INTO {audit} (id, action, created_at) VALUES ('hostile-' || gen_random_uuid(), $1, $2);
       EXECUTE evil('X', '2999-01-01'); DEALLOCATE evil`,
  ]),
];

/** Events that nobody published, that nobody gets, or that come twice. */
const EVENTS = [
  ...refused(NO_RIGHT, [
    "INSERT INTO outbox (type, key, payload) VALUES ('a.b.v1', 'k', '{}')",
    "INSERT INTO outbox (position, type, key, payload) OVERRIDING SYSTEM VALUE VALUES (1, 'a.b.v1', 'k', '{}')",
    'COPY outbox (type, key, payload) FROM STDIN;\na.b.v1\tk\t{}\n\\.',
    "UPDATE outbox SET payload = '{}'",
    'UPDATE outbox SET transaction_id = 1, position = DEFAULT WHERE false',
    'DELETE FROM outbox WHERE false',
    'SELECT * FROM outbox FOR KEY SHARE',
    'BEGIN; LOCK TABLE outbox IN SHARE MODE; ROLLBACK',
    "SELECT nextval('outbox_position_seq')",
    "SELECT setval('outbox_position_seq', 1)",
    'ALTER SEQUENCE outbox_position_seq RESTART',
    'DELETE FROM inbox',
    'UPDATE inbox SET event_id = gen_random_uuid()',
    'SELECT * FROM inbox FOR UPDATE',
    'DELETE FROM outbox_relay',
    "UPDATE outbox_relay SET identity = 'evil'",
    'UPDATE outbox_relay SET pruned_transaction_id = 1, pruned_position = 1',
    "UPDATE outbox_relay SET inbox_pruned_until = 'infinity'",
    "UPDATE outbox_relay SET bookmark_times = '{2000-01-01}', bookmark_transaction_ids = '{9000000000}'",
    "SELECT setval('outbox_asleep', 1, false)",
    'SELECT mark_asleep()',
    `MERGE INTO outbox_relay USING (VALUES (true)) AS it (id) ON outbox_relay.id = it.id
       WHEN MATCHED THEN UPDATE SET identity = 'evil'`,
  ]),
  ...refused('0A000', ['SELECT refuse_relay_change()', 'SELECT set_handled_at()']),
  ...refused('23514', [
    "SELECT publish_event('evil', 'k', '{}', NULL)",
    "SELECT publish_event('evil.money-moved.v1', 'k', '{}', NULL)",
    "SELECT publish_event('{service}.b.v1', '', '{}', NULL)",
    "SELECT publish_event('{service}.b.v1', 'k', '7', NULL)",
    "SELECT publish_event('{service}.b.v1', 'k', jsonb_build_object('x', repeat('x', 131072)), NULL)",
    "SELECT publish_event('{service}.b.v1', 'k', '{}', 'evil')",
    'INSERT INTO outbox_relay (id) VALUES (false)',
    "INSERT INTO inbox (consumer, event_id) VALUES ('', gen_random_uuid())",
  ]),
  // The role relays its own events, so it may delete those of its outbox that it says it has relayed, a day after their commit.
  ...harmless('The outbox keeps every event for a day, whatever its time, and only old rows of the inbox are deleted', [
    "SELECT prune_outbox(pg_current_snapshot(), '-100 years', 1000000)",
    "SELECT prune_outbox('9000000000:9000000000:', '-100 years', 1000000)",
    "SELECT prune_outbox('1:1:', '-100 years', 1000000)",
    'SELECT prune_outbox(NULL, NULL, NULL)',
    "SELECT prune_inbox('-100 years', 1000000)",
    'SELECT prune_inbox(NULL, NULL)',
  ]),
  ...harmless('It is rolled back', [
    "BEGIN; SELECT publish_event('{service}.b.v1', 'k', '{}', NULL); ROLLBACK",
    "BEGIN; INSERT INTO inbox (consumer, event_id, handled_at) VALUES ('a.b', gen_random_uuid(), '2000-01-01'); ROLLBACK",
  ]),
];

const LIMITS =
  'The limits end what a client forgot; they do not hold a hostile role, which can only harm its own service';
const OWN = 'It changes only what belongs to the role itself; setup sets it again';
const NOTHING_GRANTED = 'PostgreSQL warns and grants nothing';
const ADVISORY =
  'An advisory lock of its own database: migrations and setup give up after their timeout and name the session';

/** What PostgreSQL allows every role. */
const ALLOWED = [
  ...harmless(LIMITS, [
    'SET statement_timeout = 0',
    'SET lock_timeout = 0',
    'SET idle_in_transaction_session_timeout = 0',
    'BEGIN; ALTER ROLE {app} SET statement_timeout = 0; ROLLBACK',
    'BEGIN; ALTER ROLE {app} IN DATABASE {db} SET lock_timeout = 0; ROLLBACK',
  ]),
  ...harmless(OWN, [
    "BEGIN; ALTER ROLE {app} PASSWORD 'evil'; ROLLBACK",
    "BEGIN; ALTER ROLE {app} SET search_path = 'pg_temp'; ROLLBACK",
    'BEGIN; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC; ROLLBACK',
    'BEGIN; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO PUBLIC; ROLLBACK',
    'BEGIN; DROP OWNED BY {app}; ROLLBACK',
  ]),
  ...harmless(NOTHING_GRANTED, [
    'GRANT SELECT ON {audit} TO PUBLIC',
    'GRANT UPDATE, DELETE, TRUNCATE ON {audit} TO {app}',
    'REVOKE ALL ON {audit} FROM {admin}',
    'GRANT ALL ON DATABASE {db} TO {app}',
    'GRANT ALL ON SCHEMA public TO {app}',
  ]),
  ...harmless('PostgreSQL warns and skips tables of other roles', ['ANALYZE {audit}', 'VACUUM FULL {audit}']),
  ...harmless(ADVISORY, [
    'BEGIN; SELECT pg_advisory_xact_lock(72707369); ROLLBACK',
    "BEGIN; SELECT pg_advisory_xact_lock(x'726f6c65'::int); ROLLBACK",
  ]),
  ...harmless('No service listens to notifications', ["LISTEN evil; NOTIFY evil, 'evil'; UNLISTEN *"]),
  ...harmless('A large object takes space, as rows do', ["BEGIN; SELECT lo_from_bytea(0, 'evil'); ROLLBACK"]),
  ...harmless('The settings hold for its own session only, and no rule reads them', [
    "SET TimeZone = 'Asia/Kathmandu'",
    "SET DateStyle = 'German'",
    'SET extra_float_digits = -15',
    "SET application_name = 'azora-db'",
    'SET standard_conforming_strings = off',
    'SET row_security = off',
  ]),
];

/** Statements of the app role for every service. */
export const HOSTILE: readonly HostileStatement[] = [
  ...OBJECTS,
  ...DEFINITIONS,
  ...POWERS,
  ...SECRETS,
  ...ROWS,
  ...EVENTS,
  ...ALLOWED,
];

/** Statements for the tables of one service. */
export const HOSTILE_TO: Readonly<Record<string, readonly HostileStatement[]>> = {
  agent: [
    ...refused(NO_RIGHT, [
      "UPDATE tasks SET lease_id = 'evil'",
      'UPDATE tasks SET waiting_for = 0',
      'DELETE FROM task_dependencies',
      'UPDATE messages SET position = 1',
      'DELETE FROM message_rag_contexts',
      "UPDATE conversations SET user_id = 'evil'",
      'UPDATE model_prices SET prompt_price = 0',
      "UPDATE agent_executions SET status = 'running'",
      "SELECT begin_request('evil', 'x', '{}', 'x', NULL)",
      'SELECT lock_task(id) FROM tasks',
      "SELECT lock_due_tasks('critical', NULL, '2999-01-01', 1)",
    ]),
    ...refused(RULE, [
      // The task of another worker, or of none.
      "SELECT complete_task(id, 'evil') FROM tasks",
      "SELECT complete_task(id, NULL) FROM tasks WHERE status = 'pending'",
      "SELECT extend_lease(id, NULL, '1 h') FROM tasks",
      "SELECT fail_task(id, 'evil', 'x', true) FROM tasks",
      "SELECT retry_task(id) FROM tasks WHERE status = 'completed'",
      "SELECT cancel_task(id) FROM tasks WHERE status = 'completed'",
      'SELECT add_dependency(depends_on_id, task_id) FROM task_dependencies',
      // The conversation of another person.
      `SELECT add_message('evil', jsonb_build_object('conversationId', id, 'userId', 'evil', 'role', 'user', 'content', 'x'))
         FROM conversations`,
      `SELECT start_execution('evil', jsonb_build_object('conversationId', id, 'userId', 'evil', 'agentId', 'x', 'prompt', 'x'))
         FROM conversations`,
      "SELECT rename_conversation(id, 'evil', 'x') FROM conversations",
      'SELECT archive_conversation(id, NULL, true) FROM conversations',
      `SELECT end_execution(id, 'succeeded', '{"response": "evil"}') FROM agent_executions`,
      'SELECT set_model_price(model, valid_from, 0, 0) FROM model_prices',
    ]),
    ...refused(INTEGRITY, [
      `SELECT add_message('evil', jsonb_build_object('conversationId', id, 'userId', user_id, 'role', 'evil', 'content', 'x'))
         FROM conversations`,
      "SELECT set_model_price('evil', 'infinity', 0, 0)",
      "SELECT set_model_price('evil', '2026-01-01', 'NaN', 0)",
      `SELECT create_task('evil', 'evil', '{"title": "x", "priority": "low", "maxAttempts": 101}')`,
      "SELECT claim_tasks(NULL, 1, '1 h', NULL)",
      'SELECT add_dependency(id, id) FROM tasks WHERE waiting_for > 0',
    ]),
    ...harmless('Nothing has these ids, or is due', [
      "SELECT delete_conversation(id, 'evil') FROM conversations",
      'SELECT delete_conversation(id, NULL) FROM conversations',
      'SELECT erase_person(NULL)',
      "SELECT fail_stalled_executions('-100 years', 2000000000)",
      "SELECT claim_tasks('evil', 1000, '1 h', 'evil')",
      "SELECT search_messages(NULL, 'x', NULL, NULL, NULL, 10)",
    ]),
    ...harmless('It is rolled back', ["BEGIN; SELECT claim_tasks('evil', 1000, '100 years', NULL); ROLLBACK"]),
  ],
  auth: [
    ...refused(NO_RIGHT, [
      "INSERT INTO audit_chains VALUES ('evil', 1, repeat('0', 64), 0, repeat('0', 64))",
      'UPDATE audit_chains SET last_seq = 0',
      'UPDATE audit_chains SET updated_at = now()',
      'DELETE FROM audit_chains',
      'SELECT prune_audit_log(10)',
      'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC',
      'SELECT move_audit_head()',
    ]),
    ...logged('A trigger gives the entry its position and its hashes', [
      "INSERT INTO audit_log (id, action, seq, previous_hash, hash) VALUES ('hostile-given', 'X', 1, 'x', 'x')",
      "INSERT INTO audit_log (id, action, timestamp, user_id) VALUES ('hostile-time', 'X', '2999-01-01', '')",
    ]),
  ],
  family: [
    ...refused(NO_RIGHT, [
      'UPDATE affinities SET warmth = 1, weight = 1',
      "INSERT INTO affinities (user_id, member_id) VALUES ('evil', 'evil')",
      'UPDATE conversations SET message_count = 0',
      'DELETE FROM messages',
      "INSERT INTO family_relationships (member_id, relative_id, kind) SELECT id, id, 'parent' FROM family_members",
      'SELECT add_message(c, m) FROM conversations AS c, messages AS m',
      'SELECT add_interaction(i) FROM family_interactions AS i',
      "SELECT emit('message-added', 'k', '{}', 'infinity')",
    ]),
    ...refused(RULE, [
      // The conversation of another person.
      `SELECT append_message('evil', 'evil', jsonb_build_object('conversationId', id, 'userId', 'evil', 'role', 'user', 'content', 'x',
         'sentiment', 0)) FROM conversations`,
      'SELECT delete_conversation(id, NULL) FROM conversations',
      // The words of a member without a question, and an answer to no message.
      `SELECT append_message('evil', 'evil', jsonb_build_object('conversationId', id, 'userId', user_id, 'role', 'member', 'content', 'x',
         'sentiment', 0)) FROM conversations WHERE ended_at IS NULL`,
      `SELECT answer_message('evil', jsonb_build_object('conversationId', id, 'userId', user_id, 'position', -1, 'content', 'x',
         'sentiment', 0)) FROM conversations WHERE ended_at IS NULL`,
      'SELECT save_summary(id, user_id, NULL, 2147483647) FROM conversations',
      "SELECT relate_members(relative_id, member_id, 'parent') FROM family_relationships WHERE kind = 'parent'",
      "SELECT start_conversation('evil', 'evil', 'nobody', NULL)",
      'SELECT record_interaction(\'evil\', \'evil\', \'{"userId": "evil", "memberId": "nobody", "kind": "visit"}\')',
    ]),
    ...refused(INTEGRITY, [
      "SELECT start_conversation('evil', repeat('x', 256), id, NULL) FROM family_members WHERE is_active",
      "SELECT relate_members(id, id, 'sibling') FROM family_members",
      `SELECT record_interaction('evil', 'evil', jsonb_build_object('userId', 'evil', 'memberId', id, 'kind', 'advice', 'sentiment', 'NaN'))
         FROM family_members WHERE is_active`,
      'SELECT save_member(NULL, NULL)',
    ]),
    ...harmless('Nobody has this id', ['SELECT erase_person(NULL)', 'SELECT unrelate_members(NULL, NULL, NULL)']),
  ],
  nexus: [
    ...refused(NO_RIGHT, [
      'UPDATE user_profiles SET personalized = true',
      'UPDATE profile_items SET counted = 1000000',
      'UPDATE items SET popularity = 1000000',
      'DELETE FROM item_pairs',
      "INSERT INTO interactions (id, event_id, kind) VALUES ('evil', 'evil', 'view')",
      "UPDATE recommendations SET status = 'accepted'",
      'SELECT relearn_items(NULL, NULL, NULL)',
      'SELECT count_profiles(array(SELECT id FROM user_profiles))',
      "SELECT add_items('{course}', '{evil}', 'infinity')",
    ]),
    ...refused(RULE, [
      // The recommendation of another person.
      "SELECT answer_recommendation('evil', id, 'accepted', 'evil') FROM recommendations",
      "SELECT show_recommendations('evil', array(SELECT id FROM recommendations))",
      `SELECT track_interactions('[{"id": "evil", "userId": "evil"}]', '[{"id": "evil", "userId": "evil", "eventId": "evil",
         "kind": "view", "itemType": "course", "itemId": "evil", "occurredAt": "infinity"}]')`,
      // A recommendation is not expired by an answer, and does not become pending again.
      "SELECT answer_recommendation('evil', id, 'pending', 'evil') FROM recommendations",
    ]),
    ...refused(INTEGRITY, [
      "SELECT save_profile(NULL, NULL, '{}', NULL)",
      "SELECT save_profile(repeat('x', 256), 'evil', '{}', 'evil')",
      `SELECT track_interactions('[{"id": "evil", "userId": "evil"}]', '[{"id": "evil", "userId": "evil", "eventId": "evil",
         "kind": "rate", "itemType": "course", "itemId": "evil", "rating": -1}]')`,
    ]),
    ...harmless('Nothing has these ids, or is due', [
      `SELECT save_items('[{"itemType": "course", "itemId": ""}]')`,
      "SELECT erase_person(NULL, 'evil')",
      'SELECT track_interactions(NULL, NULL)',
      'SELECT refresh_profiles(NULL)',
      'SELECT expire_recommendations(0)',
    ]),
  ],
  sapiens: [
    ...refused(NO_RIGHT, [
      'UPDATE skill_mastery SET probability = 1',
      'UPDATE cards SET stability = 36500',
      "INSERT INTO card_reviews (card_id, number, rating) SELECT id, 1, 'easy' FROM cards",
      'DELETE FROM skill_attempts',
      'UPDATE assessments SET ability = 4',
      'UPDATE progress SET percent = 100',
      "UPDATE student_profiles SET level = 'expert'",
      'UPDATE items SET correct_option = 0',
      "SELECT emit('student-erased', 'evil', '{}', 'infinity')",
      "SELECT add_attempt('evil', 'evil', 'evil', true, NULL, 'infinity')",
    ]),
    ...refused(RULE, [
      "SELECT review_card(id, -1, 'easy') FROM cards",
      "SELECT review_card(id, 2147483647, 'easy') FROM cards",
      'SELECT answer_item(id, -1, 0) FROM assessments',
      "SELECT append_chunk('nobody', 1, 'x', 1)",
      "SELECT record_practice('evil', repeat('0', 64), 'evil', 'evil', 'nobody', true)",
      "SELECT change_session_status(id, 'active', NULL) FROM tutoring_sessions WHERE status = 'completed'",
      'SELECT record_step_progress(NULL, 100, 1, 1)',
    ]),
    ...refused(INTEGRITY, [
      "SELECT save_profile(repeat('x', 256), '{}')",
      "SELECT start_session('evil', repeat('0', 64), 'evil', 'evil', 'x', repeat('x', 256))",
      'SELECT create_skill(\'evil\', \'evil\', \'{"name": "x", "topic": "x", "guess": "NaN"}\')',
      "SELECT add_item('evil', repeat('0', 64), 'evil', id, 'x', '{a,b}', -1, 1, 0) FROM skills",
      "SELECT add_item('evil', repeat('0', 64), 'evil', id, 'x', '{a,b}', 0, 'infinity', 'NaN') FROM skills",
      "SELECT ask_question('evil', repeat('0', 64), 'evil', NULL, 'x', 'x', 0.5)",
    ]),
    ...harmless('Nobody has this id', ['SELECT erase_person(NULL)']),
  ],
  story: [
    ...refused(NO_RIGHT, [
      "UPDATE stories SET status = 'Completed', completed_at = now()",
      'UPDATE stories SET current_wave = 9',
      "UPDATE story_steps SET lease_until = 'infinity'",
      "INSERT INTO story_steps (story_id, \"order\", name, capability) SELECT id, 99, 'x', 'x' FROM stories",
      "UPDATE story_tasks SET status = 'Completed', completed_at = now()",
      "UPDATE step_attempts SET outcome = 'Completed', ended_at = now()",
      'DELETE FROM step_attempts',
      "SELECT emit('story-erased', id, '{}', 'infinity') FROM stories",
      "SELECT claim_in_story(id, 'evil', NULL, 1000, '1 day') FROM stories",
      'SELECT end_story(s, now()) FROM stories AS s',
    ]),
    ...refused(RULE, [
      "SELECT claim_steps(NULL, 'evil', NULL, 1, '2 days')",
      "SELECT claim_steps(NULL, 'evil', NULL, 1, '-1 day')",
      "SELECT finish_step(gen_random_uuid(), 'Completed', 'x', repeat('0', 64))",
      // The lease of the seeded step has lapsed.
      "SELECT finish_step(claim_id, 'Completed', 'x', repeat('0', 64)) FROM story_steps WHERE claim_id IS NOT NULL",
      "SELECT extend_lease(claim_id, '1 day') FROM story_steps WHERE claim_id IS NOT NULL",
      "SELECT review_step(id, 'Rejected', 'x', NULL) FROM story_steps WHERE wave = 1",
      'SELECT decide_gate(id, 1, false, NULL, NULL, NULL) FROM stories',
      'SELECT decide_gate(id, NULL, NULL, NULL, NULL, NULL) FROM stories',
      'SELECT rerun_story(id, NULL, NULL) FROM stories',
      'SELECT complete_story(id, NULL, NULL) FROM stories',
      "SELECT move_story(id, 'Completed') FROM stories",
      "SELECT record_plan(id, '{}') FROM stories",
      "SELECT append_chat('evil', repeat('0', 64), id, 'tool', 'x') FROM stories",
    ]),
    ...refused(INTEGRITY, [
      "SELECT create_story('evil', repeat('0', 64), '{\"title\": \" \"}')",
      'SELECT create_story(\'evil\', repeat(\'0\', 64), \'{"title": "x", "max_parallelism": 0}\')',
      'SELECT update_story(id, \'{"gate_mode": "Never"}\') FROM stories',
      "SELECT add_task('evil', repeat('0', 64), id, ' ') FROM story_steps WHERE status = 'Pending'",
    ]),
    ...harmless('Nobody has this id', ['SELECT erase_person(NULL)']),
  ],
  workflow: [
    ...refused(NO_RIGHT, [
      "UPDATE workflows SET owner_id = 'evil'",
      "UPDATE workflow_versions SET nodes = '[]'",
      'DELETE FROM workflow_versions',
      "UPDATE run_steps SET lease_id = 'evil'",
      "INSERT INTO step_results (run_id, node_id, lease_id, result) VALUES ('run-welcome-2', 'mail', 'evil', '1')",
      "UPDATE step_results SET result = '1'",
      "UPDATE workflow_runs SET status = 'completed'",
      'UPDATE plugins SET config_schema = NULL',
      'DELETE FROM logs',
      "SELECT begin_request('evil', 'x', '{}', 'x', NULL)",
      'SELECT lock_run(id) FROM workflow_runs',
      "SELECT end_run(id, 'cancelled', NULL, now()) FROM workflow_runs",
      "SELECT take_steps(ARRAY['run-welcome-2'], ARRAY['mail'], 'evil', '1 h', now())",
    ]),
    ...refused(RULE, [
      // The step of another worker, or of a run that has ended.
      "SELECT complete_step(run_id, node_id, 'evil', '1') FROM run_steps",
      "SELECT complete_step(run_id, node_id, lease_id, '1') FROM run_steps WHERE status = 'failed'",
      "SELECT complete_and_claim(run_id, node_id, NULL, '1', 'evil', '{email}', 1, '1 h') FROM run_steps WHERE status = 'failed'",
      "SELECT extend_lease(run_id, node_id, lease_id, '1 h') FROM run_steps",
      "SELECT fail_step(run_id, node_id, 'evil', 'x', true) FROM run_steps",
      // The workflow of another person.
      "SELECT save_workflow(id, 'evil', version, NULL, '{}') FROM workflows",
      "SELECT publish_workflow(id, 'evil', version, NULL, plugins_of(id)) FROM workflows",
      'SELECT archive_workflow(id, NULL, NULL) FROM workflows',
      "SELECT transfer_workflow(id, 'evil', 'evil', NULL) FROM workflows",
      "SELECT restore_workflow(id, 'evil', NULL) FROM workflows",
      "SELECT append_logs(id, 'evil', '[]') FROM workflows",
      "SELECT cancel_run(id, 'evil') FROM workflow_runs",
      "SELECT retry_run(id, 'evil') FROM workflow_runs",
      "SELECT start_run('evil', 'evil', jsonb_build_object('workflowId', id, 'ownerId', 'evil')) FROM workflows",
      // A draft that cannot run, and plugins that are not its own.
      "SELECT publish_workflow(id, owner_id, version, NULL, plugins_of(id)) FROM workflows WHERE status = 'draft'",
      "SELECT publish_workflow(id, owner_id, version, NULL, '[]') FROM workflows WHERE status = 'published'",
      "SELECT update_plugin('0.0.0', jsonb_build_object('name', name, 'version', '9.0.0')) FROM plugins",
    ]),
    ...refused(INTEGRITY, [
      `SELECT register_plugin('{"name": "evil", "version": "latest"}')`,
      "SELECT transfer_workflow(id, owner_id, ' ', NULL) FROM workflows",
      `SELECT append_logs(id, owner_id, '[{"message": "x", "level": "evil"}]') FROM workflows`,
      `SELECT create_workflow('evil', '{"ownerId": "evil", "name": "x", "nodes": {}, "connections": [], "settings": {}}')`,
    ]),
    ...harmless('Nothing has these ids, or is due', [
      "SELECT delete_workflow(id, 'evil', NULL) FROM workflows",
      'SELECT delete_workflow(id, NULL, NULL) FROM workflows',
      'SELECT erase_person(NULL)',
      "SELECT claim_steps('evil', '{email,http-request}', 1000, '1 h')",
      'SELECT claim_steps(NULL, NULL, NULL, NULL)',
    ]),
  ],
  mint: [
    ...refused(NO_RIGHT, [
      'UPDATE wallets SET balance = 1000000',
      'UPDATE transactions SET amount = 1',
      'UPDATE stakes SET locked_until = now()',
      'UPDATE holds SET expires_at = now()',
      'DELETE FROM requests',
      "INSERT INTO mining_totals (wallet_id, mined) VALUES ('evil', 1)",
      'SELECT * FROM wallets FOR UPDATE',
      'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC',
      'SELECT post_transactions()',
      "INSERT INTO wallets (id, user_id, balance) VALUES ('evil', 'evil', 'NaN')",
      "INSERT INTO wallets (id, user_id, balance) VALUES ('evil', 'evil', 1)",
    ]),
  ],
};
