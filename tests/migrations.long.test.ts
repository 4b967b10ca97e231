import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { diffSchema, findServices, migrateFleetDown, migrateFleetUp, withClient } from '@azora/db-fleet';
import { openTestDatabase, repositoryRoot, testServerUrl } from '@azora/db-testkit';
import { azoraDb } from './cli';

const root = repositoryRoot();
const NAMES = readdirSync(path.join(root, 'services'));
const RUN = { runnerTimeoutMs: 60_000 };
/** Tables that only running programs fill; some are also filled by the seed of a service. */
const FILLED_BY_PROGRAMS = [
  ...['audit_logs', 'inbox', 'outbox', 'requests'],
  ...['certificates', 'course_prerequisites', 'seat_reservations', 'ratings', 'batches', 'bulk_reads'],
  ...['events', 'event_sources', 'deliveries', 'sagas', 'message_chunks', 'step_prerequisites'],
  ...['subscriptions', 'subscription_workers', 'subscription_lanes', 'subscription_progress'],
  ...['artifact_votes', 'webhook_deliveries', 'audit_anchors'],
];

describe('the migrations of the suite', () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'azora-migrations-'));
  const prefix = `azt_${randomBytes(3).toString('hex')}_`;
  const env = { DATABASE_URL: testServerUrl().href, AZORA_DB_PREFIX: prefix, AZORA_HOME: home };
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  /** The services whose extensions the test server offers; the others are verified on their companion. */
  async function provable(): Promise<readonly string[]> {
    const { rows } = await withClient(testServerUrl(), (client) =>
      client.query<{ name: string }>('SELECT name FROM pg_available_extensions'),
    );
    const offered = rows.map(({ name }) => name);
    const services = await findServices(root);
    return services.filter(({ extensions }) => extensions.every((it) => offered.includes(it))).map(({ name }) => name);
  }

  it('can all be reverted, on tables with rows', async () => {
    const names = await provable();

    const { exitCode, stdout } = await azoraDb(['migrate', 'verify', '--json', '--service', names.join(',')], { env });

    const { ok, services } = JSON.parse(stdout);
    expect(services.map((it: { service: string }) => it.service)).toEqual(names);
    for (const service of services) {
      expect(service).toMatchObject({ state: 'done', problems: [] });
      expect(service.tablesWithoutRows.filter((table: string) => !FILLED_BY_PROGRAMS.includes(table))).toEqual([]);
    }
    expect({ ok, exitCode }).toEqual({ ok: true, exitCode: 0 });
    const left = `SELECT datname FROM pg_database WHERE datname LIKE '${prefix}%'`;
    expect((await withClient(testServerUrl(), (client) => client.query(left))).rows).toEqual([]);
  });

  it.each([
    ['a down that forgets a table', /DROP TABLE "?economic_metrics"?;/, '', 'relation economic_metrics is unexpected'],
    ['a down that does not run', /DROP TABLE "?economic_metrics"?;/, 'DROP TABLE nope;', 'table "nope" does not exist'],
  ])('fail the verification for %s', async (_, search, planted, expected) => {
    const checkout = checkoutOf('mint');
    const down = path.join(checkout, 'services/mint/prisma/migrations/20260101000000_init/down.sql');
    const sql = readFileSync(down, 'utf8');
    writeFileSync(down, sql.replace(search, planted));
    expect(readFileSync(down, 'utf8')).not.toBe(sql);

    const { exitCode, stdout } = await azoraDb(['migrate', 'verify'], { env, cwd: checkout });

    expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: expect.stringContaining(expected) });
    rmSync(checkout, { recursive: true });
  });

  it('are not tagged when a database cannot be read', async () => {
    const checkout = checkoutOf('mint');

    const { exitCode, stdout } = await azoraDb(['migrate', 'tag', 'release'], { env, cwd: checkout });

    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: expect.stringContaining('1 failed; no tag written') });
    expect(existsSync(path.join(checkout, 'prisma', 'tags'))).toBe(false);
    rmSync(checkout, { recursive: true });
  });

  describe.each(NAMES)('of %s', (name) => {
    it("leave nothing to do for Prisma's engine, after up and after down and up", async () => {
      const { target, close } = await openTestDatabase(name);
      try {
        const schema = readFileSync(target.service.schemaPath, 'utf8');
        expect((await diffSchema(target.admin, schema)).up).toBe('');
        const down = await migrateFleetDown([{ target, to: null }], { acceptDataLoss: true }, RUN);
        expect(down).toMatchObject([{ state: 'done' }]);
        expect((await diffSchema(target.admin, schema)).up).toContain('CREATE TABLE');
        await migrateFleetUp([{ target }], RUN);
        expect((await diffSchema(target.admin, schema)).up).toBe('');
      } finally {
        await close(false);
      }
    });
  });

  /** A checkout with one service, and the seed of this repository. */
  function checkoutOf(service: string): string {
    const checkout = mkdtempSync(path.join(os.tmpdir(), 'azora-checkout-'));
    writeFileSync(path.join(checkout, 'lerna.json'), '{}');
    const folder = path.join(checkout, 'services', service);
    mkdirSync(folder, { recursive: true });
    cpSync(path.join(root, 'services', service, 'package.json'), path.join(folder, 'package.json'));
    cpSync(path.join(root, 'services', service, 'prisma'), path.join(folder, 'prisma'), { recursive: true });
    symlinkSync(path.join(root, 'prisma'), path.join(checkout, 'prisma'));
    return checkout;
  }
});
