/** @server any */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { replacementFor, studioConnection } from '../prisma/service-config';

const service = path.join(repositoryRoot(), 'services', 'workflow');
const prismaCli = path.join(repositoryRoot(), 'node_modules', 'prisma', 'build', 'index.js');

describe("Prisma's command line in the folder of a service", () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'azora-prisma-'));
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  /** Nothing listens on port 1, so a download fails; Prisma would keep an engine in the home directory. */
  const prisma = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const { PATH = '' } = process.env;
    const proxy = { HTTPS_PROXY: 'http://127.0.0.1:1', HTTP_PROXY: 'http://127.0.0.1:1' };
    const { status, stdout, stderr } = spawnSync(process.execPath, [prismaCli, ...args], {
      cwd: service,
      env: { PATH, HOME: home, ...proxy, ...env },
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };

  it.each([
    [['validate'], 'The schema at prisma/schema.prisma is valid'],
    [['format', '--check'], 'All files are formatted correctly'],
    [['migrate', 'status', '--help'], 'Check the status of your database migrations'],
  ])('runs %j without a download', (args, output) => {
    const { status, stdout } = prisma(args);

    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining(output) });
    expect(readdirSync(home)).not.toContain('.cache');
  });

  it('names the command to use instead of one that needs the schema engine', () => {
    const { status, stdout, stderr } = prisma(['migrate', 'status']);

    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('run "npx azora-db migrate status --service workflow"');
  });

  it.each([
    ['migrate dev --name add_nickname', 'npx azora-db migrate new workflow <slug>'],
    ['migrate deploy', 'npx azora-db migrate up --service workflow'],
    ['migrate diff --from-empty', 'npx azora-db migrate drift --service workflow'],
    ['migrate reset --force', 'npx azora-db reset --service workflow'],
    ['migrate resolve --applied 20260101000000_init', 'npx azora-db migrate resolve applied workflow <migration>'],
    ['db push', 'npx azora-db migrate new workflow <slug>'],
    ['db pull', 'npx azora-db migrate drift --service workflow'],
    ['db execute --stdin', 'psql "$(npx azora-db url workflow --admin)"'],
    ['db seed', undefined],
    ['db push --help', undefined],
    ['generate', undefined],
  ])('has for "prisma %s": %s', (command, replacement) => {
    expect(replacementFor(command.split(' '), 'workflow')).toBe(replacement);
  });

  it('runs a schema engine that the user names, with the URL of the service', () => {
    // Node is not a schema engine, so Prisma reports that it failed.
    const env = {
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      WORKFLOW_DATABASE_URL: 'postgresql://ada:secret@127.0.0.1:1/azora_workflow',
    };
    const { status, stdout, stderr } = prisma(['migrate', 'status'], env);

    expect(status).toBe(1);
    expect(`${stdout}${stderr}`).toContain('PostgreSQL database "azora_workflow", schema "public" at "127.0.0.1:1"');
  });
});

describe("Prisma's studio", () => {
  // A companion on most test servers, which listens on a Unix socket.
  const db = useDatabase('rag');

  it('queries the database of the service', async () => {
    const port = await freePort();
    const { PATH = '' } = process.env;
    const studio = spawn(process.execPath, [prismaCli, 'studio', '--browser', 'none', '--port', String(port)], {
      cwd: path.join(repositoryRoot(), 'services', 'rag'),
      env: { PATH, HOME: os.tmpdir(), RAG_DATABASE_URL: db().url },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(studio, 'exit');
    try {
      for await (const chunk of studio.stdout) if (String(chunk).includes('running at')) break;
      const page = await fetch(`http://localhost:${port}/`);
      const query = { sql: "SELECT to_regclass('rag_chunks')::text AS name", parameters: [] };
      const answer = await fetch(`http://localhost:${port}/bff`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ procedure: 'query', query }),
      });

      expect(await page.text()).toContain('<html');
      expect(await answer.json()).toEqual([null, [{ name: 'rag_chunks' }]]);
    } finally {
      studio.kill();
      await exited;
    }
  });

  it.each([
    [
      'postgresql://ada:p%40ss@localhost:5433/azora_rag?host=%2Frun%2Fa%20b',
      {
        url: 'postgresql:///azora_rag',
        variables: { PGHOST: '/run/a b', PGPORT: '5433', PGUSER: 'ada', PGPASSWORD: 'p@ss' },
      },
    ],
    ['postgresql://ada@db.example.com/azora_rag', { url: 'postgresql://ada@db.example.com/azora_rag', variables: {} }],
  ])('connects to %s, whose host may be the directory of a socket', (url, expected) => {
    expect(studioConnection(url)).toEqual(expected);
  });
});

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
