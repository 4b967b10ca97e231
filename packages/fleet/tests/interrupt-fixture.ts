import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { type DatabaseUrl, parseDatabaseUrl, quoteLiteral } from '@azora/db-core';
import { MIGRATION_LOCK, withClient } from '@azora/db-migrate';
import { CTRL_C, openTerminal, type Terminal, testServerUrl } from '@azora/db-testkit';
import { Client } from 'pg';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import { type GivenFleet, givenFleet } from './fleet-fixture';

export const BIN = path.resolve(__dirname, '..', 'bin', 'azora-db.js');

/** On two cores one of them is not started before the others have ended. */
const SERVICES = ['alpha', 'beta', 'gamma', 'delta', 'epsilon'];

/** Confirms an action on several databases of the test server. */
export const CONFIRMED = ['--confirm', testServerUrl().host];

/** A running program. */
export type Program = Pick<Terminal, 'ended' | 'output'>;

/** A fleet whose migrations and rows wait while the test holds a gate or a lock. */
export interface BlockableFleet {
  readonly fleet: GivenFleet;
  readonly gate: string;
  /** Runs a command of the checkout under a pseudo-terminal. */
  readonly open: (...args: readonly string[]) => Terminal;
  readonly sql: (service: string, sql: string) => Promise<readonly Record<string, unknown>[]>;
  /** Resolves when a session of the program waits for the gate or for a lock; rejects when the program ends before. */
  readonly untilBlocked: (program: Program) => Promise<void>;
  /** The pid of a program under a terminal. */
  readonly pidOf: (terminal: Terminal) => Promise<number>;
  /** Scratch databases and unfinished sets. */
  readonly leftOvers: () => Promise<readonly string[]>;
}

/**
 * Creates a fleet in which every service has one migration, `init`. Rows of its table are loaded, and the migrations of
 * {@link addMigrations} run, only while no session has the name of the gate.
 */
async function givenBlockableFleet(): Promise<BlockableFleet> {
  const gate = `gate_${randomBytes(4).toString('hex')}`;
  const up = `
    CREATE FUNCTION wait_at_gate() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
      WHILE EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE application_name = '${gate}') LOOP
        PERFORM pg_catalog.pg_sleep(0.01); PERFORM pg_catalog.pg_stat_clear_snapshot();
      END LOOP;
      RETURN true;
    END $$;
    CREATE TABLE notes (id INTEGER PRIMARY KEY CHECK (public.wait_at_gate()));`;
  const schema = 'model Note {\n  id Int @id\n\n  @@map("notes")\n}';
  const init = { up, down: 'DROP TABLE notes; DROP FUNCTION wait_at_gate();' };
  const given = { schema, migrations: { '20260101000001_init': init } };
  const fleet = await givenFleet(Object.fromEntries(SERVICES.map((name) => [name, given])));
  const prefix = fleet.environment['AZORA_DB_PREFIX'] ?? '';
  const server = parseDatabaseUrl(fleet.environment['DATABASE_URL'] ?? '', 'DATABASE_URL');
  const { PATH = '', HOME = '' } = process.env;
  const count = (condition: string) =>
    rowsOf(
      server,
      `SELECT FROM pg_stat_activity WHERE starts_with(datname, ${quoteLiteral(prefix)}) AND application_name = 'azora-db'
       AND ${condition}`,
    ).then(({ length }) => length);
  return {
    fleet,
    gate,
    open: (...args) =>
      openTerminal(['sh', '-c', 'echo pid $$; exec "$@"', 'sh', process.execPath, BIN, ...args], {
        cwd: fleet.root,
        env: { PATH, HOME, ...fleet.environment },
      }),
    sql: (service, sql) => rowsOf(fleet.target(service).admin, sql),
    untilBlocked: async ({ ended, output }) => {
      let hasEnded = false;
      void ended.then(() => {
        hasEnded = true;
      });
      await until(async () => {
        if (hasEnded) throw new Error(`the program ended before it was blocked; it wrote:\n${output()}`);
        return (await count("wait_event IN ('PgSleep', 'relation')")) > 0;
      });
    },
    pidOf: async ({ output, waitFor }) => {
      await waitFor(/^pid \d+/);
      return Number(/^pid (\d+)/.exec(output())?.[1]);
    },
    leftOvers: async () => {
      const pattern = quoteLiteral(`${prefix}%\\_\\_scratch\\_%`);
      const databases = await rowsOf(server, `SELECT datname::text FROM pg_database WHERE datname LIKE ${pattern}`);
      const sets = await readdir(path.join(fleet.root, '.azora', 'backups')).catch(() => []);
      return [...databases.map(({ datname }) => String(datname)), ...sets.filter((name) => name.includes('.part'))];
    },
  };
}

