/** @server any */
import { testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  deleteNotification,
  expireNotifications,
  listNotifications,
  markAllRead,
  markRead,
  markUnread,
  type Notifications,
  notify,
  notifyMany,
  openNotifications,
  reconcile,
  restoreNotification,
  setPreference,
  unreadCount,
} from '../src';
import { fresh } from './given';

const RUNS = 20 * testEffort();
const SEED = 20_261_201;
const USERS = 2;
const HOUR_MS = 3_600_000;

/** The operations and rejections that must occur in the runs: without them the runs would prove little. */
const MET = [
  ...[
    'notify',
    'notifyMany',
    'markRead',
    'markUnread',
    'delete',
    'restore',
    'markAllRead',
    'expire',
    'prefer',
    'repeat',
  ],
  ...['NOTIFICATION.DELETED', 'NOTIFICATION.EXPIRED', 'NOTIFICATION.NOT_FOUND'],
];

interface ModelNotification {
  readonly user: number;
  readonly isShown: boolean;
  readonly expiresAt: number | undefined;
  isRead: boolean;
  isDeleted: boolean;
}

interface Model {
  now: number;
  readonly notifications: ModelNotification[];
  readonly isAppOff: boolean[];
}

interface Real {
  readonly users: readonly string[];
  /** At the same indexes as in the model. */
  readonly ids: string[];
  repeat: (() => Promise<{ readonly id: string }>) | undefined;
  repeatedId: string;
}

type Step = fc.AsyncCommand<Model, Real>;

