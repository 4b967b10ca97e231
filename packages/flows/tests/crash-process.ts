// A worker of all flows that stops at a point of each saga, and prints the point. The test kills it.
import { SuiteError } from '@azora/db-core';
import { runSagas } from '@azora/db-events';
import { openEducation } from '@azora/education';
import { openForge } from '@azora/forge';
import { openMint } from '@azora/mint';
import { openNexus } from '@azora/nexus';
import { flowSagas } from '../src';
import { type CrashJob, pointOf } from './crash-scenarios';
import { withPoints } from './saga-points';

const job: CrashJob = JSON.parse(process.argv[3] ?? '');

async function main(): Promise<void> {
  const { education, forge, mint, nexus } = job.urls;
  const stores = {
    education: openEducation({ url: education, pool: { max: 4 } }),
    forge: openForge({ url: forge, pool: { max: 4 } }),
    mint: openMint({ url: mint, pool: { max: 4 } }),
  };
  const stopAt = async (name: string, key: string, point: string) => {
    const scenario = job.scenarios.find((it) => it.name === name && it.key === key);
    if (scenario?.refusedAt !== undefined && point === pointOf('before', scenario.refusedAt)) throw refused();
    if (scenario?.point !== point) return;
    process.stdout.write(`${name} ${key}\n`);
    await new Promise(() => {});
  };
  const sagas = flowSagas(stores).map((saga) =>
    withPoints(saga, {
      before: (key, action) => stopAt(saga.name, key, pointOf('before', action)),
      after: (key, action) => stopAt(saga.name, key, pointOf('after', action)),
    }),
  );
  await runSagas(openNexus({ url: nexus, pool: { max: 4 } }), sagas, {
    signal: new AbortController().signal,
    concurrency: job.scenarios.length,
    leaseMs: job.leaseMs,
    pollMs: 50,
    logger: { warn: () => undefined },
  });
}

function refused(): SuiteError {
  return new SuiteError('TEST.REFUSED', 'The test refuses this step');
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});
