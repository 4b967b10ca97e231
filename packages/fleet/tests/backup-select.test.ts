/** @server none */
import { splitSetPath } from '../src/backup-store/location';
import type { Manifest } from '../src/backup-store/manifest';
import { openSet, writeManifest } from '../src/backup-store/set';
import { newSetId, type Storage } from '../src/backup-store/storage';
import { writeVerification } from '../src/backup-store/verification';
import type { Service } from '../src/config/registry';
import { type SetSelection, selectSet } from '../src/operations/backup/select-set';
import { readBackupState } from '../src/operations/backup/sets';
import { givenPlace, removePlaces } from './backup-fixture';
import { failureOf } from './migrations-fixture';
import { givenSuite, removeSuites } from './suite-fixture';

const ALL = ['auth', 'forge', 'mint'];
const HOUR_MS = 3_600_000;
const FIRST = Date.parse('2026-01-01T00:00:00Z');
const VERIFIED = { ok: true, restoreSeconds: 1, problems: [], warnings: [] };

let all: readonly Service[];
beforeAll(async () => {
  all = await givenSuite(Object.fromEntries(ALL.map((name) => [name, 'model Note {\n  id Int @id\n}'])));
});
afterAll(removePlaces);
afterAll(removeSuites);

type GivenSet = readonly [services: readonly string[], facts?: Partial<Manifest>];

/** Stores the manifests of sets that began an hour apart, oldest first. */
async function givenSets(...sets: readonly GivenSet[]) {
  const { storage } = await givenPlace();
  const ids: string[] = [];
  for (const [index, [names, facts]] of sets.entries()) {
    const startedAt = new Date(FIRST + index * HOUR_MS);
    const id = newSetId(startedAt);
    const writer = await storage.begin(id);
    await writeManifest(
      writer,
      { ...manifestOf(id, startedAt, names), ...facts },
      { key: undefined, secret: undefined },
    );
    await writer.finish();
    ids.push(id);
  }
  return { storage, ids };
}

function manifestOf(id: string, startedAt: Date, services: readonly string[]): Manifest {
  const at = startedAt.toISOString();
  const file = { path: 'a/b', bytes: 0, sha256: '0'.repeat(64) };
  const databases = services.map((service): Manifest['databases'][number] => ({
    ...{ service, database: service, server: 'ordinary', serverVersion: '18.0', sizeBytes: 0, drifted: false },
    ...{
      extensions: [],
      migrations: [],
      roles: [],
      tables: [],
      sequences: [],
      archive: null,
      script: null,
      checks: null,
      baseline: null,
    },
    ...{ snapshot: { takenAt: at, lsn: '0/0' }, schema: { preData: file, postData: file }, access: null },
  }));
  return {
    ...{ format: 4, id, startedAt: at, finishedAt: at, suiteVersion: '0', masked: false, encryption: null },
    ...{ skewMs: 0, fence: null, databases, missing: [], references: [] },
  };
}

