import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CTRL_C, openTerminal, repositoryRoot } from '@azora/db-testkit';
import { type Clone, makeClone, PACKAGES } from './clone-fixture';

const SETUP = ['scripts/db-setup.js', 'setup', '--seed'];
/** The variables that npm sets for the script `start`. */
const NPM_START = { npm_lifecycle_event: 'start', npm_lifecycle_script: `node ${SETUP.join(' ')}` };

let clone: Clone;
beforeEach(() => {
  clone = makeClone();
});
afterEach(() => clone.remove());

function run(args: readonly string[], { cwd = clone.directory, env = {} } = {}) {
  return spawnSync(process.execPath, args, { cwd, env: { ...clone.env, ...env }, encoding: 'utf8' });
}

const inClone = (...parts: string[]) => path.join(clone.directory, ...parts);

describe('npm start', () => {
  it('announces the first start, and reports every phase with its duration', () => {
    const first = run(SETUP);
    const second = run(SETUP);

    expect(first).toMatchObject({ status: 0, stdout: 'tool: setup --seed\n' });
    expect(first.stderr).toMatch(
      /^First start: [\s\S]*\ninstalling the npm packages\ninstalled the npm packages in [\d.]+ s\n/,
    );
    expect(first.stderr).toMatch(/\ncompiling\ncompiled in [\d.]+ s\n$/);
    expect(second).toMatchObject({ status: 0, stderr: expect.stringMatching(/^compiling\ncompiled in [\d.]+ s\n$/) });
    expect(clone.installations()).toBe(1);
  });

  it('does not install again after npm ci by hand', () => {
    spawnSync('npm', ['ci'], { cwd: clone.directory, env: clone.env });
    const { status, stderr } = run(SETUP, { env: { CI: 'true' } });

    expect({ status, installs: clone.installations() }).toEqual({ status: 0, installs: 1 });
    expect(stderr).not.toContain('installing');
  });

  it.each<[string, () => void]>([
    ['npm ci was killed', () => rmSync(inClone('node_modules', '.package-lock.json'))],
    ['the record is cut off', () => writeFileSync(inClone('node_modules', '.package-lock.json'), '{"packages": {')],
    ['a package is gone', () => rmSync(inClone('node_modules', 'pg'), { recursive: true })],
    [
      'a version changed',
      () => clone.writeLock({ ...PACKAGES, 'node_modules/pg': { version: '8.24.0', integrity: 'sha512-c' } }),
    ],
    [
      'this system needs an optional package that is not installed',
      () =>
        clone.writeLock({
          ...PACKAGES,
          'node_modules/server': { version: '1.0.0', optional: true, os: [process.platform], cpu: [process.arch] },
        }),
    ],
  ])('installs again when %s', (_, damage) => {
    run(SETUP);
    damage();

    expect(run(SETUP).status).toBe(0);
    expect(clone.installations()).toBe(2);
  });

  it('prints the output of a failed program and the command that continues', () => {
    writeFileSync(inClone('tsc-stand-in.js'), `console.log('src/a.ts(1,1): error TS1005'); process.exitCode = 1;`);
    const { status, stderr, stdout } = run(SETUP, { env: NPM_START });

    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(
      /src\/a\.ts\(1,1\): error TS1005\nerror: the compilation failed\nfix: .*"npm start" then continues/,
    );
  });
});

