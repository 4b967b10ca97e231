/** @server any */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CTRL_C, openTerminal, testServerUrl } from '@azora/db-testkit';
import { copyCheckout } from './checkout-copy';

/** Nothing listens on port 1, so a download fails. */
const OFFLINE = { HTTPS_PROXY: 'http://127.0.0.1:1', HTTP_PROXY: 'http://127.0.0.1:1', npm_config_offline: 'true' };

describe('a new service', () => {
  const checkout = copyCheckout();
  const home = mkdtempSync(path.join(os.tmpdir(), 'azora-new-service-'));
  const { PATH = '', HOME = '' } = process.env;
  const environment = { PATH, HOME, ...OFFLINE, AZORA_HOME: home };
  const folder = path.join(checkout, 'services', 'billing');
  const bin = path.join(checkout, 'packages', 'fleet', 'bin', 'azora-db.js');

  const run = async (args: readonly string[], { cwd = checkout, env = {} } = {}) => {
    const child = spawn(process.execPath, args, { cwd, env: { ...environment, ...env } });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const exitCode = await new Promise((resolve) => child.once('close', resolve));
    return { exitCode, stdout, stderr };
  };
  const azoraDb = (...args: string[]) => run([bin, ...args]);
  const script = (name: string) => path.join(checkout, 'node_modules', name);
  const passes = async (args: readonly string[], options?: Parameters<typeof run>[1]) => {
    const { exitCode, stdout, stderr } = await run(args, options);
    if (exitCode !== 0) throw new Error(`${args.join(' ')} ended with ${exitCode}:\n${stdout}${stderr}`);
    return stdout;
  };

  afterAll(async () => {
    await azoraDb('server', 'stop');
    rmSync(checkout, { recursive: true, force: true });
    rmSync(home, { recursive: true, force: true });
  });

  it('does not exist after Ctrl-C, and every file is as it was', async () => {
    const registered = ['tsconfig.json', 'README.md', 'package-lock.json'].map((file) => path.join(checkout, file));
    const before = registered.map((file) => readFileSync(file, 'utf8'));
    const terminal = openTerminal([process.execPath, bin, 'service', 'new', 'billing'], {
      cwd: checkout,
      env: environment,
    });
    await terminal.waitFor(/writing its migrations/);
    terminal.type(CTRL_C);

    expect(await terminal.ended).toBe(130);
    expect(terminal.output()).toContain('billing: nothing was written; run "npm run service:new -- billing" again');
    expect(existsSync(folder)).toBe(false);
    expect(readdirSync(path.join(checkout, '.azora'))).toEqual([]);
    expect(registered.map((file) => readFileSync(file, 'utf8'))).toEqual(before);
  });

  it('is created without a download, and the generated documents are up to date', async () => {
    const { exitCode, stdout } = await azoraDb('service', 'new', 'billing');

    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: expect.stringContaining('npm test -- services/billing'),
    });
    expect(await azoraDb('docs', '--check')).toMatchObject({ exitCode: 0 });
    expect(await azoraDb('service', 'new', 'billing')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('[SERVICE.EXISTS]'),
    });
  });

  it('passes its own tests, the tests of the house and of the READMEs, and the linters without an edit', async () => {
    const jest = ['--maxWorkers=1', '--testNamePattern', 'billing|items|house|env.example'];
    const files = ['services/billing', 'tests/house', 'tests/readmes', 'packages/fleet/tests/compose'];
    await passes([script('jest/bin/jest.js'), ...files, ...jest], { env: { TEST_DATABASE_URL: testServerUrl().href } });
    await passes([
      script('@biomejs/biome/bin/biome'),
      'check',
      '--error-on-warnings',
      'services/billing',
      'tsconfig.json',
    ]);
    const types = { extends: './tsconfig.tests.json', include: ['services/billing/tests', 'services/billing/*.ts'] };
    writeFileSync(path.join(checkout, 'tsconfig.billing.json'), JSON.stringify(types));
    await passes([script('typescript/bin/tsc'), '-p', 'tsconfig.billing.json']);
    const rules = ['--config', '.dependency-cruiser.js', 'services/billing'];
    await passes([script('dependency-cruiser/bin/dependency-cruise.mjs'), ...rules]);
    await passes(['prose/lint.js', 'services/billing', 'README.md']);
  });

  it('is known to npm, whose lock file stays as it is', async () => {
    const lock = readFileSync(path.join(checkout, 'package-lock.json'), 'utf8');
    const npm = path.join(path.dirname(process.execPath), '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js');
    await passes([npm, 'install', '--package-lock-only', '--no-audit', '--no-fund', '--loglevel', 'error']);

    expect(readFileSync(path.join(checkout, 'package-lock.json'), 'utf8')).toBe(lock);
  });

  it('is migrated, verified, seeded and reported by every command', async () => {
    await passes([bin, 'setup', '--no-build', '--seed', '--service', 'auth,billing']);
    await passes([bin, 'migrate', 'verify', '--service', 'billing']);
    await passes([bin, 'migrate', 'lint', '--service', 'billing']);
    await passes([bin, 'migrate', 'drift', '--check', '--service', 'billing']);
    await passes([bin, 'seed', '--scale', '1', '--service', 'billing']);
    const { services } = JSON.parse(await passes([bin, 'status', '--check', '--json', '--service', 'billing']));

    expect(services[0]).toMatchObject({ service: 'billing', tables: { items: 2_003, audit_logs: 0 } });
  });

  it("is seeded by Prisma's seed command, in its folder and for all services of the command line", async () => {
    const [prisma, tsNode] = [script('prisma/build/index.js'), script('ts-node/dist/bin.js')];
    await passes([bin, 'seed', '--reset', '--yes', '--service', 'billing']);
    expect(await passes([prisma, 'db', 'seed'], { cwd: folder })).toContain('1 done');

    const output = await passes([tsNode, 'prisma/seed.ts', '--json', '--service', 'billing']);
    expect(JSON.parse(output)).toMatchObject({ ok: true });
  });

  it('is generated and built, alone, after a change of its schema', async () => {
    const schema = path.join(folder, 'prisma', 'schema.prisma');
    writeFileSync(schema, readFileSync(schema, 'utf8').replace('model Item {', 'model Item {\n  price Int?'));
    const generate = async () => JSON.parse(await passes([bin, 'generate', '--json']));
    const changed = (await generate()).services.filter((row: { generated: boolean; built: boolean }) => {
      return row.generated || row.built;
    });

    expect(changed).toEqual([{ service: 'billing', state: 'done', generated: true, built: true }]);
    const types = readFileSync(path.join(folder, 'dist', 'src', 'generated', 'models', 'Item.d.ts'), 'utf8');
    expect(types).toContain('price');

    writeFileSync(path.join(folder, 'src', 'wrong.ts'), "export const price: number = 'ten';\n");
    expect(await azoraDb('generate', '--service', 'billing')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('services/billing/src/wrong.ts'),
    });
  });
});
