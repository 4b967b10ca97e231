/** @server any */
import net from 'node:net';
import type { FleetAnswer } from '../../studio/src/api/answers';
import { openSet } from '../src/backup-store/set';
import type { Storage } from '../src/backup-store/storage';
import { writeVerification } from '../src/backup-store/verification';
import { readFleet } from '../src/operations/studio/fleet';
import { backUp, givenPlace, removePlaces } from './backup-fixture';
import { type GivenFleet, removeFleets } from './fleet-fixture';
import { openClient, rowsOf } from './migrations-fixture';
import { contextOf, type GivenContext, givenShop, movedTo } from './studio-read-fixture';

const USER = '00000000-0000-4000-8000-00000000000a';

describe('the state of the fleet', () => {
  let fleet: GivenFleet;
  const read = async (given: GivenContext = {}): Promise<FleetAnswer> => readFleet(await contextOf(fleet, given));

  beforeAll(async () => {
    fleet = await givenShop();
    await rowsOf(
      fleet.target('auth').admin,
      `INSERT INTO users VALUES ('${USER}', 'a@x.invalid'); INSERT INTO sessions VALUES (1, '${USER}', 't')`,
    );
  });
  afterAll(removePlaces);
  afterAll(removeFleets);

  it('lists each service with its hidden columns, and the links between services', async () => {
    expect(await read()).toEqual({
      write: false,
      reveal: false,
      backupError: null,
      services: [
        {
          service: 'auth',
          database: fleet.target('auth').database,
          server: 'ordinary',
          write: false,
          reachable: true,
          error: null,
          pending: 0,
          drift: false,
          rows: 2,
          sizeBytes: Number(
            (await rowsOf(fleet.target('auth').admin, 'SELECT pg_database_size(current_database())'))[0],
          ),
          newestBackup: null,
          hidden: [
            { table: 'users', column: 'email', kind: 'pii' },
            { table: 'sessions', column: 'token', kind: 'secret' },
          ],
          filled: [],
        },
        expect.objectContaining({ service: 'shop', rows: 0 }),
      ],
      // Without the links from and to hidden columns.
      links: [
        ...[
          ['buyer id', 'users', 'id'],
          ['watchers', 'users', 'id'],
          ['country', 'countries', 'code'],
          ['number', 'countries', 'number'],
        ].map(([column, toTable, toColumn]) => ({
          ...{ service: 'shop', table: 'Order', column, toService: 'auth', toTable, toColumn },
        })),
      ],
    });
  });

  it('reports pending migrations and drift', async () => {
    await fleet.write('shop', { migrations: { '20260102000000_more': { up: 'SELECT 1', down: 'SELECT 1' } } });
    await rowsOf(fleet.target('shop').admin, 'ALTER TABLE "Order" ADD by_hand int');
    const { services } = await read();
    await rowsOf(fleet.target('shop').admin, 'ALTER TABLE "Order" DROP by_hand');

    expect(services).toMatchObject([
      { pending: 0, drift: false },
      { pending: 1, drift: true },
    ]);
  });

  it('has all links and hides no column with --reveal', async () => {
    const { reveal, links, services } = await read({ reveal: true });

    expect(reveal).toBe(true);
    expect(links).toHaveLength(6);
    expect(services.flatMap(({ hidden }) => hidden)).toEqual([]);
  });

  it('has no links to services that are not shown', async () => {
    expect((await read({ targets: [fleet.target('shop')] })).links).toEqual([]);
  });

  it('reports a server that accepts connections and never answers, and reads the others', async () => {
    const deaf = net.createServer();
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const { port } = deaf.address() as net.AddressInfo;
    const sockets: net.Socket[] = [];
    deaf.on('connection', (socket) => sockets.push(socket));

    const { services } = await read({ targets: movedTo(fleet, 'auth', port) });
    for (const socket of sockets) socket.destroy();
    deaf.close();
    expect(services).toEqual([
      expect.objectContaining({
        ...{
          service: 'auth',
          reachable: false,
          error: {
            code: 'SERVER.UNREACHABLE',
            message: expect.stringContaining(`:${port}/`),
            next: expect.stringMatching(/^Start the server/),
          },
        },
        ...{ pending: null, drift: null, rows: null, sizeBytes: null },
      }),
      expect.objectContaining({ service: 'shop', reachable: true, error: null }),
    ]);
  });

  it('reports a database behind a lock as reachable, without waiting for the lock', async () => {
    const locker = await openClient(fleet.target('auth').admin);
    await locker.query('BEGIN; LOCK TABLE sessions');
    const { services } = await read();
    await locker.end();

    expect(services).toMatchObject([
      { reachable: true, rows: null, error: { code: 'DATABASE.FAILED' } },
      { reachable: true, rows: 0, error: null },
    ]);
  });

  it('has the newest backup of each service, and whether it was verified', async () => {
    const { storage } = await givenPlace();
    const openStorage = async () => storage;
    const { set: both, manifest } = await backUp(fleet.targets, storage);
    const backups = async () => (await read({ openStorage })).services.map(({ newestBackup }) => newestBackup);
    const first = { id: both, startedAt: manifest.startedAt, verified: false };

    expect(await backups()).toEqual([first, first]);
    await writeVerification(await openSet(storage, both, undefined), {
      ok: true,
      restoreSeconds: 1,
      problems: [],
      warnings: [],
    });
    const later = await backUp([fleet.target('auth')], storage);
    const verify = async (ok: boolean) =>
      writeVerification(await openSet(storage, later.set, undefined), {
        ok,
        restoreSeconds: 1,
        problems: [],
        warnings: [],
      });
    const newest = { id: later.set, startedAt: later.manifest.startedAt };
    await verify(false);
    expect(await backups()).toEqual([
      { ...newest, verified: false },
      { ...first, verified: true },
    ]);
    await verify(true);
    expect(await backups()).toEqual([
      { ...newest, verified: true },
      { ...first, verified: true },
    ]);
  });

  it('reports a backup store that cannot be opened or does not answer', async () => {
    const { storage } = await givenPlace();
    const deaf: Storage = { ...storage, list: () => new Promise(() => undefined) };
    const closed = await read({ openStorage: () => Promise.reject(new Error('access denied')) });
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
    const late = readFleet(await contextOf(fleet, { targets: [], openStorage: async () => deaf }));
    await jest.runAllTimersAsync();
    jest.useRealTimers();

    expect(closed.backupError).toEqual({ code: 'INTERNAL', message: 'access denied' });
    expect(closed.services).toMatchObject([{ error: null, newestBackup: null }, { error: null }]);
    expect((await late).backupError).toMatchObject({ code: 'STUDIO.LATE' });
  });
});
