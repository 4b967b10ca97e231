import { quoteIdentifier } from '@azora/db-core';
import { withClient, withLimitedClient } from '@azora/db-migrate';
import { provision } from '../src/operations/provision';
import { appUrl, type Target } from '../src/operations/targets';
import { givenFleet, removeFleets } from './fleet-fixture';

afterEach(removeFleets);

const passwordOf = () => 'only-for-tests';

async function givenTarget(): Promise<Target> {
  const fleet = await givenFleet({ shop: { schema: 'model Item {\n  id Int @id\n}', migrations: {} } });
  return fleet.target('shop');
}

/** The settings of the app role, and the limits that this server supports. */
async function limitsOf({ maintenance, role }: Target) {
  return withClient(maintenance, async (client) => {
    const { rows } = await client.query<{ settings: string[] | null; number: number; version: string }>(
      `SELECT (SELECT rolconfig FROM pg_roles WHERE rolname = $1) AS settings, version(),
              current_setting('server_version_num')::int AS number`,
      [role],
    );
    const { settings = [], number = 0, version = '' } = rows[0] ?? {};
    const expected = [
      'statement_timeout=30s',
      'lock_timeout=10s',
      'idle_in_transaction_session_timeout=60s',
      ...(/linux|darwin|bsd/.test(version) ? ['client_connection_check_interval=2s'] : []),
      ...(number >= 170_000 ? ['transaction_timeout=60s'] : []),
    ];
    return { found: [...(settings ?? [])].sort(), expected: expected.sort() };
  });
}

function alterRole({ maintenance, role }: Target, action: string) {
  return withClient(maintenance, (client) => client.query(`ALTER ROLE ${quoteIdentifier(role)} ${action}`));
}

describe('the limits of an app role', () => {
  it('are set when the role is created', async () => {
    const { found, expected } = await limitsOf(await givenTarget());

    expect(found).toEqual(expected);
  });

  it('are set on a role that already exists, by several setups at once', async () => {
    const target = await givenTarget();
    await alterRole(target, 'RESET ALL');

    await Promise.all([1, 2, 3].map(() => provision(target, passwordOf)));

    const { found, expected } = await limitsOf(target);
    expect(found).toEqual(expected);
  });

  it.each([
    ['keeps a lower limit', "'250ms'", '250ms'],
    ['keeps a lower limit without a unit', '29999', '29999'],
    ['lowers a higher limit', "'1min'", '30s'],
    ['sets a limit that was turned off', '0', '30s'],
  ])('setup %s', async (_title, given, expected) => {
    const target = await givenTarget();
    await alterRole(target, `SET statement_timeout = ${given}`);

    await provision(target, passwordOf);

    expect((await limitsOf(target)).found).toContain(`statement_timeout=${expected}`);
  });

  it('end a statement in the server, also when its client never cancels it', async () => {
    const target = await givenTarget();
    await alterRole(target, "SET statement_timeout = '100ms'");

    const sleeping = withLimitedClient(appUrl(target, passwordOf), (client) => client.query('SELECT pg_sleep(3600)'));

    await expect(sleeping).rejects.toMatchObject({ code: '57014' });
  });

  it('end a wait for a lock', async () => {
    const target = await givenTarget();
    await alterRole(target, "SET lock_timeout = '100ms'");
    const waiting = withClient(target.admin, async (holder) => {
      await holder.query('SELECT pg_advisory_lock(1)');
      return withLimitedClient(appUrl(target, passwordOf), (client) => client.query('SELECT pg_advisory_lock(1)'));
    });

    await expect(waiting).rejects.toMatchObject({ code: '55P03' });
  });
});
