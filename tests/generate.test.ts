/** @server none */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(__dirname, '..');
const prismaCli = path.join(root, 'node_modules', 'prisma', 'build', 'index.js');

/** Nothing listens on port 1, so a download fails. */
const OFFLINE = { HTTPS_PROXY: 'http://127.0.0.1:1', HTTP_PROXY: 'http://127.0.0.1:1' };

describe('prisma/generate.js', () => {
  // Inside the checkout, because the scripts load their packages from there.
  const local = path.join(root, '.azora');
  mkdirSync(local, { recursive: true });
  const checkout = mkdtempSync(path.join(local, 'generate-'));
  afterAll(() => rmSync(checkout, { recursive: true, force: true }));

  const script = path.join(checkout, 'prisma', 'generate.js');
  const schemaOf = (service: string) => path.join(checkout, 'services', service, 'prisma', 'schema.prisma');
  const clientOf = (service: string) => path.join(checkout, 'services', service, 'src', 'generated');
  const generate = (...names: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...names], { encoding: 'utf8' });
    return { status, lines: stdout.split('\n').filter((line) => line !== ''), stderr };
  };
  const change = (service: string, from: string, to: string) =>
    writeFileSync(schemaOf(service), readFileSync(schemaOf(service), 'utf8').replace(from, to));

  beforeAll(() => {
    for (const file of ['generate.js', 'service-config.ts']) {
      cpSync(path.join(root, 'prisma', file), path.join(checkout, 'prisma', file));
    }
    for (const service of ['notification', 'workflow']) {
      const from = path.join(root, 'services', service);
      mkdirSync(path.dirname(schemaOf(service)), { recursive: true });
      cpSync(path.join(from, 'prisma', 'schema.prisma'), schemaOf(service));
      cpSync(path.join(from, 'prisma.config.ts'), path.join(checkout, 'services', service, 'prisma.config.ts'));
    }
  });

  it("writes what Prisma's own command line writes, which downloads nothing", () => {
    const cwd = path.join(checkout, 'services', 'workflow');
    execFileSync(process.execPath, [prismaCli, 'generate'], { cwd, env: { ...process.env, ...OFFLINE } });
    const written = readTree(clientOf('workflow'));
    rmSync(clientOf('workflow'), { recursive: true });

    expect(generate('workflow').lines).toEqual(['generated workflow']);
    expect(written.size).toBeGreaterThan(5);
    expect(readTree(clientOf('workflow'))).toEqual(written);
  });

  it('generates the clients whose schema changed, and no other', () => {
    expect(generate().lines).toEqual(['generated notification']);
    expect(generate().lines).toEqual([]);

    change('notification', 'model Notification {', 'model Notification {\n  nickname String?');
    change('workflow', 'model Workflow {', 'model Workflow {\n  nickname String?');
    expect(generate('workflow').lines).toEqual(['generated workflow']);
    expect(generate('workflow').lines).toEqual([]);
    expect(generate().lines).toEqual(['generated notification']);
  });

  it('leaves a client as it is when only spaces of the schema changed', () => {
    generate('workflow');
    change('workflow', '  nickname String?', '  nickname      String?');

    expect(generate('workflow')).toEqual({ status: 0, lines: [], stderr: '' });
  });

  it('rejects an unknown service and names the known ones', () => {
    const { status, stderr } = generate('workflow', 'mnit');

    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'Unknown service: mnit; known are notification, workflow\n',
    });
  });

  it.each([
    { rename: 1, leaves: 'the old client' },
    { rename: 2, leaves: 'no client' },
  ])('leaves $leaves when it is killed before rename $rename, and completes it in the next run', ({ rename }) => {
    generate('notification');
    const before = readTree(clientOf('notification'));
    change('notification', 'model Notification {', `model Notification {\n  another${rename} String?`);
    const killer = path.join(checkout, 'killer.js');
    writeFileSync(killer, killBeforeRename(rename));
    const { signal } = spawnSync(process.execPath, ['--require', killer, script, 'notification']);

    expect(signal).toBe('SIGKILL');
    if (rename === 1) expect(readTree(clientOf('notification'))).toEqual(before);
    else expect(existsSync(clientOf('notification'))).toBe(false);
    expect(generate('notification').lines).toEqual(['generated notification']);
    expect(readdirSync(path.join(checkout, '.azora'))).toEqual([]);
    expect(readTree(clientOf('notification'))).not.toEqual(before);
  });
});

/** A module that kills the process that loads it, at its `count`th rename. */
const killBeforeRename = (count: number): string => `
  const fs = require('node:fs');
  const { renameSync } = fs;
  let count = 0;
  fs.renameSync = (...paths) => {
    count += 1;
    if (count === ${count}) process.kill(process.pid, 'SIGKILL');
    renameSync(...paths);
  };
`;

function readTree(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files
      .map(({ parentPath, name }) => path.join(parentPath, name))
      .map((file): [string, string] => [path.relative(directory, file), readFileSync(file, 'utf8')])
      .sort(),
  );
}
