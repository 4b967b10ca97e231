// The program of `npm run demo`: makes the journey on the databases that the environment names, and prints what happened in each of
// them. With --json, the report is the only output on stdout.
import { openAuth } from '@azora/auth';
import { SuiteError } from '@azora/db-core';
import { openBus } from '@azora/db-events';
import { openEducation } from '@azora/education';
import { openFamily } from '@azora/family';
import { openForge } from '@azora/forge';
import { openHealth } from '@azora/health';
import { openMint } from '@azora/mint';
import { openNexus } from '@azora/nexus';
import { openNotifications } from '@azora/notification';
import { openSapiens } from '@azora/sapiens';
import type { JourneyReport } from './facts';
import { runJourney } from './journey';

const EXIT_INTERRUPTED = 130;

async function main(asJson: boolean): Promise<void> {
  const interrupting = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupting.abort());
  const stores = {
    auth: openAuth(),
    education: openEducation(),
    family: openFamily(),
    forge: openForge(),
    health: openHealth(),
    mint: openMint(),
    nexus: openNexus(),
    notification: openNotifications(),
    sapiens: openSapiens(),
  };
  const bus = openBus();
  const say = (sentence: string) => process.stderr.write(`${sentence}\n`);
  try {
    const report = await runJourney({ bus, stores, say, signal: interrupting.signal });
    process.stdout.write(asJson ? `${JSON.stringify(report)}\n` : `\n${tableOf(report)}`);
  } catch (error) {
    if (!interrupting.signal.aborted) throw error;
    say('Interrupted. Sagas that have begun continue with the next demo');
    process.exitCode = EXIT_INTERRUPTED;
  } finally {
    await bus.close();
    await Promise.all(Object.values(stores).map((store) => store.close()));
  }
}

/** A line for each fact, beside the name of its service. */
function tableOf(report: JourneyReport): string {
  const width = Math.max(...Object.keys(report).map((service) => service.length));
  const lines = Object.entries(report).flatMap(([service, facts]) =>
    Object.entries(facts).map(([name, fact], index) => {
      const label = index === 0 ? service : '';
      return `${label.padEnd(width)}  ${name}: ${fact}\n`;
    }),
  );
  return lines.join('');
}

main(process.argv.includes('--json')).catch((error: unknown) => {
  const { message, next } = error instanceof SuiteError ? error : { message: String(error), next: undefined };
  process.stderr.write(`error: ${message}\n${next === undefined ? '' : `fix:   ${next}\n`}`);
  process.exitCode = 1;
});
