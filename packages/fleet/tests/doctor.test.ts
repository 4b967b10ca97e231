/** @server any */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseDatabaseUrl } from '@azora/db-core';
import { CREATE_HISTORY } from '@azora/db-migrate';
import { examineFleet } from '../src/operations/migrations/doctor';
import type { Target } from '../src/operations/targets';
import { startCompanion, stopCompanion } from '../src/postgres/companion/server';
import { doctorData, doctorText } from '../src/render/doctor';
import { findingsOf, targetOf, usePatient } from './doctor-fixture';
import { openClient, rowsOf } from './migrations-fixture';

describe('a database', () => {
  const { url, plant, examine } = usePatient();

  it('without problems has no finding', async () => {
    expect(await examine()).toEqual([]);
  });

  it('without a history has no finding', async () => {
    await plant('DROP TABLE _prisma_migrations');

    expect(await examine()).toEqual([]);
  });

  describe('extensions', () => {
    it('reports an extension that the service needs and the server lacks', async () => {
      expect(await examine({}, ['plpgsql', 'nothing_such'])).toEqual([
        expect.objectContaining({ check: 'extension-missing', level: 'error', object: 'nothing_such' }),
      ]);
    });

    it('reports an outdated extension', async () => {
      await plant("UPDATE pg_extension SET extversion = '0.10' WHERE extname = 'plpgsql'");

      expect(await examine()).toEqual([
        {
          check: 'extension-version',
          level: 'note',
          object: 'plpgsql',
          message: 'has version 0.10, and the server offers 1.0',
          next: 'ALTER EXTENSION "plpgsql" UPDATE',
        },
      ]);
    });

    it.each([
      ['0.8.3', ['has version 0.8.3; before 0.8.4, vacuuming can corrupt HNSW indexes']],
      ['0.8.4', []],
      ['0.8.10', []],
    ])('pgvector %s', async (version, messages) => {
      await plant("UPDATE pg_extension SET extname = 'vector' WHERE extname = 'plpgsql'");
      await plant(`UPDATE pg_extension SET extversion = '${version}' WHERE extname = 'vector'`);

      const errors = (await examine({}, ['vector'])).filter(({ level }) => level === 'error');
      expect(errors.map(({ message }) => message)).toEqual(messages);
    });
  });

  describe('history', () => {
    const row = (name: string, values: string) =>
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, rolled_back_at)
       SELECT gen_random_uuid(), '', '${name}', ${values}`;

    it('reports a migration that did not finish', async () => {
      await plant(`${row('01_done', 'now(), NULL')}; ${row('02_half', 'NULL, NULL')}`);

      expect(await examine()).toEqual([
        expect.objectContaining({ check: 'history-unfinished', level: 'error', object: '02_half' }),
      ]);
    });

    it('reports many failed attempts', async () => {
      await plant(`${row('01_done', 'now(), NULL')}; ${row('02_tried', 'NULL, now()')} FROM generate_series(1, 100)`);
      expect(await examine()).toEqual([]);
      await plant(row('02_tried', 'now(), now()'));

      expect(await examine()).toEqual([
        expect.objectContaining({
          check: 'history-bloat',
          level: 'warning',
          message: 'has 101 rows of failed attempts',
        }),
      ]);
    });
  });

  describe('tables and sequences', () => {
    it('reports a table without a primary key', async () => {
      await plant('CREATE TABLE loose (id int UNIQUE NOT NULL)');

      expect(await examine()).toEqual([
        expect.objectContaining({ check: 'primary-key', level: 'warning', object: 'loose' }),
      ]);
    });

    it('are examined in other schemas, but not partitions outside of the schema of their table', async () => {
      await plant(`CREATE SCHEMA other; CREATE TABLE other.loose (id int);
        CREATE TABLE ranges (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE other.part PARTITION OF ranges FOR VALUES FROM (1) TO (2); CREATE INDEX part_twin ON other.part (id)`);

      expect(await examine()).toMatchObject([{ check: 'primary-key', object: 'other.loose' }]);
    });

    it.each([
      ['serial', "SELECT setval('parents_id_seq', 1717986917)", []],
      [
        'serial',
        "SELECT setval('parents_id_seq', 1800000000)",
        ['parents_id_seq has used 83% of its values (parents.id)'],
      ],
      [
        'a bigint sequence for an integer column',
        "ALTER SEQUENCE parents_id_seq AS bigint; SELECT setval('parents_id_seq', 2000000000)",
        ['parents_id_seq has used 93% of its values (parents.id)'],
      ],
      [
        'a descending sequence',
        "CREATE SEQUENCE down INCREMENT -1 MINVALUE -10 MAXVALUE 0; SELECT setval('down', -9)",
        ['down has used 90% of its values'],
      ],
      ['one that begins anew', "CREATE SEQUENCE round MAXVALUE 10 CYCLE; SELECT setval('round', 10)", []],
    ])('%s', async (_, sql, found) => {
      await plant(sql);

      expect((await examine()).map(({ object, message }) => `${object} ${message}`)).toEqual(found);
    });
  });

  it('that cannot be reached is a failure, not a finding', async () => {
    const nowhere = { ...targetOf(url()), admin: parseDatabaseUrl('postgresql://nobody@127.0.0.1:1/x', 'the test') };
    const report = await examineFleet([nowhere], {});

    expect(report.findings).toEqual([]);
    expect(doctorData(report)).toMatchObject({ ok: false, services: [{ state: 'failed' }] });
    expect(doctorText(report)).toMatch(/SERVER\.UNREACHABLE[\s\S]*\n0 of 1 database, no problems$/);
  });
});

describe('a companion', () => {
  let home: string;
  let companion: Target;
  beforeAll(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'azora-doctor-'));
    const { url } = await startCompanion({ home, service: 'patient', database: 'patient' });
    companion = targetOf(url, 'companion', ['vector']);
    await rowsOf(url, `CREATE EXTENSION vector; ${CREATE_HISTORY}`);
  });
  afterAll(async () => {
    await stopCompanion({ home, service: 'patient' });
    await rm(home, { recursive: true, force: true });
  });

  it('has no findings when it is new, and is examined like any other server', async () => {
    const report = await examineFleet([companion], {});
    expect(report.findings.filter(({ level }) => level !== 'note')).toEqual([]);
    expect(report.servers).toEqual([
      { server: 'companion of patient', version: expect.stringMatching(/^1[5-9]\./), services: ['patient'] },
    ]);
    await rowsOf(companion.admin, 'CREATE TABLE loose (id int); CREATE TABLE whole (id int PRIMARY KEY)');

    expect(findingsOf(await examineFleet([companion], {}))).toEqual([
      expect.objectContaining({ check: 'primary-key', object: 'loose' }),
    ]);
    await rowsOf(companion.admin, 'DROP TABLE loose');
  });

  it('that is busy with a transaction is reported after a timeout', async () => {
    const client = await openClient(companion.admin);
    await client.query('BEGIN');

    expect(findingsOf(await examineFleet([companion], { limits: { answerTimeoutMs: 100 } }))).toEqual([
      expect.objectContaining({ check: 'no-answer', level: 'warning', message: 'did not answer within 0 s' }),
    ]);
    await client.query('ROLLBACK');
    expect(findingsOf(await examineFleet([companion], {})).filter(({ level }) => level !== 'note')).toEqual([]);
    await client.end();
  });
});
