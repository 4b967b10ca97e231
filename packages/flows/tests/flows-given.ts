import { randomUUID } from 'node:crypto';
import { type CloudEvent, type Consumer, handleEvents, toCloudEvent } from '@azora/db-core/events';
import { findSaga, runSagas, type Saga } from '@azora/db-events';
import { type TestDatabase, useDatabase } from '@azora/db-testkit';
import {
  addModule,
  type CreateCourseInput,
  createCourse,
  openEducation,
  publishCourse,
  registerStudent,
} from '@azora/education';
import {
  acceptApplication,
  applyToJob,
  type Contract,
  type Escrow,
  fundMilestone,
  getContract,
  openForge,
  postJob,
  reconcile as reconcileForge,
} from '@azora/forge';
import { mint as issue, openMint, openWallet, reconcile as reconcileMint } from '@azora/mint';
import { type Prisma as NexusPrisma, openNexus } from '@azora/nexus';
import { flowSagas, type Stores } from '../src';
import type { FlowSaga } from './saga-points';

/** The databases of the sagas, and those that they move money and seats in. */
type Saved = 'education' | 'forge' | 'mint' | 'nexus';

export interface Worker {
  stop(): Promise<void>;
}

export interface FlowBench {
  readonly db: (service: Saved) => TestDatabase;
  readonly stores: () => Stores<Saved>;
  /** Runs these sagas, or those of all flows, until it is stopped, at the latest after the test. */
  work(sagas?: readonly FlowSaga[]): Worker;
  /** Gives a consumer of nexus each event of its types in the outbox of a service, twice. */
  deliver(service: Saved, consumer: Consumer<NexusPrisma.TransactionClient>): Promise<void>;
  /** Waits until a saga is as the test wants it, and returns it. */
  reached(name: string, key: string, isReached: (saga: Saga) => boolean): Promise<Saga>;
  /** Waits until a saga has ended, and returns it. */
  ended(name: string, key: string): Promise<Saga>;
  /** What mint, education and forge say differently about the money; what mint and forge find by themselves as well. */
  differences(): Promise<readonly unknown[]>;
}

