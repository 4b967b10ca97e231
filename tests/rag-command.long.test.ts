/** @server any */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import { azoraDb, type CliResult } from './cli';

const home = mkdtempSync(path.join(os.tmpdir(), 'azora-rag-'));
const folder = path.join(home, 'shop');
const environment = { AZORA_HOME: home, AZORA_SERVICES: 'rag', AZORA_COMPANION: 'rag' };
const run = (...args: readonly string[]) => azoraDb([...args], { env: environment });
const json = ({ stdout }: CliResult) => JSON.parse(stdout);
const write = (file: string, text: string) => {
  mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
  writeFileSync(path.join(folder, file), text);
};

beforeAll(async () => {
  expect(await run('setup', '--no-build', '--json')).toMatchObject({ exitCode: 0 });
  write('src/order.ts', 'export function total(price: number): number {\n  return price * 2;\n}\n');
  write('src/pay.ts', "import { total } from './order';\n\nexport function pay(): number {\n  return total(1);\n}\n");
  write('image.png', '\0');
});
afterAll(async () => {
  await run('server', 'stop');
  rmSync(home, { recursive: true, force: true });
});

describe('azora-db rag', () => {
  it('indexes a folder, finds in it, follows its calls, and verifies the index', async () => {
    const first = await run('rag', 'index', folder);
    expect(first).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('read 2 files of 2 files, removed 0') });
    expect(first.stdout).toContain('skipped image.png: binary');
    expect((await run('rag', 'index', folder)).stdout).toContain('nothing has changed');

    const found = json(await run('rag', 'search', folder, 'the total of a price', '--limit', '1', '--json'));
    expect(found).toMatchObject({ ok: true, chunks: [{ sourcePath: 'src/order.ts' }] });
    expect((await run('rag', 'graph', folder, 'total')).stdout).toMatch(/callers of .*total .*: 1\n {2}1 {2}.*pay/);
    expect((await run('rag', 'graph', folder)).stdout).toContain('flowchart');
    expect(await run('rag', 'verify', folder)).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('the index equals one from scratch'),
    });

    write('src/pay.ts', 'export function pay(): number {\n  return 2;\n}\n');
    const differing = await run('rag', 'verify', folder, '--json');
    expect(differing.exitCode).toBe(4);
    expect(json(differing)).toMatchObject({ ok: false, isEqual: false });
  });

  it('continues at once after its process was killed', async () => {
    const notes = path.join(home, 'notes');
    mkdirSync(notes);
    for (let n = 0; n < 700; n += 1) writeFileSync(path.join(notes, `${n}.txt`), `note ${n}\n`);
    const { url } = json(await run('url', 'rag', '--json'));
    const program = fork(path.join(repositoryRoot(), 'services/rag/dist/src/program.js'), {
      serialization: 'advanced',
    });
    const api = await openEmbeddings((texts) => {
      // The first statement has its embeddings, and is written before the next ones are asked for.
      if (texts > 512) program.kill('SIGKILL');
    });
    try {
      const embeddings = { url: api.url, model: 'letters', dimension: 8 };
      program.send({ kind: 'run', command: 'index', url, input: { path: notes, embeddings } });
      expect(await once(program, 'exit')).toEqual([null, 'SIGKILL']);
      const asked = api.asked();

      const flags = ['--embeddings', api.url, '--model', 'letters', '--dimension', '8'];
      const { exitCode, stdout } = await run('rag', 'index', notes, ...flags, '--json');

      expect({ exitCode, ...JSON.parse(stdout) }).toMatchObject({ exitCode: 0, files: 700, isComplete: true });
      expect(api.asked() - asked).toBeLessThanOrEqual(700 - 256);
      expect(await run('rag', 'verify', notes, ...flags)).toMatchObject({ exitCode: 0 });
    } finally {
      api.close();
    }
  });

  it('says what is wrong with its arguments, and with a workspace that was not indexed', async () => {
    const incomplete = await run('rag', 'index', folder, '--embeddings', 'http://127.0.0.1:9/v1');
    expect(incomplete).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--model') });
    const missing = await run('rag', 'verify', path.join(folder, 'src'), '--json');
    expect(json(missing)).toMatchObject({ ok: false, service: 'rag', error: { code: 'RAG.WORKSPACE_NOT_FOUND' } });
  });
});

/** A local API like that of OpenAI, which counts the texts that it was asked for. Its embedding of a text counts letters. */
async function openEmbeddings(onTexts: (texts: number) => void) {
  let texts = 0;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { input } = JSON.parse(Buffer.concat(parts).toString('utf8')) as { readonly input: readonly string[] };
    texts += input.length;
    onTexts(texts);
    const data = input.map((text, index) => {
      const embedding = Array.from({ length: 8 }, (_, place) => 1 + (text.charCodeAt(place) || 0));
      return { index, embedding };
    });
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ data }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/v1`, asked: () => texts, close: () => server.close() };
}