describe('the notifications and an in-memory model', () => {
  const db = useDatabase('notification');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  const counts: Record<string, number> = {};
  let notifications: Notifications;
  let now = Date.parse('2026-03-01T12:00:00Z');
  beforeAll(() => {
    notifications = openNotifications({ url: db().url, pool: { max: 6 } });
  });
  afterAll(() => notifications.close());

  const met = (name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  const isVisible = (model: Model, it: ModelNotification) =>
    it.isShown && !it.isDeleted && (it.expiresAt === undefined || it.expiresAt > model.now);

  async function expectAlike(model: Model, { users, ids }: Real): Promise<void> {
    const idsOf = (user: number, isWanted: (it: ModelNotification) => boolean) =>
      model.notifications
        .flatMap((it, n) => (it.user === user && isVisible(model, it) && isWanted(it) ? [ids[n]] : []))
        .sort();
    const listed = async (userId: string, show: 'all' | 'unread') =>
      (await listNotifications(notifications, { userId, show, limit: 200 })).notifications.map(({ id }) => id).sort();
    const found = await Promise.all(
      users.map((userId) =>
        Promise.all([listed(userId, 'unread'), listed(userId, 'all'), unreadCount(notifications, { userId })]),
      ),
    );
    const expected = users.map((_, user) => {
      const unread = idsOf(user, ({ isRead }) => !isRead);
      return [unread, idsOf(user, () => true), unread.length];
    });
    expect(found).toEqual(expected);
  }

  /** A step of a run, some time after the previous one. */
  function step<Input>(
    name: string,
    inputs: fc.Arbitrary<Input>,
    run: (model: Model, real: Real, input: Input) => Promise<unknown>,
  ): fc.Arbitrary<Step> {
    return fc.tuple(inputs, fc.constantFrom(0, 0, 0, 0, 1)).map(([input, hours]) => ({
      check: () => true,
      run: async (model, real) => {
        model.now += hours * HOUR_MS;
        if (hours > 0) await clock.set(new Date(model.now));
        await run(model, real, input);
        await expectAlike(model, real);
      },
      toString: () => `${hours} h later ${name}(${JSON.stringify(input)})`,
    }));
  }

  const user = fc.nat(USERS - 1);
  const content = { title: 'T', message: 'M' };

  const sending = fc.record({ user, hours: fc.constantFrom(undefined, undefined, 1, 2), urgent: fc.boolean() });
  const notifyStep = step('notify', sending, async (model, real, it) => {
    const input = {
      ...{ userId: real.users[it.user] ?? '', ...content, urgent: it.urgent, idempotencyKey: fresh('key') },
      ...(it.hours === undefined ? {} : { expiresIn: it.hours * HOUR_MS }),
    };
    const { id } = await notify(notifications, input);
    real.ids.push(id);
    real.repeat = () => notify(notifications, input);
    real.repeatedId = id;
    add(model, it.user, it.urgent, it.hours);
    met('notify');
  });
  function add(model: Model, to: number, urgent: boolean, hours: number | undefined): void {
    const expiresAt = hours === undefined ? undefined : model.now + hours * HOUR_MS;
    const isShown = urgent || model.isAppOff[to] !== true;
    model.notifications.push({ user: to, isShown, expiresAt, isRead: false, isDeleted: false });
  }

  const notifyManyStep = step('notifyMany', fc.boolean(), async (model, real, isReversed) => {
    const order = isReversed ? [...real.users.keys()].reverse() : [...real.users.keys()];
    const recipients = order.map((n) => real.users[n] ?? '');
    const { id } = await notifyMany(notifications, { ...content, recipients, idempotencyKey: fresh('batch') });
    for (const [place, n] of order.entries()) {
      real.ids.push(`${id.slice(0, 19)}${String(place + 1).padStart(6, '0')}`);
      add(model, n, false, undefined);
    }
    met('notifyMany');
  });

  const repeatStep = step('repeat', fc.constant(undefined), async (_model, real) => {
    if (real.repeat === undefined) return;
    expect((await real.repeat()).id).toBe(real.repeatedId);
    met('repeat');
  });

  const markAllStep = step('markAllRead', user, async (model, real, it) => {
    const unread = model.notifications.filter((row) => row.user === it && isVisible(model, row) && !row.isRead);
    const marked = await markAllRead(notifications, { userId: real.users[it] ?? '' });
    expect(marked).toBe(unread.length);
    // Notifications that are deleted, hidden or expired are below the mark too.
    const counted = (row: ModelNotification) => row.isShown && !row.isDeleted && !row.isRead;
    if (model.notifications.some((row) => row.user === it && counted(row)))
      for (const row of model.notifications) if (row.user === it) row.isRead = true;
    met('markAllRead');
  });

  const expireStep = step('expire', fc.constant(undefined), async (model) => {
    const due = model.notifications.filter(
      (row) => !row.isDeleted && row.expiresAt !== undefined && row.expiresAt <= model.now,
    );
    expect(await expireNotifications(notifications)).toBe(due.length);
    for (const row of due) row.isDeleted = true;
    met('expire');
  });

  const preferStep = step('prefer', fc.record({ user, isOff: fc.boolean() }), async (model, real, it) => {
    const mode = it.isOff ? 'off' : 'instant';
    await setPreference(notifications, { userId: real.users[it.user] ?? '', channel: 'in_app', mode });
    model.isAppOff[it.user] = it.isOff;
    met('prefer');
  });

  const CHANGES = { markRead, markUnread, delete: deleteNotification, restore: restoreNotification } as const;
  type Change = keyof typeof CHANGES;
  const APPLY: Readonly<Record<Change, (it: ModelNotification) => void>> = {
    markRead: (it) => {
      it.isRead = true;
    },
    markUnread: (it) => {
      it.isRead = false;
    },
    delete: (it) => {
      it.isDeleted = true;
    },
    restore: (it) => {
      it.isDeleted = false;
    },
  };
  function refusal(model: Model, it: ModelNotification | undefined, change: Change, by: number): string | undefined {
    if (it === undefined || it.user !== by || !it.isShown) return 'NOTIFICATION.NOT_FOUND';
    if (change === 'delete') return undefined;
    if (it.expiresAt !== undefined && it.expiresAt <= model.now) return 'NOTIFICATION.EXPIRED';
    return change !== 'restore' && it.isDeleted ? 'NOTIFICATION.DELETED' : undefined;
  }
  const change = fc.constantFrom<Change>('markRead', 'markUnread', 'delete', 'restore');
  const changing = fc.record({ change, at: fc.nat(30), isOther: fc.constantFrom(false, false, false, false, true) });
  const changeStep = step('change', changing, async (model, real, it) => {
    const at = model.notifications.length === 0 ? 0 : it.at % model.notifications.length;
    const row = model.notifications[at];
    const by = it.isOther ? USERS - 1 - (row?.user ?? 0) : (row?.user ?? 0);
    const expected = refusal(model, row, it.change, by);
    const input = { userId: real.users[by] ?? '', notificationId: real.ids[at] ?? 'none' };
    const code = await CHANGES[it.change](notifications, input).then(
      () => undefined,
      (error) => error.code ?? error,
    );
    expect(code).toBe(expected);
    if (expected === undefined && row !== undefined) APPLY[it.change](row);
    met(expected ?? it.change);
  });

  it('have the same unread ones after any steps', async () => {
    const setUp = async () => {
      now += 24 * HOUR_MS;
      await clock.set(new Date(now));
      // What earlier runs left has expired.
      await expireNotifications(notifications, { limit: 10_000 });
      const model: Model = { now, notifications: [], isAppOff: [] };
      const users = Array.from({ length: USERS }, () => fresh('user'));
      return { model, real: { users, ids: [], repeat: undefined, repeatedId: '' } as Real };
    };
    const steps = [
      notifyStep,
      notifyManyStep,
      changeStep,
      changeStep,
      changeStep,
      markAllStep,
      expireStep,
      preferStep,
      repeatStep,
    ];

    await fc.assert(
      fc.asyncProperty(fc.commands(steps, { maxCommands: 30, size: 'max' }), async (commands) => {
        await fc.asyncModelRun(setUp, commands);
        expect(await reconcile(notifications)).toEqual([]);
      }),
      // Unbiased, because short runs combine few operations; with a fixed seed, so that everything in MET occurs.
      { numRuns: RUNS, unbiased: true, seed: SEED },
    );

    expect(MET.filter((name) => counts[name] === undefined)).toEqual([]);
  });
});
