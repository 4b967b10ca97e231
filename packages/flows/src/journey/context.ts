import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Auth } from '@azora/auth';
import { SuiteError } from '@azora/db-core';
import { findSaga, type Saga } from '@azora/db-events';
import type { Family } from '@azora/family';
import type { Sapiens } from '@azora/sapiens';
import type { FlowStores } from '../stores';

/** The stores that the journey calls: those of the flows, and those that no flow needs. */
export interface JourneyStores extends FlowStores {
  readonly auth: Auth;
  readonly family: Family;
  readonly sapiens: Sapiens;
}

/** What every part of the journey needs. */
export interface Journey {
  readonly stores: JourneyStores;
  /** Gets a sentence for each thing that happens. */
  readonly say: (sentence: string) => void;
  /** A part of every name and key, so that the journey can be made any number of times. */
  readonly run: string;
  /** Waits until a value is there, which the flows bring about. */
  until<Value>(what: string, read: () => Promise<Value | null | undefined>): Promise<Value>;
  /** Waits until a saga is done. */
  sagaDone(name: string, key: string): Promise<Saga>;
}

const LOOK_MS = 50;
const LIMIT_MS = 180_000;

/** Begins a journey. Its waits end with the signal. */
export function openJourney(stores: JourneyStores, say: Journey['say'], signal: AbortSignal): Journey {
  const until: Journey['until'] = async (what, read) => {
    const giveUpAt = performance.now() + LIMIT_MS;
    for (;;) {
      signal.throwIfAborted();
      const value = await read();
      if (value !== null && value !== undefined) return value;
      if (performance.now() > giveUpAt) throw notInTime(what);
      await sleep(LOOK_MS, undefined, { signal });
    }
  };
  return {
    stores,
    say,
    until,
    run: randomBytes(4).toString('hex'),
    sagaDone: async (name, key) => {
      const saga = await until(`the end of the saga ${name}`, async () => {
        const found = await findSaga(stores.nexus, { name, key });
        return found?.finishedAt === null ? null : found;
      });
      if (saga.state !== 'done') throw new Error(`The saga ${name} is ${saga.state}: ${saga.failure}`);
      return saga;
    },
  };
}

/** FLOWS.NOT_IN_TIME: a flow has not brought about what the journey waits for. */
function notInTime(what: string): SuiteError {
  return new SuiteError('FLOWS.NOT_IN_TIME', `The journey waited ${LIMIT_MS / 60_000} minutes for ${what}`, {
    why: 'No relay or no worker has handled the event so far.',
    next: 'Run "npx azora-db events status" to see where events wait, then start the journey again',
  });
}
