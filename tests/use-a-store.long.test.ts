/** @server any */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseEnv } from 'node:util';
import { repositoryRoot } from '@azora/db-testkit';
import { Client } from 'pg';
import { azoraDb } from './cli';

type Environment = Readonly<Record<string, string>>;

const root = repositoryRoot();
const page = readFileSync(path.join(root, 'docs', 'USE-A-STORE.md'), 'utf8');
const server = process.env['TEST_DATABASE_URL'] ?? '';

describe('a store in a service of its own', () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'azora-use-'));
  const service = path.join(directory, 'service');
  const prefix = `azt_use_${randomBytes(4).toString('hex')}_`;
  const { PATH = '', HOME = '' } = process.env;
  /** The toolkit runs in the checkout, with a home and databases of its own. */
  const toolkit = {
    ...{ PATH, HOME, SERVICE: service, DATABASE_URL: server, AZORA_DB_PREFIX: prefix },
    AZORA_HOME: path.join(directory, 'home'),
  };
  beforeAll(() => {
    mkdirSync(service);
    writeFileSync(path.join(service, 'package.json'), JSON.stringify({ name: 'service', private: true }));
    const [pack = '', setup = ''] = blocksOf('bash').map(({ text }) => text);
    // The checkout is built: a build beside other tests would replace the code that they run.
    bash(pack.replace('npm run build\n', ''), toolkit);
    bash(setup.replace('-- --service', '-- --no-build --service'), toolkit);
  });
  afterAll(async () => {
    const admin = new Client({ connectionString: server });
    await admin.connect();
    await admin.query(`DROP DATABASE IF EXISTS ${prefix}mint WITH (FORCE)`);
    await admin.query(`DROP ROLE IF EXISTS ${prefix}mint_app`);
    await admin.end();
    rmSync(directory, { recursive: true });
  });

  it('gets both URLs from the commands of the page', () => {
    const urls = parseEnv(readFileSync(path.join(service, '.env'), 'utf8'));

    expect(new URL(urls['MINT_DATABASE_URL'] ?? '').username).toBe(`${prefix}mint_app`);
    expect(new URL(urls['MINT_ADMIN_URL'] ?? '').pathname).toBe(`/${prefix}mint`);
  });

  it.each([
    ['app.mjs', '0\n'],
    ['app.cjs', 'AZR\n'],
    ['migrate.cjs', 'applied 0 migrations\n'],
    ['pool.mjs', '10\n'],
  ])('%s of the page runs', (name, printed) => {
    const program = blocksOf('js').find(({ title }) => title === name)?.text ?? '';
    writeFileSync(path.join(service, name), program);

    const { status, stdout, stderr } = spawnSync(process.execPath, ['--env-file=.env', name], {
      cwd: service,
      env: { PATH },
      encoding: 'utf8',
    });

    // A busy server may be slow, and the store says so.
    const errors = stderr.replace(/^slow query \{\n( .*\n)*\}\n/gm, '');
    expect({ status, stdout, errors }).toEqual({ status: 0, stdout: printed, errors: '' });
  });

  it('the page has no program that is not run here', () => {
    expect(blocksOf('js').map(({ title }) => title)).toEqual(['app.mjs', 'app.cjs', 'migrate.cjs', 'pool.mjs']);
    expect(blocksOf('bash')).toHaveLength(2);
  });

  it('the steps of the Dockerfile make a service that migrates, answers and stops', async () => {
    const context = path.join(directory, 'context');
    cpSync(path.join(root, 'examples', 'mint-service'), context, { recursive: true });
    cpSync(path.join(service, 'vendor'), path.join(context, 'vendor'), { recursive: true });
    const image = runDockerfile(context, path.join(directory, 'image'), { PATH, HOME });

    const container = spawn(image.command[0] ?? '', [`--env-file=${service}/.env`, ...image.command.slice(1)], {
      cwd: image.folder,
      env: { PATH, ...image.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const lines = linesOf(container);
      expect(await lines.next()).toBe('applied 0 migrations');
      const address = /"port":(\d+)/.exec(await lines.next())?.[1] ?? '';
      const url = `http://127.0.0.1:${address}/wallets`;
      const opened = (await (await fetch(`${url}?user=user-eve`, { method: 'POST' })).json()) as { id: string };
      const read = await fetch(`${url}/${opened.id}`);
      const missing = await fetch(`${url}/nothing`);
      const invalid = await fetch(url, { method: 'POST' });

      expect(await read.json()).toMatchObject({ id: opened.id, userId: 'user-eve', balance: '0' });
      expect([read.status, missing.status, invalid.status]).toEqual([200, 404, 400]);
      container.kill('SIGTERM');
      expect(await lines.next()).toBe('stopped');
    } finally {
      container.kill('SIGKILL');
    }
  });

  it('the toolkit sees what the service wrote', async () => {
    const { exitCode, stdout } = await azoraDb(['status', '--service', 'mint', '--json'], { env: toolkit });

    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout).services[0].tables.wallets).toBe(11);
  });
});

