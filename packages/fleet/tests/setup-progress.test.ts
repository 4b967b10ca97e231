/** @server none */
import { PassThrough } from 'node:stream';
import { withBuildRow } from '../src/operations/build';
import type { ProgressEvent } from '../src/operations/fleet';
import { plainProgress } from '../src/render/progress';
import { nextStepsText } from '../src/render/setup';

describe('the row of the build', () => {
  it('joins the list of the services, which begins when the first one starts', () => {
    const events: string[] = [];
    const { progress, report } = withBuildRow(({ service, state, detail }) =>
      events.push([service, state, detail].join(' ').trim()),
    );
    const mint = (state: ProgressEvent['state']) => progress({ service: 'mint', state, detail: '' });

    report({ state: 'started', detail: '' });
    mint('queued');
    report({ state: 'working', detail: 'compiling prisma' });
    mint('started');
    report({ state: 'done', detail: 'complete' });

    expect(events).toEqual([
      'build queued',
      'mint queued',
      'mint started',
      'build working compiling prisma',
      'build done complete',
    ]);
  });
});

describe('progress in a pipe', () => {
  it('writes a line about the work in progress when there was none for 15 seconds', () => {
    let now = 0;
    const stream = new PassThrough();
    const { report } = plainProgress(stream, () => now);
    const at = (seconds: number, event: ProgressEvent) => {
      now = seconds * 1_000;
      report(event);
    };

    at(1, { service: 'build', state: 'working', detail: 'compiling services/auth' });
    at(14, { service: 'mint', state: 'done', detail: 'created' });
    at(28, { service: 'build', state: 'working', detail: 'compiling services/forge' });
    at(29, { service: 'build', state: 'working', detail: 'compiling services/mint' });
    at(30, { service: 'build', state: 'working', detail: 'compiling services/rag' });

    expect(stream.read().toString()).toBe('mint: created\nbuild: compiling services/mint\n');
  });
});

describe('the end of setup', () => {
  it('names the next commands, and the seed if the databases have no rows', () => {
    const report = { rows: [], status: [], leftOut: [] };

    expect(nextStepsText({ ...report, seeded: undefined })).toContain('  npm run db:seed\n');
    expect(nextStepsText({ ...report, seeded: { rows: [], orphans: [] } })).toContain(
      "require('@azora/mint').openMint()",
    );
  });
});