export function useFlows(): FlowBench {
  let opened: Stores<Saved> | undefined;
  const workers: Worker[] = [];
  afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.stop())));
  // Runs before the databases are dropped.
  afterAll(() => Promise.all(Object.values(opened ?? {}).map((store) => store.close())));
  const databases = {
    education: useDatabase('education'),
    forge: useDatabase('forge'),
    mint: useDatabase('mint'),
    nexus: useDatabase('nexus'),
  };
  const db = (service: Saved) => databases[service]();
  const settings = (service: Saved) => ({ url: db(service).url, slowQueryMs: 60_000 });
  const stores = () =>
    (opened ??= {
      education: openEducation(settings('education')),
      forge: openForge(settings('forge')),
      mint: openMint(settings('mint')),
      nexus: openNexus(settings('nexus')),
    });

  async function reached(name: string, key: string, isReached: (saga: Saga) => boolean): Promise<Saga> {
    for (;;) {
      const saga = await findSaga(stores().nexus, { name, key });
      if (saga !== null && isReached(saga)) return saga;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  return {
    db,
    stores,
    work: (sagas = flowSagas(stores())) => {
      const worker = startWorker(stores(), sagas);
      workers.push(worker);
      return worker;
    },
    deliver: async (service, consumer) => {
      const events = (await eventsOf(db(service), service)).filter(({ type }) => consumer.types.includes(type));
      const handled = await handleEvents(stores().nexus, consumer, [...events, ...events]);
      const failed = handled.find(({ outcome }) => outcome === 'failed');
      if (failed !== undefined) throw failed.error;
    },
    reached,
    ended: (name, key) => reached(name, key, ({ finishedAt }) => finishedAt !== null),
    differences: async () => [
      ...(await differencesOfHolds(db)),
      ...(await reconcileMint(stores().mint)),
      ...(await reconcileForge(stores().forge)),
    ],
  };
}

export function startWorker({ nexus }: Stores<'nexus'>, sagas: readonly FlowSaga[]): Worker {
  const stopping = new AbortController();
  const logger = { warn: () => undefined };
  const running = runSagas(nexus, sagas, { signal: stopping.signal, pollMs: 20, logger });
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}

export async function eventsOf(db: TestDatabase, source: string): Promise<readonly CloudEvent[]> {
  const rows = await db.admin('SELECT * FROM outbox ORDER BY position');
  return rows.map((row) =>
    toCloudEvent({
      id: String(row['event_id']),
      source,
      type: String(row['type']),
      key: String(row['key']),
      data: row['payload'],
      traceParent: null,
      time: (row['created_at'] as Date).toISOString(),
      position: String(row['position']),
    }),
  );
}

/** Each hold must have the status, and the captured amount, that follow from its escrow or enrollment; one without them is released. */
async function differencesOfHolds(db: (service: Saved) => TestDatabase): Promise<readonly unknown[]> {
  const expected = new Map<string, string>();
  const escrows = await db('forge').admin(`SELECT hold_id, CASE status WHEN 'held' THEN 'held 0'
      WHEN 'released' THEN 'captured ' || trim_scale(payout_amount) WHEN 'refunded' THEN 'released 0' ELSE status::text END AS state
    FROM escrows WHERE hold_id IS NOT NULL`);
  const enrollments = await db('education').admin(`SELECT payment_hold_id AS hold_id,
      CASE WHEN payment_transaction_id IS NOT NULL THEN 'captured ' || trim_scale(price)
        WHEN status = 'dropped' THEN 'released 0' ELSE 'held 0' END AS state
    FROM enrollments WHERE payment_hold_id IS NOT NULL`);
  for (const { hold_id, state } of [...escrows, ...enrollments]) expected.set(String(hold_id), String(state));
  const holds = await db('mint').admin(
    `SELECT id, status || ' ' || trim_scale(captured_amount) AS state FROM holds ORDER BY created_at, id`,
  );
  const found = holds.map(({ id, state }) => [String(id), String(state)] as const);
  const missing = [...expected.keys()].filter((id) => !found.some(([known]) => known === id));
  const wrong = found.filter(([id, state]) => (expected.get(id) ?? 'released 0') !== state);
  return [...missing, ...wrong.map(([id, state]) => `${id}: ${state} instead of ${expected.get(id)}`)];
}

export function fresh(what: string): string {
  return `${what}-${randomUUID()}`;
}

/** A person with an AZR wallet of this balance; returns the ids. */
export async function givenPerson(
  { mint }: Stores<'mint'>,
  balance = '100',
): Promise<{ readonly userId: string; readonly walletId: string }> {
  const userId = fresh('user');
  const { id: walletId } = await openWallet(mint, { userId, currency: 'AZR' });
  if (balance !== '0') await issue(mint, { to: walletId, amount: balance, idempotencyKey: fresh('grant') });
  return { userId, walletId };
}

export async function givenStudent(
  stores: Stores<'education' | 'mint'>,
  balance?: string,
): Promise<{ readonly studentId: string; readonly userId: string; readonly walletId: string }> {
  const person = await givenPerson(stores, balance);
  const student = await registerStudent(stores.education, { userId: person.userId, displayName: 'Ada' });
  return { ...person, studentId: student.id };
}

/** A published course for 40 AZR of a teacher with a wallet. */
export async function givenCourse(
  stores: Stores<'education' | 'mint'>,
  fields: Partial<CreateCourseInput> = {},
): Promise<{ readonly courseId: string; readonly teacherWalletId: string }> {
  const teacher = await givenPerson(stores, '0');
  const { id: courseId } = await createCourse(stores.education, {
    ...{ slug: fresh('course'), instructorId: teacher.userId, title: 'Go', description: 'A language' },
    ...{ category: 'Programming', durationHours: 4, price: '40' },
    ...fields,
  });
  await addModule(stores.education, { courseId, title: 'First', lessons: ['One', 'Two'] });
  await publishCourse(stores.education, { courseId });
  return { courseId, teacherWalletId: teacher.walletId };
}

export interface GivenContract {
  readonly contract: Contract;
  readonly milestoneIds: readonly string[];
  readonly employer: { readonly userId: string; readonly walletId: string };
  readonly freelancer: { readonly userId: string; readonly walletId: string };
}

/** An active contract with a milestone of each amount, between two people with wallets. */
export async function givenContract(
  stores: Stores<'forge' | 'mint'>,
  amounts: readonly string[],
  balance = '1000',
): Promise<GivenContract> {
  const { forge } = stores;
  const [employer, freelancer] = [await givenPerson(stores, balance), await givenPerson(stores, '0')];
  const total = String(amounts.reduce((sum, amount) => sum + Number(amount), 0));
  const job = await postJob(forge, {
    ...{ employerId: employer.userId, title: 'A dashboard', description: 'Charts', category: 'Web' },
    ...{ skills: ['React'], budget: total, idempotencyKey: fresh('post') },
  });
  const application = await applyToJob(forge, {
    ...{ jobId: job.id, freelancerId: freelancer.userId, coverLetter: 'Hello', proposedAmount: total },
    idempotencyKey: fresh('apply'),
  });
  const contract = await acceptApplication(forge, {
    ...{ applicationId: application.id, employerId: employer.userId, terms: 'As agreed' },
    milestones: amounts.map((amount, index) => ({ title: `Part ${index + 1}`, amount })),
    idempotencyKey: fresh('accept'),
  });
  const { milestones } = await getContract(forge, { contractId: contract.id });
  return { contract, milestoneIds: milestones.map(({ id }) => id), employer, freelancer };
}

/** Asks for the money of a milestone, from the wallets of the parties or others. */
export function fund(
  { forge }: Stores<'forge'>,
  { employer, freelancer, milestoneIds }: GivenContract,
  { milestone = 0, ...wallets }: { milestone?: number; payerWalletId?: string; payeeWalletId?: string } = {},
): Promise<Escrow> {
  return fundMilestone(forge, {
    ...{ milestoneId: milestoneIds[milestone] ?? '', employerId: employer.userId },
    ...{ payerWalletId: employer.walletId, payeeWalletId: freelancer.walletId, ...wallets },
    idempotencyKey: fresh('fund'),
  });
}
