/** @server any */
import { endSessionInside, testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  acknowledgeAlert,
  appendLogs,
  type EndpointStatus,
  type Health,
  healthHistory,
  judgeAlerts,
  listAlerts,
  listLogs,
  maintainHealth,
  openHealth,
  reportHealth,
  resolveAlert,
  setAlertRule,
} from '../src';
import { line, publishedIn, report } from './given';

const START = '2027-01-15T00:00:00.000Z';
const DAY_MS = 86_400_000;
const RUNS = 25;
const SERVICES = ['auth', 'mint'] as const;
type Service = (typeof SERVICES)[number];

/** What the database must hold, computed in memory. */
interface Model {
  now: number;
  /** Log lines by the month of their time, oldest first. */
  lines: { readonly message: string; readonly at: number }[];
  readonly checks: Record<Service, { readonly status: EndpointStatus; readonly at: number }[]>;
  readonly states: Partial<Record<Service, EndpointStatus>>;
  /** Failed checks in a row that open an alert; null while the rule is disabled. */
  limit: number | null;
  readonly alerts: { service: Service; status: 'open' | 'acknowledged' | 'resolved' }[];
  readonly keys: Map<string, number>;
  readonly events: string[];
  written: number;
}

interface Real {
  readonly health: Health;
  readonly move: (milliseconds: number) => Promise<void>;
  /** Ends the session of a call when it waits for a table. Nothing of the call may stay. */
  readonly end: (table: string, call: () => Promise<unknown>) => Promise<void>;
}

type Step = fc.AsyncCommand<Model, Real>;

/** Every step has a time of its own, so that the order of rows is the order of steps. */
async function tick(model: Model, real: Real): Promise<void> {
  model.now += 1;
  await real.move(1);
}

const isDown = (model: Model, service: Service) => {
  const last = model.limit === null ? [] : model.checks[service].slice(-model.limit);
  return last.length === model.limit && last.every(({ status }) => status === 'stopped' || status === 'error');
};

function judge(model: Model, services: readonly Service[]): void {
  for (const service of services) {
    const alert = model.alerts.find((known) => known.service === service && known.status !== 'resolved');
    if (isDown(model, service) && alert === undefined) {
      model.alerts.push({ service, status: 'open' });
      model.events.push('alert-opened');
    }
    if (!isDown(model, service) && alert !== undefined) {
      alert.status = 'resolved';
      model.events.push('alert-resolved');
    }
  }
}

/** Oldest first. Alerts that one judgement opens have one time, and the model opens them in the order of their services. */
async function alertsOf(health: Health) {
  const { alerts } = await listAlerts(health, { limit: 200 });
  const places = alerts.map((alert) => ({ alert, place: `${alert.createdAt.toISOString()} ${alert.serviceName}` }));
  return places.sort((left, right) => (left.place < right.place ? -1 : 1)).map(({ alert }) => alert);
}

/** The alert of the model that was opened as the given one, counted from the newest, and its row. */
async function pick(model: Model, { health }: Real, index: number) {
  const rows = await alertsOf(health);
  const place = index % rows.length;
  const [row, expected] = [rows[place], model.alerts[place]];
  if (row === undefined || expected === undefined) throw new Error('The model and the database have different alerts');
  return { row, expected };
}

const append = (count: number, key: string | null, isEnded: boolean): Step => ({
  check: () => true,
  run: async (model, real) => {
    await tick(model, real);
    const { health } = real;
    const lines = Array.from({ length: count }, (_, n) => line(`${key ?? model.written}-${n}`));
    const known = key === null ? undefined : model.keys.get(key);
    const appending = () => appendLogs(health, { lines, ...(key === null ? {} : { idempotencyKey: key }) });
    if (isEnded) await real.end('logs', appending);
    const call = appending();
    if (known !== undefined && known !== count) {
      await expect(call).rejects.toMatchObject({ code: 'HEALTH.KEY_REUSED' });
      return;
    }
    expect(await call).toBe(count);
    if (known !== undefined) return;
    model.written += 1;
    if (key !== null) model.keys.set(key, count);
    model.lines.push(...lines.map(({ message }) => ({ message, at: model.now })));
  },
  toString: () => `append(${count}, ${key})`,
});

const tell = (service: Service, status: EndpointStatus, isEnded: boolean): Step => ({
  check: () => true,
  run: async (model, real) => {
    await tick(model, real);
    const { health } = real;
    const reports = [report({ serviceName: service, status, errorMessage: 'Failed' })];
    if (isEnded) await real.end('health_checks', () => reportHealth(health, { reports }));
    await reportHealth(health, { reports });
    if (model.states[service] !== status) model.events.push('status-changed');
    model.states[service] = status;
    model.checks[service].push({ status, at: model.now });
    judge(model, [service]);
  },
  toString: () => `tell(${service}, ${status})`,
});

const rule = (limit: number | null): Step => ({
  check: () => true,
  run: async (model, real) => {
    await tick(model, real);
    const { health } = real;
    await setAlertRule(health, { name: 'down', kind: 'down', checks: limit ?? 1, isEnabled: limit !== null });
    model.limit = limit;
    judge(model, SERVICES);
  },
  toString: () => `rule(${limit})`,
});