describe('latest', () => {
  const select = (storage: Storage, named?: readonly string[], name = 'latest', allowsMasked = false) => {
    const services = all.filter((service) => (named ?? ALL).includes(service.name));
    const selection: SetSelection = {
      ...{ secret: undefined, services, isNamed: named !== undefined, allowsMasked, allowsPlain: false },
      ...{ command: 'restore', argumentOf: (id) => id },
    };
    return selectSet(storage, name, selection);
  };
  const masked = { masked: true };

  it('is the newest set with all services, and newer sets with some of them are named', async () => {
    const { storage, ids } = await givenSets([ALL], [ALL], [['mint']], [['auth', 'mint']]);

    const { set, services, notes } = await select(storage);

    expect(set.manifest.id).toBe(ids[1]);
    expect(services.map(({ name }) => name)).toEqual(ALL);
    expect(notes).toEqual([
      `The set ${ids[3]} is newer, but holds only auth and mint (2 of 3); to use it, run "npx azora-db restore ${ids[3]}"`,
    ]);
  });

  it('is the newest set with the named services', async () => {
    const { storage, ids } = await givenSets([ALL], [['mint']], [['auth', 'mint']], [['forge']]);

    expect(await select(storage, ['mint'])).toMatchObject({ set: { manifest: { id: ids[2] } }, notes: [] });
    expect((await select(storage, ['auth', 'forge'])).set.manifest.id).toBe(ids[0]);
  });

  it('is an error when no set has all services, with the newest set of each and the commands', async () => {
    const { storage, ids } = await givenSets([['mint']], [['auth', 'mint']], [['auth']]);

    expect(await failureOf(select(storage))).toMatchObject({
      code: 'BACKUP.NO_WHOLE_SET',
      kind: 'usage',
      message: expect.stringMatching(/holds all 3 services$/),
      why: `The newest set with auth is ${ids[2]}. The newest set with mint is ${ids[1]}. No set holds forge.`,
      next: `Run "npx azora-db restore ${ids[2]} --service auth" and "npx azora-db restore ${ids[1]} --service mint"`,
    });
    expect(await failureOf(select(storage, ['forge']))).toMatchObject({
      code: 'BACKUP.NO_WHOLE_SET',
      why: 'No set holds forge.',
    });
  });

  it('is not a masked set, unless there is no other one', async () => {
    const { storage, ids } = await givenSets([ALL], [ALL, masked]);
    const only = await givenSets([ALL, masked], [['mint']]);

    expect(await select(storage)).toMatchObject({
      set: { manifest: { id: ids[0] } },
      notes: [expect.stringContaining(`The set ${ids[1]} is newer, but masked`)],
    });
    expect((await select(only.storage, undefined, 'latest', true)).set.manifest.id).toBe(only.ids[0]);
  });

  it.each(['latest', 'its id'])('is refused when it is masked, unless that is asked for: %s', async (name) => {
    const { storage, ids } = await givenSets([ALL, masked]);
    const given = name === 'latest' ? name : ids[0];

    expect(await failureOf(select(storage, undefined, given))).toMatchObject({
      code: 'RESTORE.MASKED',
      next: `Choose another set, or run "npx azora-db restore ${ids[0]} --masked"`,
    });
    expect((await select(storage, undefined, given, true)).set.manifest.id).toBe(ids[0]);
  });

  it('is neither a set that failed its verification nor one from the future', async () => {
    const future = new Date(Date.now() + 2 * HOUR_MS).toISOString();
    const { storage, ids } = await givenSets([ALL], [ALL], [ALL, { startedAt: future }]);
    await writeVerification(await openSet(storage, ids[1] ?? '', undefined), { ...VERIFIED, ok: false });

    const { set, notes } = await select(storage);

    expect(set.manifest.id).toBe(ids[0]);
    expect(notes).toEqual([expect.stringContaining(`The set ${ids[2]} is newer, but claims to begin in the future`)]);
    await storage.remove(ids[0] ?? '');
    expect(await failureOf(select(storage))).toMatchObject({
      code: 'BACKUP.NO_WHOLE_SET',
      why: expect.stringContaining(`The set ${ids[1]} failed its last verification.`),
    });
    expect((await select(storage, undefined, ids[2])).notes).toEqual([expect.stringContaining('in the future')]);
  });

  const gone = { service: 'forge', code: 'SERVER.NO_DATABASE', reason: 'The database forge does not exist' };

  it('may lack a service that never had a database, and says so', async () => {
    const { storage, ids } = await givenSets([['mint']], [['auth', 'mint'], { missing: [gone] }]);

    const { set, services, notes } = await select(storage);

    expect(set.manifest.id).toBe(ids[1]);
    expect(services.map(({ name }) => name)).toEqual(['auth', 'mint']);
    expect(notes).toEqual([
      `The set ${ids[1]} holds 2 of 3 databases, without forge (forge: The database forge does not exist)`,
    ]);
  });

  it('is an error when the newest set lacks a database that an older set holds', async () => {
    const { storage, ids } = await givenSets([ALL], [['auth', 'mint'], { missing: [gone] }]);

    await expect(select(storage)).rejects.toMatchObject({
      code: 'BACKUP.NO_WHOLE_SET',
      message: expect.stringMatching(/^The newest backup set in .* lacks forge$/),
      next: `Run "npx azora-db restore ${ids[1]} --service auth,mint" and "npx azora-db restore ${ids[0]} --service forge"`,
    });
    expect((await select(storage, ['forge'])).set.manifest.id).toBe(ids[0]);
  });

  it('may not lack a service whose backup failed', async () => {
    const failed = { service: 'forge', code: 'SERVER.UNREACHABLE', reason: 'No PostgreSQL server answers' };
    const { storage, ids } = await givenSets([ALL], [['auth', 'mint'], { missing: [failed] }]);

    expect((await select(storage)).set.manifest.id).toBe(ids[0]);
  });

  it('is not the word for a set by its id, which may hold a part', async () => {
    const { storage, ids } = await givenSets([ALL], [['mint']]);

    expect(await select(storage, undefined, ids[1])).toMatchObject({
      services: [{ name: 'mint' }],
      notes: [`The set ${ids[1]} holds 1 of 3 databases, without auth and forge`],
    });
  });

  it('comes with a note when its verification failed', async () => {
    const { storage, ids } = await givenSets([ALL]);
    await writeVerification(await openSet(storage, ids[0] ?? '', undefined), { ...VERIFIED, ok: false });

    expect((await select(storage, undefined, ids[0])).notes).toEqual([
      expect.stringContaining('failed its last verification'),
    ]);
  });
});

