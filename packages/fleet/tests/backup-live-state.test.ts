/** @server any */
import os from 'node:os';
import { openSet } from '../src/backup-store/set';
import type { LiveDatabase } from '../src/operations/backup/live-databases';
import { restoreFleet } from '../src/operations/backup/restore';
import { restoreText } from '../src/render/backup';
import { backUp, givenPlace, removePlaces } from './backup-fixture';
import { givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const SCHEMA = 'model Note {\n  id Int @id\n  @@map("notes")\n}';
const UP = 'CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes VALUES (1)';

describe('a restore that fails', () => {
  afterAll(removePlaces);
  afterAll(removeFleets);

  const given = async () => {
    const fleet = await givenMigratedFleet({ forge: { schema: SCHEMA, up: UP }, mint: { schema: SCHEMA, up: UP } });
    const { storage } = await givenPlace();
    const { set } = await backUp(fleet.targets, storage);
    const surroundings = { home: os.tmpdir(), environment: process.env, log: () => undefined };
    const request = { set: await openSet(storage, set, undefined), passwordOf: () => 'only-for-tests', dropOld: true };
    return { fleet, set, run: () => restoreFleet(fleet.targets, { ...request, ...surroundings }, {}) };
  };

  it('after the databases were replaced says so, and names where the former one is', async () => {
    const { fleet, set, run } = await given();
    const [forge, mint] = [fleet.target('forge'), fleet.target('mint')];
    // A template cannot be dropped.
    await rowsOf(forge.maintenance, `ALTER DATABASE ${forge.database} IS_TEMPLATE true`);

    const report = await run();

    const former = `${forge.database.slice(0, 25)}__before_${set}`;
    expect(report.rows).toMatchObject([
      { service: 'forge', state: 'failed' },
      { service: 'mint', state: 'done' },
    ]);
    expect(report.live).toEqual([
      { service: 'forge', database: forge.database, state: 'replaced', kept: former },
      { service: 'mint', database: mint.database, state: 'replaced', kept: null },
    ]);
    const text = restoreText(set, report, []);
    expect(text).toContain(`forge: the database ${forge.database} is the restored one; the former one is ${former}`);
    expect(text).not.toContain('unchanged');
    await rowsOf(forge.maintenance, `ALTER DATABASE "${former}" IS_TEMPLATE false`);
  });

  it('before the databases are replaced says that they are unchanged', async () => {
    const { fleet, set } = await given();
    const unchanged = fleet.targets.map(({ service, database }) => {
      return { service: service.name, database, state: 'unchanged', kept: null } as const;
    });
    const rows = [
      { service: 'forge', state: 'not-started' },
      { service: 'mint', state: 'not-started' },
    ] as const;

    expect(restoreText(set, { rows, live: unchanged }, [])).toBe(
      'nothing was restored; the live databases are unchanged',
    );
    const [first, second] = unchanged;
    const unclear = [
      { ...first, state: 'unknown' },
      { ...second, state: 'unchanged' },
    ] as readonly LiveDatabase[];
    expect(restoreText(set, { rows, live: unclear }, [])).toContain('whether it was replaced is unknown');
  });
});
