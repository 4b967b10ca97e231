/** @server none */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import { REPOSITORY_ROOT } from './suite-fixture';

const SCRIPTS = path.join(REPOSITORY_ROOT, 'scripts', 'pitr');
/** The server's programs, in the directory where Debian installs them. */
const PROGRAMS = programsOfServer();

/** As in the container: separate directories for the scripts, the archive and the data, and the server's account. */
describe('scripts/pitr', () => {
  const place = mkdtempSync(path.join(os.tmpdir(), 'azora-pitr-'));
  const account = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--'] : [];
  const env = {
    PATH: `${PROGRAMS ?? ''}:${process.env['PATH'] ?? ''}`,
    LC_ALL: 'C.UTF-8',
    ARCHIVE: path.join(place, 'archive'),
    PGDATA: path.join(place, 'data'),
    PGHOST: '127.0.0.1',
    PGPORT: '',
    PGUSER: 'postgres',
  };
  const scripts = path.join(place, 'pitr');
  const command = (args: readonly string[]) => {
    const [program = '', ...rest] = [...account, ...args];
    const { status, stdout, stderr } = spawnSync(program, rest, { env, encoding: 'utf8', cwd: place });
    return { status, stdout, stderr };
  };
  const run = (...args: readonly string[]) => {
    const { status, stdout, stderr } = command(args);
    if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
  const sql = (text: string) => run('psql', '-XAtqc', text, 'postgres');
  const marks = () => sql('SELECT string_agg(name, chr(44) ORDER BY name) FROM mark');
  const start = () => {
    const pitr = parse(readFileSync(path.join(SCRIPTS, 'docker-compose.pitr.yml'), 'utf8'));
    const options = (pitr.services.postgres.command as readonly string[])
      .slice(1)
      .map((word) => (word === '-c' ? word : `'${word.replace('/pitr/', `${scripts}/`)}'`));
    const own = `-p ${env.PGPORT} -c listen_addresses=127.0.0.1 -c unix_socket_directories=${place}`;
    run('pg_ctl', '-w', '-l', path.join(place, 'log'), '-o', `${own} ${options.join(' ')}`, 'start');
  };
  /** Waits for the end of recovery: the server accepts reads before that, but no writes. */
  const startRecovered = () => {
    start();
    while (sql('SELECT pg_is_in_recovery()') === 't') run('sleep', '0.1');
  };
  const stop = () => run('pg_ctl', '-w', '-m', 'fast', 'stop');

  beforeAll(async () => {
    chmodSync(place, 0o777);
    cpSync(SCRIPTS, scripts, { recursive: true });
    env.PGPORT = String(await freePort());
  });
  afterAll(() => {
    if (existsSync(path.join(env.PGDATA, 'postmaster.pid'))) stop();
    rmSync(place, { recursive: true, force: true });
  });

  if (PROGRAMS === undefined) {
    it('report which program is missing', () => {
      expect(command(['sh', path.join(scripts, 'base.sh')])).toMatchObject({
        status: 127,
        stderr: expect.stringContaining('pg_basebackup'),
      });
    });
    return;
  }

  it('archive the log, make base backups and restore a server to a moment, then to a later one', () => {
    run('mkdir', env.ARCHIVE);
    run('initdb', '-A', 'trust', '-U', 'postgres');
    start();
    sql(`CREATE TABLE mark (name text); INSERT INTO mark VALUES ('a: before the base backup')`);
    const refused = command(['sh', path.join(scripts, 'restore.sh'), '2000-01-01 00:00:00+00']);
    run('sh', path.join(scripts, 'base.sh'));
    run('sleep', '1.1');
    sql(`INSERT INTO mark VALUES ('b: after it')`);
    const moment = sql('SELECT clock_timestamp()');
    sql(`INSERT INTO mark VALUES ('c: after the moment')`);
    const later = sql('SELECT clock_timestamp()');
    sql(`INSERT INTO mark VALUES ('d: last')`);

    expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('the server is running') });
    stop();
    expect(command(['sh', path.join(scripts, 'restore.sh'), 'the day before'])).toMatchObject({ status: 2 });
    expect(command(['sh', path.join(scripts, 'restore.sh'), '2000-01-01 00:00:00+00'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('no base backup is older'),
    });
    const untouched = readdirSync(env.ARCHIVE);
    run('sh', path.join(scripts, 'restore.sh'), moment);
    startRecovered();
    expect(marks()).toBe('a: before the base backup,b: after it');
    sql(`INSERT INTO mark VALUES ('e: on the new timeline')`);
    expect(untouched).not.toContain('replaced');

    stop();
    expect(command(['sh', path.join(scripts, 'restore.sh'), later, "1'"])).toMatchObject({ status: 2 });
    run('sh', path.join(scripts, 'restore.sh'), later, '1');
    startRecovered();
    expect(marks()).toBe('a: before the base backup,b: after it,c: after the moment');
    expect(readdirSync(path.join(env.ARCHIVE, 'replaced')).length).toBe(2);
  });

  it('keep the newest base backups and the log that they need', () => {
    for (let n = 0; n < 3; n += 1) {
      sql('SELECT pg_switch_wal()');
      run('sh', path.join(scripts, 'base.sh'), '2');
      run('sleep', '1.1');
    }

    const bases = readdirSync(path.join(env.ARCHIVE, 'base')).sort();
    expect(bases).toHaveLength(2);
    const label = readFileSync(path.join(env.ARCHIVE, 'base', bases[0] ?? '', 'backup_label'), 'utf8');
    const [, first = ''] = /file ([0-9A-F]{24})/.exec(label) ?? [];
    const segments = readdirSync(path.join(env.ARCHIVE, 'wal')).filter((name) => /^[0-9A-F]{24}$/.test(name));
    expect(segments.filter((name) => name.slice(8) < first.slice(8))).toEqual([]);
    expect(segments).toContain(first);
  });

  it('archive a segment once: the same content again succeeds, other content fails', () => {
    const part = path.join(place, 'part');
    writeFileSync(part, 'content');
    const archive = () => command(['sh', path.join(scripts, 'archive.sh'), part, '0000000A0000000000000001']);

    expect([archive().status, archive().status]).toEqual([0, 0]);
    writeFileSync(part, 'another');
    expect(archive().status).not.toBe(0);
    expect(readFileSync(path.join(env.ARCHIVE, 'wal', '0000000A0000000000000001'), 'utf8')).toBe('content');
  });
});

function programsOfServer(): string | undefined {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : [];
  const [newest] = versions.sort((left, right) => Number(right) - Number(left));
  const bin = `/usr/lib/postgresql/${newest ?? ''}/bin`;
  return existsSync(path.join(bin, 'initdb')) ? bin : undefined;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
