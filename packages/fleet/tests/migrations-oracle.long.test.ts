/** @server any */
import { catalogFingerprint, splitStatements, withClient } from '@azora/db-migrate';
import { testEffort } from '@azora/db-testkit';
import fc from 'fast-check';
import { dumpSchema } from '../src/postgres/dump/schema';
import { compareCatalogs, readObjects } from '../src/postgres/verify/catalog';
import { BASE, CHANGES, HARMLESS } from './catalog-fixture';
import { openClient, rowsOf, useEmptyDatabase } from './migrations-fixture';

/** Settings of a session that change how PostgreSQL prints definitions. */
const SETTINGS = [
  "SET TimeZone = 'Asia/Tokyo'",
  "SET DateStyle = 'SQL, DMY'",
  "SET IntervalStyle = 'sql_standard'",
  'SET quote_all_identifiers = on',
  "SET bytea_output = 'escape'",
  'SET extra_float_digits = -10',
  'SET standard_conforming_strings = off',
  'SET search_path = public, other',
  "SET search_path = ''",
];

const url = useEmptyDatabase();
const restored = useEmptyDatabase();

const dump = () =>
  withClient(url(), async (client) => {
    const { preData, postData } = await dumpSchema(client);
    return preData + postData;
  });

describe('the fingerprint of a catalog', () => {
  it('changes exactly when the output of pg_dump changes, whatever the settings of the session are', async () => {
    await rowsOf(url(), BASE);
    const client = await openClient(url());
    const kinds = { ...CHANGES, ...HARMLESS };
    const step = fc.record({
      kind: fc.constantFrom(...Object.keys(kinds)),
      n: fc.nat(7),
      setting: fc.constantFrom(...SETTINGS),
    });
    let before = { dump: await dump(), fingerprint: await catalogFingerprint(client) };
    // Every kind once, and some at random.
    const all = Object.keys(kinds).map((kind, at) => ({
      kind,
      n: at % 8,
      setting: SETTINGS[at % SETTINGS.length] ?? '',
    }));
    const random = fc.sample(step, { numRuns: 10 * testEffort(), seed: 20_261_202 });
    const wrong: unknown[] = [];
    for (const { kind, n, setting } of [...all, ...random]) {
      const sql = kinds[kind]?.(n) ?? '';
      await rowsOf(url(), sql);
      await client.query(`RESET ALL; ${setting}`);
      const after = { dump: await dump(), fingerprint: await catalogFingerprint(client) };
      const [printed, seen] = [after.dump !== before.dump, after.fingerprint !== before.fingerprint];
      if (printed !== seen) wrong.push({ kind, sql, setting, printed, seen });
      before = after;
    }
    await client.end();
    const read = (database: typeof url) => withClient(database(), (reader) => readObjects(reader, { grants: false }));
    for (const { text, words } of splitStatements(before.dump)) {
      if (!words.join(' ').startsWith('comment on extension')) await rowsOf(restored(), text);
    }

    expect(wrong).toEqual([]);
    expect(compareCatalogs(await read(url), await read(restored))).toEqual([]);
  });
});