describe('an interrupt', () => {
  const left = { npm: 'The npm packages are not completely installed', tsc: 'the suite is not completely compiled' };
  const shown = { npm: /installing the npm packages: 1 of 2/, tsc: /compiling: packages\/fleet/ };

  it.each(['npm', 'tsc'] as const)(
    'on a terminal while %s runs ends it, and the next start continues',
    async (program) => {
      clone.hold(program);
      const terminal = openTerminal([process.execPath, ...SETUP, '--service', 'mint'], {
        cwd: clone.directory,
        env: { ...clone.env, ...NPM_START },
      });
      try {
        await terminal.waitFor(shown[program]);
        terminal.type(CTRL_C);

        expect(await terminal.ended).toBe(130);
      } finally {
        await terminal.close();
      }
      expect(terminal.output()).toContain('Interrupted. ');
      expect(terminal.output()).toContain(left[program]);
      expect(terminal.output()).toContain('Run "npm start -- --service mint" to continue');
      expect(existsSync(inClone('.azora', 'setup.lock'))).toBe(false);
      clone.letGo(program);
      expect(run(SETUP)).toMatchObject({ status: 0, stdout: 'tool: setup --seed\n' });
    },
  );

  it.each(['SIGTERM', 'SIGHUP'] as const)('by %s does the same', async (signal) => {
    clone.hold('tsc');
    const child = spawn(process.execPath, SETUP, {
      cwd: clone.directory,
      env: clone.env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    await new Promise<void>((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk.toString();
        if (stderr.includes('compiling')) resolve();
      });
    });
    child.kill(signal);

    expect(await ended).toBe(130);
    expect(stderr).toContain('Run "node scripts/db-setup.js setup --seed" to continue');
    expect(existsSync(inClone('.azora', 'setup.lock'))).toBe(false);
  });

  it('while another start has the lock leaves it to that start', async () => {
    clone.hold('npm');
    const terminals = [0, 1].map(() =>
      openTerminal([process.execPath, ...SETUP], { cwd: clone.directory, env: clone.env }),
    );
    const waits = /waiting for another setup of this checkout/;
    try {
      const waiting = await Promise.any(
        terminals.map(async (terminal, index) => {
          await terminal.waitFor(waits);
          return index;
        }),
      );
      terminals[waiting]?.type(CTRL_C);

      expect(await terminals[waiting]?.ended).toBe(130);
      expect(terminals[waiting]?.output()).toContain('Interrupted. Nothing was changed');
      expect(existsSync(inClone('.azora', 'setup.lock'))).toBe(true);
      terminals[1 - waiting]?.type(CTRL_C);
      expect(await terminals[1 - waiting]?.ended).toBe(130);
    } finally {
      await Promise.all(terminals.map((terminal) => terminal.close()));
    }
  });
});

describe('npm run db:…', () => {
  const STATUS = ['scripts/azora-db.js', 'status'];

  it('says what to do before the first start', () => {
    const expected = (missing: string) => ({
      status: 2,
      stdout: '',
      stderr: `error: the suite is not set up: its packages are not ${missing}\nfix:   run "npm start" first\n`,
    });

    expect(run(STATUS)).toMatchObject(expected('installed'));
    spawnSync('npm', ['ci'], { cwd: clone.directory, env: clone.env });
    expect(run(STATUS)).toMatchObject(expected('compiled'));
  });

  it('warns when a pull changed the packages or the toolkit, and runs', () => {
    run(SETUP);
    const later = new Date(Date.now() + 60_000);
    const ran = { status: 0, stdout: 'tool: status\n' };

    expect(run(STATUS)).toMatchObject({ ...ran, stderr: '' });
    utimesSync(inClone('package-lock.json'), later, later);
    expect(run(STATUS)).toMatchObject({ ...ran, stderr: '' });
    utimesSync(inClone('packages', 'core', 'src', 'index.ts'), later, later);
    expect(run(STATUS)).toMatchObject({ ...ran, stderr: expect.stringContaining('the toolkit changed') });
    clone.writeLock({ ...PACKAGES, 'node_modules/pg': { version: '9.0.0' } });
    utimesSync(inClone('package-lock.json'), later, later);
    expect(run(STATUS)).toMatchObject({ ...ran, stderr: expect.stringContaining('package-lock.json changed') });
  });

  it('starts with a script that needs no installed package', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(repositoryRoot(), 'package.json'), 'utf8'));
    const commands = Object.entries<string>(scripts).filter(([name]) => /^(start|test|db:)/.test(name));

    expect(commands.length).toBeGreaterThan(20);
    for (const [name, command] of commands) {
      const [, file] = /^node (scripts\/[a-z-]+\.js)( |$)/.exec(command) ?? [];
      expect({ name, exists: file !== undefined && existsSync(path.join(repositoryRoot(), file)) }).toEqual({
        name,
        exists: true,
      });
    }
  });
});

describe('scripts/*.sh', () => {
  it.each(['setup', 'backup', 'restore'])('db-%s.sh works from any directory, through a symbolic link', (name) => {
    run(SETUP);
    const link = path.join(path.dirname(clone.link), name);
    symlinkSync(path.join(clone.link, 'scripts', `db-${name}.sh`), link);

    const { status, stdout, stderr } = spawnSync('sh', [link, '--service', 'a b'], {
      cwd: '/',
      env: clone.env,
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: `tool: ${name} --service a b\n` });
    expect(stderr).not.toContain('installing');
  });
});
