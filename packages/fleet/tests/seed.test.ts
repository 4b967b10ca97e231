import childProcess from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { SeedRequest } from '@azora/db-core';
import { runSeed } from '../src/operations/seed';

describe('runSeed', () => {
  let root = '';
  beforeAll(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'azora-seed-'));
    await mkdir(path.join(root, 'prisma', 'dist'), { recursive: true });
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(() => rm(root, { recursive: true, force: true }));

  const request: SeedRequest = {
    services: [{ name: 'mint', packageName: '@azora/mint', url: 'postgresql://nobody@127.0.0.1:1/nothing' }],
    waves: [['mint']],
    repositoryRoot: '/',
    scale: 0,
  };
  const done = `{ kind: 'done', service: 'mint', rows: 7 }`;
  const givenOrchestrator = (code: string) => writeFile(path.join(root, 'prisma', 'dist', 'seed.js'), code);

  it('returns a row per service when the orchestrator has reported and closed the channel', async () => {
    await givenOrchestrator(`process.once('message', () => process.send(${done}, () => process.disconnect()));`);

    expect(await runSeed(request, { root })).toEqual([{ service: 'mint', state: 'done', data: { volumeRows: 7 } }]);
  });

  it.each([
    ['exits before it reads the request', 'process.exit(3)', 'It exited with code 3.'],
    ['is killed', `process.once('message', () => process.kill(process.pid, 'SIGKILL'))`, 'It was killed.'],
    ['closes the channel at once and fails', 'process.disconnect(); process.exitCode = 5;', 'It exited with code 5.'],
  ])('reports an orchestrator that %s', async (_name, code, why) => {
    await givenOrchestrator(code);

    await expect(runSeed(request, { root })).rejects.toMatchObject({ code: 'SEED.ENDED', why });
  });

  it('reports that the process could not be started', async () => {
    await givenOrchestrator('');
    const { fork } = childProcess;
    const missing = path.join(root, 'no-such-node');
    jest
      .spyOn(childProcess, 'fork')
      .mockImplementation((entry, options) => fork(entry, [], { ...options, execPath: missing }));

    await expect(runSeed(request, { root })).rejects.toMatchObject({
      code: 'SEED.ENDED',
      message: 'The seed process did not start',
      why: expect.stringContaining('ENOENT'),
    });
  });

  it('stops the orchestrator when it is interrupted', async () => {
    await givenOrchestrator(`
      process.once('message', () => process.send({ kind: 'progress', service: 'mint', detail: 'fixed rows' }));
      process.once('disconnect', () => process.exit());`);
    const interrupt = new AbortController();
    const progress = ({ detail }: { detail: string }) => detail === 'fixed rows' && interrupt.abort();

    expect(await runSeed(request, { root, signal: interrupt.signal, progress })).toEqual([
      { service: 'mint', state: 'interrupted' },
    ]);
  });

  it('can be interrupted while the orchestrator is exiting and its channel is closed', async () => {
    await givenOrchestrator(`
      const waiting = setInterval(() => undefined, 1_000);
      process.once('SIGTERM', () => clearInterval(waiting));
      process.once('message', () => process.send(${done}, () => process.disconnect()));`);
    const fork = jest.spyOn(childProcess, 'fork');
    const interrupt = new AbortController();
    const run = runSeed(request, { root, signal: interrupt.signal });
    const child = fork.mock.results[0]?.value;
    await once(child, 'disconnect');

    interrupt.abort();
    child.kill('SIGTERM');

    expect(await run).toEqual([{ service: 'mint', state: 'done', data: { volumeRows: 7 } }]);
  });

  it('starts nothing after an interrupt', async () => {
    await givenOrchestrator(`process.once('message', () => process.send(${done}, () => process.disconnect()));`);

    expect(await runSeed(request, { root, signal: AbortSignal.abort() })).toEqual([
      { service: 'mint', state: 'not-started' },
    ]);
  });
});