/** Adds two migrations to every service, so that an interrupted run is between them. */
async function addMigrations({ fleet }: BlockableFleet): Promise<void> {
  const waiting = (sql: string) => `SELECT public.wait_at_gate(); ${sql}`;
  const migrations = {
    '20260101000002_add_a': {
      up: waiting('ALTER TABLE notes ADD COLUMN a text;'),
      down: waiting('ALTER TABLE notes DROP COLUMN a;'),
    },
    '20260101000003_add_b': {
      up: waiting('ALTER TABLE notes ADD COLUMN b text;'),
      down: waiting('ALTER TABLE notes DROP COLUMN b;'),
    },
  };
  for (const { service } of fleet.targets) await fleet.write(service.name, { migrations });
}

/** Closes the gate: everything that waits at it continues when the returned function has run. */
export async function closeGate({ fleet, gate }: BlockableFleet): Promise<() => Promise<void>> {
  return hold(parseDatabaseUrl(fleet.environment['DATABASE_URL'] ?? '', 'DATABASE_URL'), 'SELECT 1', gate);
}

/** Locks a table of one service against everything. */
export async function lockTable({ fleet }: BlockableFleet, service: string, table: string) {
  return hold(fleet.target(service).admin, `BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`, 'azt_holder');
}

/** A command, and the means by which a test stops it in its middle. */
export interface InterruptCase {
  readonly args: readonly string[];
  /** Everything waits at the gate, or for a table of one service that the test has locked. */
  readonly block: 'gate' | { readonly table: string };
  readonly says: RegExp;
}

/** Blocks the command, types Ctrl-C, lets the command continue, and returns what it wrote, without control sequences. */
export async function interruptInMiddle(
  given: BlockableFleet,
  { args, block }: Pick<InterruptCase, 'args' | 'block'>,
): Promise<{ readonly exitCode: number | null; readonly text: string; readonly hidesCursor: boolean }> {
  const release = block === 'gate' ? await closeGate(given) : await lockTable(given, 'alpha', block.table);
  const terminal = given.open(...args);
  try {
    await given.untilBlocked(terminal);
    terminal.type(CTRL_C);
    await terminal.waitFor(/Interrupted; finishing the current step/);
  } finally {
    await release();
  }
  const exitCode = await terminal.ended;
  const output = terminal.output();
  return {
    exitCode,
    text: stripVTControlCharacters(output).replaceAll('\r', ''),
    hidesCursor: output.lastIndexOf('\x1b[?25l') > output.lastIndexOf('\x1b[?25h'),
  };
}

/** What every interrupted command must do. */
export async function expectInterruption(given: BlockableFleet, { args, block, says }: InterruptCase): Promise<void> {
  const { exitCode, text, hidesCursor } = await interruptInMiddle(given, { args, block });

  expect(text).not.toMatch(/INTERNAL|error:/);
  expect(text).toMatch(/\nInterrupted(: \d+ done(, \d+ interrupted)?(, \d+ not started)?)?\. /);
  expect(text).toMatch(says);
  expect(text).toContain(`\n→ npx azora-db ${args.join(' ')}\n`);
  expect({ exitCode, hidesCursor, left: await given.leftOvers() }).toEqual({
    exitCode: 130,
    hidesCursor: false,
    left: [],
  });
}

/** Is another migration run of one service. */
export async function lockMigrations({ fleet }: BlockableFleet, service: string) {
  return hold(fleet.target(service).admin, `SELECT pg_advisory_lock(${MIGRATION_LOCK})`, 'azt_holder');
}

async function hold(url: DatabaseUrl, sql: string, name: string): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: url.href, application_name: name });
  // `reset` drops the database with this session in it.
  client.on('error', () => undefined);
  await client.connect();
  await client.query(sql);
  return () => client.end().catch(() => undefined);
}

async function rowsOf(url: DatabaseUrl, sql: string): Promise<readonly Record<string, unknown>[]> {
  return withClient(url, async (client) => (await client.query(sql)).rows);
}

async function until(isReached: () => Promise<boolean>): Promise<void> {
  while (!(await isReached())) await sleep(20);
}

/** Creates a fleet with rows, a backup set and two pending migrations in each service. */
export async function givenBusyFleet(): Promise<BlockableFleet> {
  const given = await givenBlockableFleet();
  for (const target of given.fleet.targets) {
    await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
    await given.sql(target.service.name, 'INSERT INTO notes VALUES (1)');
  }
  const backup = given.open('backup');
  if ((await backup.ended) !== 0) throw new Error(backup.output());
  await addMigrations(given);
  return given;
}
