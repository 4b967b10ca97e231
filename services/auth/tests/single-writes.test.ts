/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import * as store from '../src/index';
import { START, useAuth } from './given';
import { KEY } from './given-factors';
import { accountCalls } from './single-writes/account-calls';
import { factorCalls } from './single-writes/factor-calls';
import { givenIn } from './single-writes/given';
import { organizationCalls } from './single-writes/organization-calls';
import { signInCalls } from './single-writes/sign-in-calls';

const READERS = [
  ...['openAuth', 'normalizeEmail', 'authenticate', 'isRevoked', 'listSessions', 'readAudit', 'verifyAuditChain'],
  // Deletes rows, and writes none.
  'pruneExpired',
];

describe('a call writes no row twice', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = (options = {}) => openAuth({ encryptionKeys: KEY, ...options });

  // Notes every version of a row that a statement writes, whichever transaction of a call it belongs to.
  beforeAll(async () => {
    await db().admin(`
      CREATE TABLE row_writes (place text NOT NULL, operation text NOT NULL);
      CREATE FUNCTION note_row_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
          INSERT INTO public.row_writes
          SELECT TG_TABLE_NAME || ' ' || coalesce(it ->> 'id', it ->> 'account', it ->> 'jti', it ->> 'event_id'), TG_OP
          FROM to_jsonb(NEW) AS it;
          RETURN NULL;
        END $$;
      DO $$ DECLARE it text; BEGIN
        FOR it IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
          AND relname NOT IN ('_prisma_migrations', 'row_writes')
        LOOP
          EXECUTE format('CREATE TRIGGER note_row_write AFTER INSERT OR UPDATE ON %I FOR EACH ROW
            EXECUTE FUNCTION note_row_write()', it);
        END LOOP;
      END $$`);
  });

  /** The rows that were written since the last call, with what was done to each. */
  const writes = async () => {
    const rows = await db().admin(
      `WITH gone AS (DELETE FROM row_writes RETURNING *)
       SELECT place, array_agg(operation) AS operations FROM gone GROUP BY place ORDER BY place`,
    );
    return rows.map(({ place, operations }) => ({ place, operations: Array.isArray(operations) ? operations : [] }));
  };

  const given = givenIn({ db, clock, open });
  const calls = [accountCalls, signInCalls, factorCalls, organizationCalls].flatMap((callsOf) => callsOf(given));

  it('is tested for every function of the store that writes', () => {
    const functions = Object.entries(store)
      .filter(([, value]) => typeof value === 'function')
      .map(([name]) => name);
    const tested = new Set<string>(calls.map(([name]) => name));

    expect(functions.filter((name) => /^[a-z]/.test(name) && !tested.has(name)).sort()).toEqual([...READERS].sort());
  });

  it.each(calls)('%s %s', async (_name, _how, prepare) => {
    const call = await prepare(open());
    await writes();
    await call();

    const written = await writes();
    expect(written.length).toBeGreaterThan(0);
    expect(written.filter(({ operations }) => operations.length > 1)).toEqual([]);
  });
});
