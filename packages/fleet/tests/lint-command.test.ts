/** @server any */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { azoraDb } from '../../../tests/cli';
import { findServices } from '../src/config/registry';
import { lintServices } from '../src/operations/migrations/lint';
import { EXCLUDED_SQUAWK_RULES, findSquawk, runSquawk, SQUAWK_RULES } from '../src/postgres/analysis/lint/squawk';
import { lintText } from '../src/render/migrations';
import { emptyCheckout, findingsOf, givenCheckout, INIT, removeCheckouts, TIMEOUT } from './lint-fixture';
import { failureOf } from './migrations-fixture';

afterAll(removeCheckouts);

describe('the place of a finding', () => {
  const up = [
    '-- Ünïcödé 😀',
    `${TIMEOUT}SELECT '😀é', 'ÿ'; CREATE INDEX i ON users (id); ALTER TABLE users DROP COLUMN "é😀", DROP COLUMN x;`,
    '/* 😀 */ ALTER TABLE users ALTER COLUMN name TYPE varchar(3); DROP FUNCTION f();',
  ].join('\n');

  it.each([
    ['\n', 0],
    ['\r\n', 0],
    ['\n', 1],
  ])(
    'counts lines and characters from 1, also after multibyte characters (line end %j, byte order mark %i)',
    async (end, mark) => {
      const text = `${mark === 1 ? '\uFEFF' : ''}${up.replaceAll('\n', end)}`;
      const findings = await findingsOf([INIT, { up: text }]);

      const columnOf = (line: number, what: string) => {
        const text = up.split('\n')[line - 1] ?? '';
        return [...text.slice(0, text.indexOf(what))].length + 1;
      };

      expect(findings.map(({ line, column, rule }) => [line, column, rule])).toEqual([
        [3, columnOf(3, 'CREATE'), 'index-not-concurrent'],
        [3, columnOf(3, 'DROP'), 'ban-drop-column'],
        [3, columnOf(3, 'DROP COLUMN x'), 'ban-drop-column'],
        [4, columnOf(4, 'TYPE'), 'changing-column-type'],
        [4, columnOf(4, 'DROP'), 'drops-unmanaged'],
      ]);
    },
  );

  it('is shown with a caret, the path from the root and advice', async () => {
    const root = await givenCheckout([INIT, { up: `${TIMEOUT}SELECT 'é'; DROP FUNCTION f();` }]);
    const report = await lintServices(root, await findServices(root));

    expect(
      lintText(report),
    ).toBe(`shop: services/shop/prisma/migrations/20260101000001_step/migration.sql:2:13 warning drops-unmanaged
  This drops the function f, which schema.prisma cannot express, so no check will report its absence.
  2 | SELECT 'é'; DROP FUNCTION f();
                  ^
  → Keep it, make it again in this file, or give the reason above the statement.

To accept a finding, add a line above the statement: -- lint-ignore <rule>: <reason>
linted 4 files of 2 migrations: 1 finding`);
  });
});

describe('squawk', () => {
  it('reports a system without a squawk package', async () => {
    expect(await failureOf(Promise.resolve().then(() => findSquawk('sunos-sparc')))).toMatchObject({
      code: 'LINT.NO_SQUAWK',
      next: expect.stringContaining('npm install'),
    });
  });

  it('ends when the command is interrupted', async () => {
    const interrupted = new AbortController();
    const linted = runSquawk([{ sql: 'SELECT 1;\n'.repeat(100_000), transactional: true }], interrupted.signal);
    interrupted.abort(new Error('Ctrl-C'));

    await expect(linted).rejects.toThrow('Ctrl-C');
  });

  it('has every rule that the suite names', () => {
    const known = (rules: readonly string[]) =>
      execFileSync(findSquawk(), ['--exclude', rules.join(','), '--no-error-on-unmatched-pattern', 'none.sql'], {
        stdio: 'pipe',
      });

    expect(() => known([...SQUAWK_RULES, ...EXCLUDED_SQUAWK_RULES])).not.toThrow();
    expect(() => known(['no-such-rule'])).toThrow('no-such-rule');
  });
});

describe('azora-db migrate lint', () => {
  const env = { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' };

  it('finds nothing in the suite, without a database', async () => {
    expect(await azoraDb(['migrate', 'lint'], { env })).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(/^linted \d+ files of \d+ migrations: no findings\n$/),
      stderr: '',
    });
  });

  const planted = [
    ['a dangerous lock', 'ALTER TABLE wallets ADD CONSTRAINT planted CHECK (id IS NOT NULL);', 'lock-timeout-missing'],
    ['an index that stops writers', `${TIMEOUT}CREATE INDEX planted ON wallets (id);`, 'index-not-concurrent'],
    ['a lost trigger function', `${TIMEOUT}DROP FUNCTION refuse_change();`, 'drops-unmanaged'],
  ] as const;

  it.each(planted)('finds %s that is added to a real service', async (_title, sql, rule) => {
    const root = await emptyCheckout();
    for (const service of ['mint', 'workflow']) {
      for (const part of ['package.json', 'prisma']) {
        const from = path.join(repositoryRoot(), 'services', service, part);
        await cp(from, path.join(root, 'services', service, part), { recursive: true });
      }
    }
    const lint = (...args: string[]) => azoraDb(['migrate', 'lint', '--json', ...args], { env, cwd: root });
    expect(await lint()).toEqual({ exitCode: 0, stdout: expect.stringContaining('"ok": true'), stderr: '' });
    const migration = '20990101000000_planted';
    const folder = path.join(root, 'services', 'mint', 'prisma', 'migrations', migration);
    await mkdir(folder);
    await writeFile(path.join(folder, 'migration.sql'), sql);
    await writeFile(path.join(folder, 'down.sql'), 'SELECT 1;');

    const { exitCode, stdout } = await lint();

    expect(exitCode).toBe(4);
    const { ok, findings } = JSON.parse(stdout);
    expect(ok).toBe(false);
    expect(findings).toContainEqual({
      service: 'mint',
      migration,
      file: `services/mint/prisma/migrations/${migration}/migration.sql`,
      line: sql.startsWith('SET') ? 2 : 1,
      column: 1,
      rule,
      level: 'warning',
      message: expect.any(String),
      help: expect.any(String),
    });
    expect(await lint('--service', 'workflow')).toMatchObject({ exitCode: 0 });
  });

  it('exits with 2 for a file that is not SQL', async () => {
    const root = await givenCheckout([INIT, { up: 'DROP EVERYTHING;' }]);

    expect(await azoraDb(['migrate', 'lint'], { env, cwd: root })).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: expect.stringContaining('MIGRATION.SYNTAX'),
    });
  });

  it('ignores other configuration files of squawk, and leaves no file behind', async () => {
    const root = await givenCheckout([INIT, { up: `${TIMEOUT}ALTER TABLE users DROP COLUMN name;` }]);
    const config = 'excluded_rules = ["ban-drop-column"]\n';
    await writeFile(path.join(root, '.squawk.toml'), config);
    const temporary = path.join(root, 'tmp');
    await mkdir(temporary);
    await writeFile(path.join(temporary, '.squawk.toml'), config);

    expect(await azoraDb(['migrate', 'lint'], { env: { ...env, TMPDIR: temporary }, cwd: root })).toMatchObject({
      exitCode: 4,
      stdout: expect.stringContaining('warning ban-drop-column'),
    });
    expect(await readdir(temporary)).toEqual(['.squawk.toml']);
  });
});
