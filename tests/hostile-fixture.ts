import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestDatabase } from '@azora/db-testkit';

/** The SQLSTATE of a statement that succeeded. */
export const SUCCESS = '00000';

/** A psql session, which returns the SQLSTATE of each statement that it is sent. */
export class Psql {
  private readonly lines: AsyncIterator<string>;
  private readonly child: ChildProcessWithoutNullStreams;
  private sent = 0;

  constructor(url: string) {
    this.child = spawn('psql', ['-X', '-q', '-d', url, '-v', 'VERBOSITY=sqlstate', '-o', '/dev/null']);
    this.child.stderr.resume();
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** The state of the first statement that failed; success if none did. */
  async run(sql: string): Promise<string> {
    const mark = `answer ${++this.sent}:`;
    this.child.stdin.write(`\\set LAST_ERROR_SQLSTATE ${SUCCESS}\n${sql}${sql.endsWith('\\.') ? '' : ';'}
\\echo ${mark} :LAST_ERROR_SQLSTATE\n`);
    for (;;) {
      const { value, done } = await this.lines.next();
      if (done === true) throw new Error(`psql ended at: ${sql}`);
      if (value.startsWith(mark)) {
        // The next statement begins in a new transaction and with the settings of a new session.
        this.child.stdin.write('\\set QUIET on\nROLLBACK;\nDISCARD ALL;\n');
        return value.slice(mark.length).trim();
      }
    }
  }

  end(): void {
    this.child.stdin.end();
  }
}

/** The catalogs that a statement could change. */
const CATALOGS = [
  // Without the columns that vacuum changes.
  `(SELECT oid, relname, relowner, relacl, relkind, relpersistence, relhastriggers, relrowsecurity, reloptions, relchecks
     FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS relation`,
  "pg_proc WHERE pronamespace = 'public'::regnamespace",
  'pg_trigger',
  "pg_constraint WHERE connamespace = 'public'::regnamespace",
  'pg_attribute WHERE attrelid > 16383',
  'pg_namespace',
  'pg_type WHERE oid > 16383',
  'pg_operator WHERE oid > 16383',
  'pg_cast WHERE oid > 16383',
  'pg_rewrite WHERE oid > 16383',
  'pg_policy',
  'pg_default_acl',
  'pg_extension',
  'pg_event_trigger',
  'pg_largeobject_metadata',
  '(SELECT datdba, datacl, datconnlimit FROM pg_database WHERE datname = current_database()) AS database',
  'pg_prepared_xacts',
];

const NOT_HOSTILE = "WHERE id NOT LIKE 'hostile-%'";
const ROWS_THAT_STAY: Readonly<Record<string, string>> = {
  'public.audit_log': NOT_HOSTILE,
  'public.audit_logs': NOT_HOSTILE,
  'public.audit_chains': "WHERE account <> ''",
};

export interface State {
  /** Hashes of all rows but hostile entries of the audit log, of the catalogs and of the role. */
  readonly hashes: string;
  /** The entries of the audit log. */
  readonly entries: number;
}

export async function stateOf(db: TestDatabase, { tables }: Objects, audit: string): Promise<State> {
  const role = `'${db.target.role}'`;
  const sources = [
    ...tables.map((table) => `${table} ${ROWS_THAT_STAY[table] ?? ''}`),
    ...CATALOGS,
    `(SELECT to_jsonb(pg_authid) FROM pg_authid WHERE rolname = ${role}) AS role`,
    `pg_db_role_setting WHERE setrole = ${role}::regrole`,
  ];
  const hashes = sources.map(
    (source) => `(SELECT md5(string_agg(it::text, ',' ORDER BY it::text)) FROM (SELECT * FROM ${source}) AS it)`,
  );
  const [row] = await db.admin(
    `SELECT concat_ws(' ', ${hashes}) AS hashes, (SELECT count(*) FROM ${audit}) AS entries`,
  );
  return { hashes: String(row?.['hashes']), entries: Number(row?.['entries']) };
}

/** What a hostile statement can name. */
export interface Objects {
  readonly admin: string;
  readonly pid: string;
  readonly tables: readonly string[];
  readonly functions: readonly string[];
  readonly triggers: readonly string[];
  /** `public.wallets SET balance`, for every number of every table. */
  readonly numbers: readonly string[];
}

export async function objectsOf(db: TestDatabase): Promise<Objects> {
  const [row] = await db.admin(`
    SELECT current_user AS admin, pg_backend_pid()::text AS pid,
      (SELECT array_agg(format('public.%I', relname) ORDER BY relname) FROM pg_class
       WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')) AS tables,
      (SELECT array_agg(format('public.%I(%s)', proname, pg_get_function_identity_arguments(oid)) ORDER BY oid) FROM pg_proc
       WHERE pronamespace = 'public'::regnamespace AND prolang <> 13) AS functions,
      (SELECT array_agg(format('%I ON %s', tgname, tgrelid::regclass) ORDER BY pg_trigger.oid) FROM pg_trigger
       WHERE NOT tgisinternal) AS triggers,
      (SELECT coalesce(array_agg(format('%s SET %I', attrelid::regclass, attname) ORDER BY attrelid, attnum), '{}') FROM pg_attribute
       JOIN pg_class ON pg_class.oid = attrelid AND relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
       WHERE atttypid IN ('numeric'::regtype, 'float8'::regtype, 'float4'::regtype) AND attnum > 0 AND NOT attisdropped
         AND has_any_column_privilege('${db.target.role}', attrelid, 'UPDATE')) AS numbers`);
  return row as unknown as Objects;
}

/** The statement with its names filled in, once for each object that it is about. */
export function statementsOf(
  sql: string,
  own: Readonly<Record<string, string>>,
  { tables, functions, triggers, numbers, pid }: Objects,
): readonly string[] {
  const text = sql.replace(/\{(\w+)\}/g, (whole, key: string) => own[key] ?? whole).replace('{pid}', pid);
  const each = { '{table}': tables, '{function}': functions, '{trigger}': triggers, '{number}': numbers };
  for (const [place, names] of Object.entries(each)) {
    if (text.includes(place)) return names.map((it) => text.replaceAll(place, it));
  }
  return [text];
}
