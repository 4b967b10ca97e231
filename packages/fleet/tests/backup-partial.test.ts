/** @server any */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { SuiteError, withUrlParts } from '@azora/db-core';
import type { Storage } from '../src/backup-store/storage';
import { type BackupReport, type BackupRequest, backUpFleet } from '../src/operations/backup/create';
import type { RunOptions } from '../src/operations/fleet';
import type { Target } from '../src/operations/targets';
import { givenPlace, removePlaces, restore } from './backup-fixture';
import { watchedStorage } from './backup-writers';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const SCHEMA = 'model Note {\n  id Int @id\n  @@map("notes")\n}';
const UP = 'CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes VALUES (1)';

describe('a backup in which a service fails', () => {
  let fleet: GivenFleet;
  let forge: Target;
  let mint: Target;
  beforeAll(async () => {
    fleet = await givenMigratedFleet({ forge: { schema: SCHEMA, up: UP }, mint: { schema: SCHEMA, up: UP } });
    [forge, mint] = [fleet.target('forge'), fleet.target('mint')];
  });
  afterAll(removePlaces);
  afterAll(removeFleets);

  const backUp = (
    storage: Storage,
    targets: readonly Target[],
    given: Partial<BackupRequest> = {},
    options: RunOptions = {},
  ): Promise<BackupReport> => {
    const request: BackupRequest = {
      ...{
        storage,
        secret: undefined,
        mask: undefined,
        references: [],
        fence: false,
        allowDrift: false,
        allowIncomplete: false,
      },
      ...{ format: 'copy', compression: 'gzip', full: false, environment: process.env, log: () => undefined, ...given },
    };
    return backUpFleet(targets, request, options);
  };
  const withoutDatabase = (target: Target): Target => {
    return { ...target, admin: withUrlParts(target.admin, { database: `${target.database}_gone` }) };
  };

  it.each([false, true])('stores the others when its database does not exist (fence: %s)', async (fence) => {
    const { storage, directory } = await givenPlace();

    const { set, rows, manifest } = await backUp(storage, [withoutDatabase(forge), mint], { fence });

    expect(rows).toMatchObject([
      { service: 'forge', state: 'failed', error: { code: 'SERVER.NO_DATABASE' } },
      { service: 'mint', state: 'done', data: { tables: 2, rows: 2 } },
    ]);
    expect(manifest).toMatchObject({
      databases: [{ service: 'mint' }],
      missing: [{ service: 'forge', code: 'SERVER.NO_DATABASE', reason: expect.stringContaining('does not exist') }],
      fence: fence ? { heldMs: expect.any(Number) } : null,
    });
    expect(await readdir(path.join(directory, set))).toEqual(['manifest.json', 'manifest.seal', 'mint']);
    expect(await restore([mint], storage, set)).toMatchObject([{ service: 'mint', state: 'done' }]);
  });

  it('stores the others when its snapshot cannot be taken, and releases its locks', async () => {
    const { storage } = await givenPlace();
    const [oid] = await rowsOf(forge.admin, `SELECT lo_from_bytea(0, 'x')::text`);

    const { manifest } = await backUp(storage, [forge, mint], { fence: true });

    await rowsOf(forge.admin, `SELECT lo_unlink(${String(oid)})`);
    expect(manifest).toMatchObject({
      databases: [{ service: 'mint' }],
      missing: [{ service: 'forge', code: 'BACKUP.LARGE_OBJECTS' }],
    });
  });

  it('stores the others without the files that were written before the failure', async () => {
    const { storage, directory } = await givenPlace();
    const failing = watchedStorage(storage, async (file) => {
      if (file.startsWith('forge/post-data')) throw new Error('the server process crashed');
    });

    const { set, manifest } = await backUp(failing, [forge, mint]);

    expect(manifest).toMatchObject({ databases: [{ service: 'mint' }], missing: [{ service: 'forge' }] });
    expect(await readdir(path.join(directory, set))).toEqual(['manifest.json', 'manifest.seal', 'mint']);
  });

  it('names services whose server could not be started', async () => {
    const { storage } = await givenPlace();
    const error = new SuiteError('COMPANION.START_FAILED', 'The companion of rag did not start');

    const { rows, manifest } = await backUp(storage, [mint], {
      unavailable: [{ service: 'rag', state: 'failed', error }],
    });

    expect(rows.map(({ service, state }) => `${service} ${state}`)).toEqual(['mint done', 'rag failed']);
    expect(manifest?.missing).toEqual([{ service: 'rag', code: error.code, reason: error.message }]);
  });

  it.each(['the storage fails', 'the backup is interrupted', 'no service succeeds'])(
    'stores nothing when %s',
    async (reason) => {
      const { storage, directory } = await givenPlace();
      const interrupt = new AbortController();
      const watched = watchedStorage(storage, async (file) => {
        if (!file.startsWith('forge/')) return;
        if (reason === 'the storage fails') throw new SuiteError('BACKUP.STORAGE_FAILED', 'the bucket does not answer');
        if (reason === 'the backup is interrupted') interrupt.abort();
        else throw new Error('the server process crashed');
      });
      const targets = reason === 'no service succeeds' ? [forge, withoutDatabase(mint)] : [forge, mint];

      const { manifest } = await backUp(watched, targets, {}, { signal: interrupt.signal });

      expect(manifest).toBeUndefined();
      expect(await readdir(directory)).toEqual([]);
    },
  );
});
