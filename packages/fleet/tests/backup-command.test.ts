/** @server any */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';

const BIN = path.resolve(__dirname, '..', 'bin', 'azora-db.js');
const SCHEMA = 'model Note {\n  id Int @id\n  @@map("notes")\n}';
const UP = 'CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes SELECT generate_series(1, 100)';

/** Prints the third-party packages that a process loaded, when it ends. */
const REPORT_PACKAGES = `
process.on('exit', () => {
  const names = Object.keys(require.cache).map((file) => /.*node_modules[/\\\\]((?:@[^/\\\\]+[/\\\\])?[^/\\\\]+)/.exec(file)?.[1]);
  process.stderr.write('packages ' + JSON.stringify([...new Set(names)]) + '\\n');
});`;

describe('the backup commands', () => {
  let fleet: GivenFleet;
  beforeAll(async () => {
    fleet = await givenMigratedFleet({ notes: { schema: SCHEMA, up: UP } });
  });
  afterAll(removeFleets);

  const run = (args: readonly string[], node: readonly string[] = []) => {
    const env = { PATH: process.env['PATH'] ?? '', HOME: os.tmpdir(), ...fleet.environment };
    const options = { cwd: fleet.root, env, encoding: 'utf8' } as const;
    return spawnSync(process.execPath, [...node, BIN, ...args], options);
  };
  const answerOf = (...args: readonly string[]) => {
    const { status, stdout } = run([...args, '--json']);
    return { status, answer: JSON.parse(stdout) };
  };
  const givenSet = () => {
    const { status, answer } = answerOf('backup');
    expect(status).toBe(0);
    return path.join(fleet.root, '.azora', 'backups', answer.set);
  };

  it('verify a set with exit code 0', () => {
    givenSet();

    expect(answerOf('backup', 'verify')).toMatchObject({ status: 0, answer: { ok: true, problems: [] } });
  });

  it('prove a new set in the same command', () => {
    const { status, answer } = answerOf('backup', '--verify');

    expect({ status, answer }).toMatchObject({
      status: 0,
      answer: { ok: true, verification: { ok: true, isKept: true } },
    });
    expect(answerOf('backup', 'list').answer.sets[0]).toMatchObject({ id: answer.set, verified: { ok: true } });
  });

  it('try out a restore, and keep what it took for status and Prometheus', async () => {
    const set = path.basename(givenSet());
    const metrics = path.join(fleet.root, 'azora.prom');
    const drill = { ok: true, set, databases: 1, rows: 101, problems: 0, error: null };

    expect(answerOf('backup', 'drill', '--metrics', metrics)).toMatchObject({ status: 0, answer: { ok: true, drill } });
    expect(answerOf('status').answer.drill).toMatchObject(drill);
    const text = await readFile(metrics, 'utf8');
    expect(text).toMatch(/^# TYPE azora_backup_drill_success gauge\nazora_backup_drill_success 1$/m);
    expect(text).toMatch(/^azora_backup_drill_restore_seconds [\d.]+$/m);
    expect(text).toMatch(/^azora_backup_drill_data_age_seconds \d+$/m);

    const nowhere = path.join(fleet.root, 'nowhere');
    expect(run(['backup', 'drill', '--from', nowhere, '--metrics', metrics]).status).toBe(2);
    expect(await readFile(metrics, 'utf8')).toMatch(/^azora_backup_drill_success 0$/m);
    const { status, stdout } = run(['status', '--check']);
    expect({ status, stdout }).toMatchObject({ status: 4, stdout: expect.stringContaining('the drill failed: ') });
  });

  it('find an edited manifest, with exit code 4 from verify and restore', async () => {
    const manifest = path.join(givenSet(), 'manifest.json');
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('"rows": 100', '"rows": 99'));

    const expected = { status: 4, answer: { ok: false, error: { code: 'BACKUP.DAMAGED' } } };
    expect(answerOf('backup', 'verify')).toMatchObject(expected);
    expect(answerOf('restore', 'latest', '--confirm', fleet.target('notes').database)).toMatchObject(expected);
  });

  it('find a manifest that is not valid, with exit code 4 from verify and restore', async () => {
    const set = givenSet();
    const digest = createHash('sha256').update('{}').digest('hex');
    await writeFile(path.join(set, 'manifest.json'), '{}');
    await writeFile(path.join(set, 'manifest.seal'), `sha256 ${digest}\n`);

    const expected = { status: 4, answer: { ok: false, error: { code: 'BACKUP.BAD_MANIFEST' } } };
    expect(answerOf('backup', 'verify')).toMatchObject(expected);
    expect(answerOf('restore', 'latest', '--confirm', fleet.target('notes').database)).toMatchObject(expected);
  });

  it('find a damaged file, with exit code 4 from verify and restore', async () => {
    const set = givenSet();
    await truncate(path.join(set, 'notes', 'notes.copy.gz'), 10);

    expect(answerOf('backup', 'verify')).toMatchObject({
      status: 4,
      answer: { ok: false, problems: [expect.stringContaining('notes/notes.copy.gz')] },
    });
    expect(answerOf('restore', path.basename(set), '--confirm', fleet.target('notes').database)).toMatchObject({
      status: 4,
      answer: { ok: false, error: { code: 'BACKUP.DAMAGED' } },
    });
  });

  it.each([
    ['an unknown set', ['backup', 'verify', 'none'], 'BACKUP.UNKNOWN_SET'],
    ['a missing key', ['backup', '--encrypt'], 'USAGE.NO_BACKUP_KEY'],
    ['a bad location', ['backup', 'list', '--from', 'gs://bucket'], 'USAGE.BAD_LOCATION'],
    ['a restore without --confirm', ['restore', 'latest'], 'USAGE.NEEDS_CONFIRM'],
  ])('exit with 2 for %s', (_, args, code) => {
    givenSet();

    expect(answerOf(...args)).toMatchObject({ status: 2, answer: { ok: false, error: { code } } });
  });

  it('load the heavy packages only where they are needed', async () => {
    const hook = path.join(fleet.root, 'report-packages.js');
    await writeFile(hook, REPORT_PACKAGES);
    const loadedBy = (...args: readonly string[]): readonly string[] => {
      const { stderr } = run(args, ['--require', hook]);
      return JSON.parse(/^packages (.*)$/m.exec(stderr)?.[1] ?? '');
    };
    const heavy = (names: readonly string[]) =>
      names.filter((name) =>
        /^@aws-sdk|^@smithy|^age-encryption|pglite|(engine|schema)-wasm|^libpg-query|^squawk/.test(name),
      );

    expect(heavy(loadedBy('status', '--help'))).toEqual([]);
    expect(heavy(loadedBy('backup', 'list'))).toEqual([]);
    expect(heavy(loadedBy('pitr', 'status'))).toEqual([]);
    expect(heavy(loadedBy('backup', 'list', '--from', 's3://bucket/sets'))).toContain('@aws-sdk/client-s3');
  });
});