const move = (index: number, to: 'acknowledged' | 'resolved'): Step => ({
  check: (model) => model.alerts.length > 0,
  run: async (model, real) => {
    const { row, expected } = await pick(model, real, index);
    const call =
      to === 'acknowledged'
        ? acknowledgeAlert(real.health, { alertId: row.id, userId: 'u1' })
        : resolveAlert(real.health, { alertId: row.id });
    if (expected.status === 'resolved' || expected.status === to) {
      await expect(call).rejects.toMatchObject({ code: 'HEALTH.ALERT_MOVE' });
      return;
    }
    await call;
    expected.status = to;
    model.events.push(`alert-${to}`);
  },
  toString: () => `move(${index}, ${to})`,
});

const judgeAll: Step = {
  check: () => true,
  run: async (model, real) => {
    await tick(model, real);
    const { health } = real;
    await real.end('outbox', () => judgeAlerts(health));
    await judgeAlerts(health);
    judge(model, SERVICES);
  },
  toString: () => 'judgeAll',
};

const pass = (days: number): Step => ({
  check: () => true,
  run: async (model, real) => {
    model.now += days * DAY_MS;
    await real.move(days * DAY_MS);
    const { isBusy } = await maintainHealth(real.health);
    expect(isBusy).toBe(false);
    model.lines = model.lines.filter(({ at }) => {
      const time = new Date(at);
      return Date.UTC(time.getUTCFullYear(), time.getUTCMonth() + 1) > model.now - 30 * DAY_MS;
    });
    for (const name of SERVICES) {
      model.checks[name] = model.checks[name].filter(({ at }) => at >= model.now - 90 * DAY_MS);
    }
    // Every key is older than a week after a pause of at least eight days.
    if (days >= 8) model.keys.clear();
  },
  toString: () => `pass(${days})`,
});

const service = fc.constantFrom(...SERVICES);
/** In some steps, the session of a first call is ended inside its transaction. */
const isEnded = fc.nat(4).map((n) => n === 0);
const steps = [
  fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom(null, 'a', 'b'), isEnded)
    .map(([count, key, ends]) => append(count, key, ends)),
  fc
    .tuple(service, fc.constantFrom<EndpointStatus>('running', 'degraded', 'stopped', 'error'), isEnded)
    .map(([name, status, ends]) => tell(name, status, ends)),
  fc
    .tuple(service, fc.constantFrom<EndpointStatus>('stopped', 'error'), isEnded)
    .map(([name, status, ends]) => tell(name, status, ends)),
  fc.constantFrom(1, 2, 3, null).map(rule),
  fc.tuple(fc.nat(20), fc.constantFrom('acknowledged' as const, 'resolved' as const)).map(([n, to]) => move(n, to)),
  fc.constant(judgeAll),
  fc.constantFrom(8, 20, 45).map(pass),
];

describe('health against a model', () => {
  const db = useDatabase('health');
  const clock = useTestClock(db, START);
  let health: Health;
  beforeAll(() => {
    health = openHealth({ url: db().url });
  });
  afterAll(() => health.close());

  let ended = 0;
  async function end(table: string, call: () => Promise<unknown>): Promise<void> {
    const error = await endSessionInside(db(), `LOCK TABLE ${table}`, call);
    if (Object(error).code === 'DATABASE.CONNECTION_LOST') ended += 1;
  }

  it('holds what the model holds after any sequence of calls, though some calls lose their session', async () => {
    const property = fc.asyncProperty(fc.commands(steps, { maxCommands: 40 }), async (commands) => {
      await clock.set(START);
      await db().admin('TRUNCATE logs, log_batches, service_health, alert_rules, outbox RESTART IDENTITY CASCADE');
      const model: Model = {
        now: Date.parse(START),
        lines: [],
        checks: { auth: [], mint: [] },
        states: {},
        limit: null,
        alerts: [],
        keys: new Map(),
        events: [],
        written: 0,
      };

      await fc.asyncModelRun(() => ({ model, real: { health, move: clock.move, end } }), commands);

      await expectSame(model);
    });
    await fc.assert(property, { numRuns: RUNS * testEffort(), endOnFailure: true });
    expect(ended).toBeGreaterThan(0);
  });

  async function expectSame(model: Model): Promise<void> {
    const { lines } = await listLogs(health, { limit: 1_000 });
    expect(lines.map(({ message }) => message).toReversed()).toEqual(model.lines.map(({ message }) => message));
    const alerts = await alertsOf(health);
    expect(alerts.map(({ serviceName, status }) => ({ service: serviceName, status }))).toEqual(model.alerts);
    for (const name of SERVICES) {
      if (model.states[name] === undefined) continue;
      const { checks } = await healthHistory(health, { serviceName: name, port: 4008, limit: 1_000 });
      expect(checks.toReversed().map(({ status }) => status)).toEqual(model.checks[name].map(({ status }) => status));
    }
    expect((await publishedIn(db())).map(([name]) => name).sort()).toEqual(model.events.toSorted());
  }
});