describe('the age of the backups', () => {
  it('counts for each service: a verified set of one service does not cover the others', async () => {
    const { storage, ids } = await givenSets([ALL], [['mint']], [['auth'], { masked: true }]);
    for (const id of ids) await writeVerification(await openSet(storage, id, undefined), VERIFIED);
    const age = { secret: undefined, maxAgeMs: HOUR_MS, now: new Date(FIRST + 2 * HOUR_MS) };

    expect(await readBackupState(storage, ['auth', 'mint', 'rag'], age)).toMatchObject({
      isStale: true,
      services: [
        { service: 'auth', newestVerified: { id: ids[0] }, isStale: true },
        { service: 'mint', newestVerified: { id: ids[1] }, isStale: false },
        { service: 'rag', newestVerified: null, isStale: true },
      ],
    });
    expect(await readBackupState(storage, ['mint'], age)).toMatchObject({ isStale: false });
  });

  it('counts neither sets from the future nor sets that failed', async () => {
    const { storage, ids } = await givenSets([ALL], [ALL], [ALL]);
    for (const [index, id] of ids.entries()) {
      await writeVerification(await openSet(storage, id, undefined), { ...VERIFIED, ok: index !== 1 });
    }
    const state = await readBackupState(storage, ['mint'], {
      secret: undefined,
      maxAgeMs: HOUR_MS,
      now: new Date(FIRST + HOUR_MS),
    });

    expect(state).toMatchObject({
      newest: { id: ids[0] },
      future: [ids[2]],
      services: [{ newestVerified: { id: ids[0] } }],
    });
  });
});

describe('the path of a set', () => {
  const ID = '20260131T120000123Z-0a1b2c';

  it.each([
    [`/srv/sets/${ID}`, '/srv/sets'],
    [`/srv/sets/${ID}/`, '/srv/sets'],
    [`/${ID}`, '/'],
    [`${ID}/`, '.'],
    [`sets/${ID}`, 'sets'],
    [`s3://bucket/prefix/${ID}`, 's3://bucket/prefix'],
    [`s3://bucket/${ID}/`, 's3://bucket'],
    [`C:\\sets\\${ID}`, 'C:\\sets'],
    [`C:\\${ID}\\`, 'C:\\'],
    [`\\\\server\\share\\${ID}`, '\\\\server\\share'],
  ])('%s is a set in %s', (text, location) => {
    expect(splitSetPath(text)).toEqual({ location, set: ID });
  });

  it.each(['latest', ID, 'anything'])('%s is not a path', (text) => {
    expect(splitSetPath(text)).toBeUndefined();
  });

  it.each(['/srv/sets', '/', './latest', `/srv/${ID}.part-1-1`])('%s does not end in the id of a set', (text) => {
    expect(() => splitSetPath(text)).toThrow(expect.objectContaining({ code: 'BACKUP.UNKNOWN_SET' }));
  });
});
