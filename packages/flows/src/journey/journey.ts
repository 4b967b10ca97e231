import type { Bus } from '@azora/db-events';
import { runFlows } from '../run-flows';
import { beLogged, beNotified } from './aftermath';
import { type Journey, type JourneyStores, openJourney } from './context';
import { type JourneyReport, readFacts } from './facts';
import { earn, enrollAndPay, learn } from './learning';
import { signUp } from './sign-up';
import { deliverJob } from './working';

export interface JourneyOptions {
  readonly bus: Bus;
  readonly stores: JourneyStores;
  /** Gets a sentence for each thing that happens. */
  readonly say: (sentence: string) => void;
  /** Ends the journey where it is. Its sagas stay whole, and continue when flows run again. */
  readonly signal: AbortSignal;
}

/**
 * Makes a journey through all services by their public functions: three people sign up, one of them takes a course, pays it, learns and
 * earns by Proof of Knowledge, then delivers a job through escrow and is notified. Runs relays and all flows meanwhile. Returns what
 * happened in each database.
 * @throws {SuiteError} `FLOWS.NOT_IN_TIME`, and what the called functions throw
 */
export async function runJourney({ bus, stores, say, signal }: JourneyOptions): Promise<JourneyReport> {
  const ending = new AbortController();
  const flows = AbortSignal.any([signal, ending.signal]);
  const { auth, education, forge, health, mint, notification } = stores;
  const relayed = { auth, education, forge, health, mint, notification };
  const running = Promise.all([
    ...Object.entries(relayed).map(([service, store]) => bus.relay(store, { service, signal: flows })),
    runFlows({ bus, stores, signal: flows }),
  ]);
  const travelling = travel(openJourney(stores, say, flows));
  try {
    return await Promise.race([travelling, running.then(interrupted)]);
  } finally {
    ending.abort();
    await Promise.allSettled([travelling, running]);
  }
}

/** The parts in their order. A part for another service is one more line here, and one in facts.ts. */
async function travel(journey: Journey): Promise<JourneyReport> {
  const people = await signUp(journey);
  const enrollment = await enrollAndPay(journey, people);
  const certificate = await learn(journey, people, enrollment);
  await earn(journey, people, enrollment);
  const job = await deliverJob(journey, people);
  await beNotified(journey, people);
  const story = { people, enrollment, certificate, job };
  await beLogged(journey, story);
  return readFacts(journey, story);
}

/** The flows ended before the journey: the caller's signal aborted. */
function interrupted(): never {
  throw new DOMException('The journey was interrupted', 'AbortError');
}
