import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { readMigrations } from '@azora/db-migrate';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import { type GivenFleet, givenFleet } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';
import { REPOSITORY_ROOT } from './suite-fixture';

export const CONSUMER = 'nexus.record';

/** Five events of the log, as a relay appends them. */
const EVENTS = `
  SELECT claim_source('nexus', '00000000-0000-4000-8000-000000000001', 'here', '1 minute');
  SELECT append_events('nexus', '00000000-0000-4000-8000-000000000001', '1 minute', '1:1:', NULL, NULL,
    array_agg(gen_random_uuid()), array_agg('nexus.counted.v1'::text), array_agg('key-' || n), array_agg('{}'::text),
    array_agg(NULL::text), array_agg(now())) FROM generate_series(1, 5) AS n;
  SELECT release_source('nexus', '00000000-0000-4000-8000-000000000001');`;

/** A fleet of nexus alone, with its own schema and migrations. {@link givenDeadLetters} fills its log. */
export async function givenEventLog(): Promise<GivenFleet> {
  const folder = path.join(REPOSITORY_ROOT, 'services', 'nexus', 'prisma');
  // Without the references to services that are not in this fleet.
  const schema = (await readFile(path.join(folder, 'schema.prisma'), 'utf8'))
    .replaceAll(/^(generator|datasource) [^}]*\}\n/gm, '')
    .replaceAll(/^ *\/\/\/ @(ref|subject) .*\n/gm, '');
  const names = (await readMigrations(path.join(folder, 'migrations'))).map(({ name }) => name);
  const read = (name: string, file: string) => readFile(path.join(folder, 'migrations', name, file), 'utf8');
  const migrations = await Promise.all(
    names.map(async (name) => {
      const [up, down] = await Promise.all([read(name, 'migration.sql'), read(name, 'down.sql')]);
      return [name, { up, down }] as const;
    }),
  );
  const fleet = await givenFleet({ nexus: { schema, migrations: Object.fromEntries(migrations) } });
  await migrateTargetUp(fleet.target('nexus'), { lockTimeoutMs: 10_000 });
  return fleet;
}

/** Makes a log of five events, and a consumer for which the first three are dead letters. */
export async function givenDeadLetters(fleet: GivenFleet): Promise<void> {
  const { admin } = fleet.target('nexus');
  await rowsOf(
    admin,
    `TRUNCATE events, subscriptions, event_sources CASCADE; UPDATE event_log SET head = 0, floor = 0; ${EVENTS}`,
  );
  await rowsOf(admin, `SELECT join_subscription('${CONSUMER}', ARRAY['nexus.counted.v1'], 3, 'start')`);
  await rowsOf(
    admin,
    `INSERT INTO deliveries (subscription, position, key, lane, state, attempts, last_error)
     SELECT '${CONSUMER}', position, key, lane, 'dead', 3, 'NEXUS.NOT_FOUND' FROM events WHERE position < 4`,
  );
}
