/** @server any */
import { createHash } from 'node:crypto';
import type { Manifest } from '../src/backup-store/manifest';
import { openSet } from '../src/backup-store/set';
import type { Storage } from '../src/backup-store/storage';
import { backUpFleet } from '../src/operations/backup/create';
import { verifySet } from '../src/operations/backup/verify';
import { checkFleet } from '../src/operations/check';
import type { Target } from '../src/operations/targets';
import { type Reference, readSchemaModel, references } from '../src/schema/schema-model';
import { backUp, givenPlace, removePlaces } from './backup-fixture';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const AUTH = {
  schema: 'model User {\n  id String @id\n  @@map("users")\n}',
  up: 'CREATE TABLE users (id text PRIMARY KEY)',
};
const MINT = {
  schema: `
model Wallet {
  id String @id
  /// @ref auth.User.id
  userId String @map("user_id")
  /// @ref auth.User.id
  watchers String[]
  @@map("wallets")
}`,
  up: 'CREATE TABLE wallets (id text PRIMARY KEY, user_id text NOT NULL, watchers text[])',
};
/** A wallet of a user that auth does not know. */
const WALLET = `INSERT INTO wallets VALUES ('w2', 'nobody', '{ada,ghost,phantom}')`;

describe('ids of rows that do not exist in the other service', () => {
  let fleet: GivenFleet;
  let all: readonly Reference[];
  beforeAll(async () => {
    fleet = await givenMigratedFleet({ auth: AUTH, mint: MINT });
    all = references(await readSchemaModel(fleet.targets.map(({ service }) => service)));
  });
  beforeEach(async () => {
    await rowsOf(fleet.target('auth').admin, `TRUNCATE users; INSERT INTO users VALUES ('ada')`);
    await rowsOf(fleet.target('mint').admin, `TRUNCATE wallets; INSERT INTO wallets VALUES ('w1', 'ada', '{}')`);
  });
  afterAll(removePlaces);
  afterAll(removeFleets);

  const verify = async (storage: Storage, id: string, targets: readonly Target[] = fleet.targets) => {
    const set = await openSet(storage, id, undefined);
    const request = { set, home: fleet.root, references: all, environment: process.env };
    return (await verifySet(targets, request, {})).verification;
  };
  const edit = async (storage: Storage, id: string, change: (manifest: Manifest) => object) => {
    const manifest = change(JSON.parse((await storage.readText(id, 'manifest.json')) ?? ''));
    const text = JSON.stringify(manifest);
    await storage.writeText(id, 'manifest.json', text);
    await storage.writeText(id, 'manifest.seal', `sha256 ${createHash('sha256').update(text).digest('hex')}\n`);
  };
  const [from, list, to] = ['mint.Wallet.userId', 'mint.Wallet.watchers', 'auth.User.id'];

  it('are recorded in the set, which passes its verification with a warning', async () => {
    await rowsOf(fleet.target('mint').admin, WALLET);
    const { storage } = await givenPlace();

    const { set, manifest } = await backUp(fleet.targets, storage, { references: all });

    expect(manifest.references).toEqual([
      { from, to, orphans: 1 },
      { from: list, to, orphans: 2 },
    ]);
    expect(await verify(storage, set)).toMatchObject({
      ...{ ok: true, problems: [], isKept: true },
      warnings: [
        expect.stringMatching(
          /^1 id of mint.Wallet.userId missing in auth.User.id, already when .*"npx azora-db check"/,
        ),
        expect.stringMatching(/^2 ids of mint.Wallet.watchers missing/),
      ],
    });
    expect(JSON.parse((await storage.readText(set, 'verified.json')) ?? '')).toMatchObject({ ok: true });
  });

  it('are a problem of the set when the restored databases have more or fewer of them than the snapshots', async () => {
    await rowsOf(fleet.target('mint').admin, WALLET);
    const { storage } = await givenPlace();
    const { set } = await backUp(fleet.targets, storage, { references: all });
    await edit(storage, set, (manifest) => {
      const [first, second] = manifest.references;
      return {
        ...manifest,
        references: [
          { ...first, orphans: 0 },
          { ...second, orphans: 3 },
        ],
      };
    });

    expect(await verify(storage, set)).toMatchObject({
      ...{ ok: false, isKept: true, warnings: [] },
      problems: [
        `1 id of ${from} missing in ${to}; 0 were missing when the set was made`,
        `2 ids of ${list} missing in ${to}; 3 were missing when the set was made`,
      ],
    });
  });

  it('are a warning for a set of the first format, which records nothing', async () => {
    await rowsOf(fleet.target('mint').admin, WALLET);
    const { storage } = await givenPlace();
    const { set } = await backUp(fleet.targets, storage);
    await edit(storage, set, ({ missing: _, references: __, ...manifest }) => ({
      ...{ ...manifest, format: 1 },
      databases: manifest.databases.map(({ checks: ___, access: ____, baseline: _____, ...database }) => ({
        ...database,
        tables: database.tables.map(({ filter: ______, storedBy: _______, ...table }) => table),
      })),
    }));

    expect(await verify(storage, set)).toMatchObject({
      ...{ ok: true, isKept: true },
      warnings: [
        ...Array(fleet.targets.length).fill(expect.stringContaining('does not say who owns its objects')),
        ...[expect.stringContaining('perhaps already'), expect.stringContaining('perhaps already')],
      ],
    });
  });

  it('are not looked up for columns of a pending migration, which prevents neither a backup nor its verification', async () => {
    const pending = all.map((reference) => (reference.isList ? { ...reference, column: 'added_later' } : reference));
    const { storage } = await givenPlace();

    const { set, manifest } = await backUp(fleet.targets, storage, { references: pending });

    expect(manifest.references).toEqual([{ from, to, orphans: 0 }]);
    expect(await verify(storage, set)).toMatchObject({ ok: true, warnings: [] });
    const [, mint] = await checkFleet({ targets: fleet.targets, owners: fleet.targets, references: pending }, {});
    expect(mint).toMatchObject({
      data: { references: 1, unchecked: [{ from: list, why: 'A pending migration adds one of the columns.' }] },
    });
  });

  it('are left out with a warning when their lookup fails, in either database, and the set holds both', async () => {
    const { auth, mint } = { auth: fleet.target('auth'), mint: fleet.target('mint') };
    await rowsOf(auth.admin, 'CREATE VIEW broken AS SELECT (1 / (count(*) - 1))::text AS id FROM users');
    const broken = all.map((reference, index): Reference => {
      // unnest() of a text column fails in the first database, and the view in the second.
      if (index > 0) return { ...reference, target: { ...reference.target, table: 'broken' } };
      return { ...reference, isList: true };
    });
    await rowsOf(mint.admin, `INSERT INTO wallets VALUES ('w2', 'nobody', '{ghost}')`);
    const { storage } = await givenPlace();
    const lines: string[] = [];
    const events: string[] = [];
    const request = {
      ...{
        storage,
        secret: undefined,
        mask: undefined,
        fence: false,
        allowDrift: true,
        allowIncomplete: false,
        format: 'copy' as const,
        compression: 'gzip' as const,
        full: false,
      },
      ...{ environment: process.env, references: [...broken, ...all], log: (line: string) => void lines.push(line) },
    };

    const { rows, manifest } = await backUpFleet(fleet.targets, request, {
      progress: ({ service, state }) => void events.push(`${service} ${state}`),
    });
    await rowsOf(auth.admin, 'DROP VIEW broken');

    expect(rows).toMatchObject([
      { service: 'auth', state: 'done' },
      { service: 'mint', state: 'done' },
    ]);
    expect(manifest?.references).toEqual([
      { from, to, orphans: 1 },
      { from: list, to, orphans: 1 },
    ]);
    expect(lines).toEqual([
      expect.stringMatching(/^warning: the ids of mint.Wallet.userId were not looked up in auth.User.id: .*unnest/),
      expect.stringMatching(/^warning: .*mint.Wallet.watchers.*division by zero.*"npx azora-db check"/),
    ]);
    for (const service of ['auth', 'mint'])
      expect(events.filter((it) => it === `${service} queued` || it === `${service} done`)).toEqual([
        `${service} queued`,
        `${service} done`,
      ]);
  });

  it('are not recorded for columns that a masked set replaces', async () => {
    await rowsOf(fleet.target('mint').admin, WALLET);
    await fleet.write('mint', { schema: MINT.schema.replace('  userId', "  /// @mask 'masked'\n  userId") });
    const schemaModel = await readSchemaModel(fleet.targets.map(({ service }) => service));
    const { storage } = await givenPlace();

    const { manifest } = await backUp(fleet.targets, storage, { references: all, mask: { schemaModel, key: 'k' } });

    expect(manifest.references).toEqual([{ from: list, to, orphans: 2 }]);
  });
});