/** The code blocks of a language on the page; `title` is the word after the language. */
function blocksOf(language: string): readonly { readonly title: string; readonly text: string }[] {
  const blocks = page.matchAll(new RegExp(`^\`\`\`${language}(?: (\\S+))?\\n([\\s\\S]*?)^\`\`\`$`, 'gm'));
  return [...blocks].map(([, title = '', text = '']) => ({ title, text }));
}

function bash(script: string, env: Environment, cwd = root): string {
  const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
    cwd,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${script}\nexited with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

interface Stage {
  readonly folder: string;
  readonly env: Record<string, string>;
  command: readonly string[];
}

/** Does what a build of the Dockerfile does, with a folder per stage in place of a file system. Returns the last stage. */
function runDockerfile(context: string, target: string, environment: Environment): Stage {
  const stages = new Map<string, Stage>([['the context', { folder: context, env: {}, command: [] }]]);
  const current = (): Stage => [...stages.values()].at(-1) ?? { folder: context, env: {}, command: [] };
  const instructions: Readonly<Record<string, (rest: string) => unknown>> = {
    FROM: (rest) => {
      const folder = path.join(target, String(stages.size));
      mkdirSync(folder, { recursive: true });
      stages.set(rest.split(' ')[2] ?? '', { folder, env: {}, command: [] });
    },
    COPY: (rest) => {
      const [, stage = 'the context', files = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? [];
      const names = files.split(' ').map((name) => name.replace('/app/', ''));
      const to = names.pop() ?? '';
      for (const name of names) {
        const file = to.endsWith('/') ? path.join(to, path.basename(name)) : to;
        const from = path.join(stages.get(stage)?.folder ?? '', name);
        cpSync(from, path.join(current().folder, file), { recursive: true });
      }
    },
    RUN: (rest) => bash(rest, environment, current().folder),
    ENV: (rest) => Object.assign(current().env, Object.fromEntries([rest.split('=')])),
    CMD: (rest) => Object.assign(current(), { command: JSON.parse(rest) }),
    WORKDIR: () => undefined,
    USER: () => undefined,
    EXPOSE: () => undefined,
  };
  const file = readFileSync(path.join(context, 'Dockerfile'), 'utf8');
  for (const [, instruction = '', rest = ''] of file.matchAll(/^([A-Z]+) (.*)$/gm)) {
    const run = instructions[instruction];
    if (run === undefined) throw new Error(`the test does not know the instruction ${instruction}`);
    run(rest);
  }
  return current();
}

function linesOf(child: ChildProcess): { readonly next: () => Promise<string> } {
  if (child.stdout === null) throw new Error('the output is not a pipe');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    next: async () => {
      const { value, done } = await lines.next();
      return done === true ? 'the service ended' : String(value);
    },
  };
}
