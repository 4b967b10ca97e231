/** @server none */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import Ajv from 'ajv';
import { parse } from 'yaml';
import { findServices } from '../src/config/registry';
import { urlVariable } from '../src/config/settings';
import { REPOSITORY_ROOT } from './suite-fixture';

interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

interface ComposeService {
  readonly image: string;
  readonly ports: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly healthcheck?: unknown;
  readonly depends_on?: unknown;
  readonly volumes?: readonly string[];
}

const read = (...parts: string[]) => readFileSync(path.join(REPOSITORY_ROOT, ...parts), 'utf8');
const text = read('docker-compose.yml');
const compose: ComposeFile = parse(text);
const services = Object.entries(compose.services);

// The linter ships the schema of the specification, which uses custom formats and no strict types.
const linter = path.dirname(require.resolve('dclint/package.json'));
const schema = JSON.parse(readFileSync(path.join(linter, 'schemas', 'compose.schema.json'), 'utf8'));
// ajv does not know the https address by which the schema names its draft.
const validate = new Ajv({ strict: false, validateFormats: false }).compile({ ...schema, $schema: undefined });

describe('docker-compose.yml', () => {
  it('is valid according to the Compose Specification', () => {
    validate(compose);
    expect(validate.errors ?? []).toEqual([]);
    expect(validate({ ...compose, services: { postgres: { imagee: 'postgres' } } })).toBe(false);
  });

  it.each(services)('publishes %s only on the loopback address', (_, { ports }) => {
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  it.each(services)('pins the version of %s and has a health check for it', (_, { image, healthcheck }) => {
    expect(image).toMatch(/^[a-z]+\/[a-z]+:(?!latest)\w*\d[\w.-]*$/);
    expect(healthcheck).toBeDefined();
  });

  it('has pgvector, keeps its data in a named volume and does not start without a password', () => {
    const { image, volumes, environment } = compose.services['postgres'] ?? {};

    expect(image).toBe('pgvector/pgvector:pg17');
    expect(volumes).toEqual(['postgres-data:/var/lib/postgresql/data']);
    expect(Object.keys(compose.volumes)).toEqual(['postgres-data']);
    expect(environment?.['POSTGRES_PASSWORD']).toMatch(/^\$\{POSTGRES_PASSWORD:\?.+\}$/);
  });

  it('pools transactions after the server is healthy', () => {
    const { environment, depends_on: dependsOn } = compose.services['pgbouncer'] ?? {};

    expect(environment?.['POOL_MODE']).toBe('transaction');
    expect(dependsOn).toEqual({ postgres: { condition: 'service_healthy' } });
  });
});

describe('scripts/pitr', () => {
  it('has a second compose file that is valid and has a volume for the archive', () => {
    const pitr: ComposeFile = parse(read('scripts', 'pitr', 'docker-compose.pitr.yml'));

    validate(pitr);

    expect(validate.errors ?? []).toEqual([]);
    expect(Object.keys(pitr.volumes)).toEqual(['archive']);
    expect(pitr.services['postgres']?.volumes).toContain('archive:/archive');
  });
});

describe('scripts/events', () => {
  it('has a second compose file that is valid and adds a broker that keeps its events', () => {
    const events: ComposeFile = parse(read('scripts', 'events', 'docker-compose.nats.yml'));

    validate(events);

    expect(validate.errors ?? []).toEqual([]);
    const { image, ports, volumes, healthcheck } = events.services['nats'] ?? {};
    expect(image).toMatch(/^nats:\d+\.\d+-alpine$/);
    expect(ports?.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
    expect(volumes).toEqual(['nats-data:/data']);
    expect(healthcheck).toBeDefined();
    expect(Object.keys(events.volumes)).toEqual(['nats-data']);
    expect(JSON.stringify(Object(events)['configs'])).toContain('sync_interval: always');
  });
});

describe('scripts/schedule', () => {
  it('has a second compose file that is valid and adds a backup service next to the server', () => {
    const schedule: ComposeFile = parse(read('scripts', 'schedule', 'docker-compose.backup.yml'));

    validate(schedule);

    expect(validate.errors ?? []).toEqual([]);
    const { depends_on: dependsOn, volumes } = schedule.services['backup'] ?? {};
    expect(Object.keys(Object(dependsOn))).toEqual(['postgres']);
    expect(volumes).toContain('backups:/backups');
    expect(Object.keys(schedule.volumes)).toEqual(['backups']);
  });

  it('runs the same existing commands in every schedule', () => {
    const scripts = JSON.parse(read('package.json')).scripts as Readonly<Record<string, string>>;
    const files = ['crontab', 'azora-backup.service', 'docker-compose.backup.yml'];

    const commands = files.map((file) =>
      [...read('scripts', 'schedule', file).matchAll(/npm run -s ([^&#\n]+)/g)].map(([, text = '']) => text.trim()),
    );

    expect(commands).toEqual(Array(3).fill(['db:backup -- --fence --verify', 'db:backup:prune -- --yes']));
    expect(commands.flat().filter((text) => scripts[text.split(' ')[0] ?? ''] === undefined)).toEqual([]);
  });
});

describe('scripts/schedule/crontab', () => {
  const lines = read('scripts', 'schedule', 'crontab').split('\n');
  const command = lines.find((line) => line.endsWith('| crontab -'))?.slice(1) ?? '';
  const job = lines.find((line) => /^\d/.test(line)) ?? '';
  const foreign = '# backups of another program\n30 2 * * * /usr/bin/other # azora-backup of another user\n';

  it.each([
    ['keeps the entries of other programs', foreign, `${foreign}${job}\n`],
    ['changes nothing the second time', `${foreign}${job}\n`, `${foreign}${job}\n`],
    [
      'replaces an older line',
      `0 1 * * * cd /old && npm run db:backup # azora-backup\n${foreign}`,
      `${foreign}${job}\n`,
    ],
    ['installs the first entry of an account', undefined, `${job}\n`],
  ])('%s', async (_, before, after) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'azora-crontab-'));
    const table = path.join(folder, 'table');
    if (before !== undefined) await writeFile(table, before);
    // Like cron's program: -l fails without a table, and - replaces it with the input.
    const program = `#!/bin/sh\ncase $1 in -l) cat '${table}' ;; -) new=$(cat); printf '%s\\n' "$new" >'${table}' ;; esac\n`;
    await writeFile(path.join(folder, 'crontab'), program, { mode: 0o755 });

    const env = { PATH: `${folder}${path.delimiter}${process.env['PATH']}` };
    const { status } = spawnSync('sh', ['-c', command], { cwd: REPOSITORY_ROOT, env });

    expect({ status, table: readFileSync(table, 'utf8') }).toEqual({ status: 0, table: after });
    await rm(folder, { recursive: true });
  });
});

/** Set by a desktop for programs that open windows. */
const OF_THE_DESKTOP = ['DISPLAY', 'WAYLAND_DISPLAY'];

describe('.env.example', () => {
  it('lists exactly the variables that the code and docker-compose.yml read', async () => {
    const ofServices = (await findServices(REPOSITORY_ROOT)).map(({ name }) => urlVariable(name));
    const ofCompose = [...text.matchAll(/\$\{(\w+)/g)].map(([, name = '']) => name);
    const expected = [
      ...ofServices,
      ...ofCompose,
      ...variablesIn('packages/core/src'),
      ...variablesIn('packages/events/src'),
      ...variablesIn('packages/fleet/src'),
    ].filter((name) => !OF_THE_DESKTOP.includes(name));

    expect(
      documented()
        .map(({ name }) => name)
        .sort(),
    ).toEqual([...new Set(expected)].sort());
  });

  it('describes each variable in the line above it', () => {
    expect(documented().filter(({ comment }) => !/^# [A-Z].+\.$/.test(comment))).toEqual([]);
  });

  it('has no effect when it is copied without changes', () => {
    const active = read('.env.example')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(active).toEqual([]);
  });
});

function documented(): readonly { readonly name: string; readonly comment: string }[] {
  const lines = read('.env.example').split('\n');
  return lines.flatMap((line, index) => {
    const name = /^#?([A-Z][A-Z0-9_]*)=/.exec(line)?.[1];
    return name === undefined ? [] : [{ name, comment: lines[index - 1] ?? '' }];
  });
}

/** The variables that the sources read by name. Variables that derive from the name of a service are not among them. */
function variablesIn(folder: string): readonly string[] {
  const root = path.join(REPOSITORY_ROOT, folder);
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.flatMap((file) =>
    [...read(folder, file).matchAll(/(?:\benv(?:ironment)?\[|\bparse\()'([A-Z][A-Z0-9_]+)'/g)].map(
      ([, name = '']) => name,
    ),
  );
}
