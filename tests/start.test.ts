/** @server none */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
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

interface Running {
  readonly stderr: () => string;
  readonly ended: Promise<number | null>;
  /** Resolves when the output contains the text, and rejects when the program ends before. */
  waitFor(text: string): Promise<void>;
  kill(...signals: readonly NodeJS.Signals[]): void;
}

function launch(args: readonly string[]): Running {
  const child = spawn(process.execPath, args, {
    cwd: clone.directory,
    env: clone.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = { stdout: '', stderr: '' };
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      printed[name] += chunk.toString();
      child.emit('printed');
    });
  }
  return {
    stderr: () => printed.stderr,
    ended,
    waitFor: (text) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (`${printed.stdout}${printed.stderr}`.includes(text)) resolve();
        };
        child.on('printed', check);
        child.once('close', () => reject(new Error(`it ended without "${text}": ${printed.stderr}`)));
        check();
      }),
    kill: (...signals) => {
      for (const signal of signals) child.kill(signal);
    },
  };
}

const inClone = (...parts: string[]) => path.join(clone.directory, ...parts);

describe('npm start', () => {
  it('announces the first start, and reports every phase with its duration', () => {
    const first = run(SETUP);
    const second = run(SETUP);

    expect(first).toMatchObject({ status: 0, stdout: 'tool: setup --seed\n' });
    expect(first.stderr).toMatch(
      /^First start: [\s\S]*\ninstalling the npm packages\ninstalled the npm packages in [\d.]+ m?s\n/,
    );
    expect(first.stderr).toMatch(/\ncompiling\ncompiled in [\d.]+ m?s\n$/);
    expect(second).toMatchObject({ status: 0, stderr: expect.stringMatching(/^compiling\ncompiled in [\d.]+ m?s\n$/) });
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

  it.each<[string, readonly NodeJS.Signals[]]>([
    ['SIGTERM', ['SIGTERM']],
    ['SIGHUP', ['SIGHUP']],
    // A Ctrl-C reaches the script from the terminal and from npm. Two pending signals of the same kind would be one.
    ['two signals at once', ['SIGINT', 'SIGTERM']],
  ])('by %s does the same', async (_, signals) => {
    clone.hold('tsc');
    const running = launch(SETUP);
    await running.waitFor('compiling');
    running.kill(...signals);

    expect(await running.ended).toBe(130);
    expect(running.stderr()).toContain('Run "node scripts/db-setup.js setup --seed" to continue');
    expect(existsSync(inClone('.azora', 'setup.lock'))).toBe(false);
  });

  it('ends the process at once only when a person repeats it', () => {
    const { listen } = require('../scripts/interrupt.js') as {
      listen: (onSecond: () => void) => { signal: AbortSignal; release: () => void };
    };
    const now = jest.spyOn(performance, 'now').mockReturnValue(1_000);
    const exit = jest.spyOn(process, 'exit').mockReturnValue(undefined as never);
    const onSecond = jest.fn();
    const { signal, release } = listen(onSecond);
    try {
      process.emit('SIGINT', 'SIGINT');
      now.mockReturnValue(1_400);
      process.emit('SIGINT', 'SIGINT');
      now.mockReturnValue(9_000);
      process.emit('SIGHUP', 'SIGHUP');
      expect({ aborted: signal.aborted, second: onSecond.mock.calls.length }).toEqual({ aborted: true, second: 0 });
      process.emit('SIGINT', 'SIGINT');
      expect(onSecond).toHaveBeenCalledTimes(1);
      expect(exit).toHaveBeenCalledWith(130);
    } finally {
      release();
      now.mockRestore();
      exit.mockRestore();
    }
  });

  it('while another start has the lock leaves it to that start', async () => {
    clone.hold('npm');
    const terminals = [0, 1].map(() =>
      openTerminal([process.execPath, ...SETUP], { cwd: clone.directory, env: clone.env }),
    );
    const waits = /waiting for another setup or build of this checkout/;
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

  it('ignores what an editor leaves beside the sources, and runs without a package-lock.json', () => {
    run(SETUP);
    symlinkSync('someone@host.1234:1700000000', inClone('packages', 'core', 'src', '.#index.ts'));
    expect(run(STATUS)).toMatchObject({ status: 0, stdout: 'tool: status\n', stderr: '' });
    rmSync(inClone('package-lock.json'));
    expect(run(STATUS)).toMatchObject({ status: 0, stdout: 'tool: status\n', stderr: '' });
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

describe('npm run build', () => {
  const BUILD = ['scripts/build.js'];
  /** Stands in for a part of the build; it fails unless its parent process has the lock of the checkout. */
  const PART = `
    const { readFileSync } = require('node:fs');
    const owners = JSON.parse(readFileSync('.azora/setup.lock', 'utf8')).map(({ pid }) => pid);
    if (!owners.includes(process.ppid)) throw new Error('the build does not have the lock');
  `;

  beforeEach(() => {
    mkdirSync(inClone('prisma'));
    mkdirSync(inClone('packages', 'studio'));
    writeFileSync(inClone('prisma', 'generate.js'), PART);
    writeFileSync(inClone('packages', 'studio', 'build.js'), PART);
    spawnSync('npm', ['ci'], { cwd: clone.directory, env: clone.env });
  });

  it.each([
    ['by hand', BUILD, /\nbundled the studio in [\d.]+ m?s\n$/],
    ['as a part of db:studio', ['scripts/db-studio.js'], /^tool: studio\n$/],
  ])('%s has the lock of the checkout while it builds', (_, command, stdout) => {
    expect(run(command)).toMatchObject({ status: 0, stdout: expect.stringMatching(stdout) });
    expect(existsSync(inClone('.azora', 'setup.lock'))).toBe(false);
  });

  it('waits for a start that compiles', async () => {
    clone.hold('tsc');
    const first = launch(SETUP);
    await first.waitFor('compiling');
    const build = launch(BUILD);
    await build.waitFor('waiting for another setup or build of this checkout');
    first.kill('SIGTERM');
    await first.ended;
    await build.waitFor('compiling packages/fleet');
    build.kill('SIGINT', 'SIGTERM');

    expect(await build.ended).toBe(130);
    expect(build.stderr()).toContain('Interrupted. Run "node scripts/build.js" to continue\n');
    expect(existsSync(inClone('.azora', 'setup.lock'))).toBe(false);
  });

  it('builds when a file of the studio disappears meanwhile', () => {
    mkdirSync(inClone('packages', 'studio', 'dist'));
    writeFileSync(inClone('packages', 'studio', 'dist', 'LICENSE'), '');

    // The studio of this clone has no sources.
    expect(run(BUILD)).toMatchObject({ status: 0, stderr: '' });
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
