import type { Bus } from '@azora/db-events';
import { runFlows } from '../run-flows';
import { beLogged, beNotified } from './aftermath';
import { type Journey, type JourneyStores, openJourney } from './context';
import { type JourneyReport, readFacts } from './facts';
import { earn, enrollAndPay, learn } from './learning';
import { askFamily, beAssessed, beRecommended } from './personal';
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
 * Makes a journey through all services by their public functions: three people sign up, one of them takes a course, pays it, learns, is
 * assessed and earns by Proof of Knowledge, then delivers a job through escrow, is notified, asks the family, and gets a recommendation. Runs relays and all flows meanwhile. Returns what
 * happened in each database.
 * @throws {SuiteError} `FLOWS.NOT_IN_TIME`, and what the called functions throw
 */
export async function runJourney({ bus, stores, say, signal }: JourneyOptions): Promise<JourneyReport> {
  const ending = new AbortController();
  const flows = AbortSignal.any([signal, ending.signal]);
  const running = Promise.all([
    ...Object.entries(stores).map(([service, store]) => bus.relay(store, { service, signal: flows })),
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

/** The parts in their order. */
async function travel(journey: Journey): Promise<JourneyReport> {
  const people = await signUp(journey);
  const enrollment = await enrollAndPay(journey, people);
  const certificate = await learn(journey, people, enrollment);
  const assessmentId = await beAssessed(journey, people);
  await earn(journey, people, enrollment);
  const job = await deliverJob(journey, people);
  await beNotified(journey, people);
  const conversationId = await askFamily(journey, people);
  await beRecommended(journey, people, enrollment);
  const story = { people, enrollment, certificate, assessmentId, job, conversationId };
  await beLogged(journey, story);
  return readFacts(journey, story);
}

/** The flows ended before the journey: the caller's signal aborted. */
function interrupted(): never {
  throw new DOMException('The journey was interrupted', 'AbortError');
}
