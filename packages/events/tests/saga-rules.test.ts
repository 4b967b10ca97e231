import { randomUUID } from 'node:crypto';
import { schemaRefuses, useDatabase, useTestClock } from '@azora/db-testkit';
import { SAGA_TRANSITIONS, type SagaRow, type SagaState } from '../src/saga/saga-state';

const STATES = Object.keys(SAGA_TRANSITIONS) as SagaState[];
const STEPS = ['reserve', 'confirm', 'pay'];
const DIVISION_BY_ZERO = '22012';
const DEFINITIONS = JSON.stringify([{ name: 'rules', steps: STEPS }]);

describe('the rules of sagas in the database', () => {
  const db = useDatabase('nexus');
  const clock = useTestClock(db, '2026-03-01T00:00:00Z');

  beforeEach(async () => {
    await db().admin(
      'ALTER TABLE sagas DISABLE TRIGGER USER; DELETE FROM sagas; ALTER TABLE sagas ENABLE TRIGGER USER',
    );
  });

  const start = async (deadlineMs: number | null = null) => {
    const call = `SELECT id FROM start_saga('rules', $1, '{}', $2, $3, 2)`;
    const [row] = await db().app(call, [randomUUID(), STEPS, deadlineMs]);
    return String(row?.['id']);
  };
  const claim = async (owner: string, limit = 10, leaseMs = 1_000) =>
    (await db().app('SELECT * FROM claim_sagas($1, $2, $3, $4)', [owner, DEFINITIONS, limit, leaseMs])) as SagaRow[];
  const record = async (owner: string, outcomes: readonly object[], goesOn = true) =>
    (await db().app('SELECT * FROM record_sagas($1, $2, $3, 1000)', [
      owner,
      JSON.stringify(outcomes),
      goesOn,
    ])) as SagaRow[];
  const read = async (id: string) => (await db().admin('SELECT * FROM sagas WHERE id = $1', [id]))[0] as SagaRow;

  /** Columns that fit a state, at a step. */
  const columnsOf = (state: SagaState, step: number, failed: boolean) =>
    `state = '${state}', step = ${step}, failure = ${failed ? `'refused'` : 'NULL'}, owner = NULL, deadline = NULL,
     finished_at = ${state === 'done' || state === 'compensated' ? 'database_time()' : 'NULL'}`;
  /** Puts a saga into a state, past the triggers. */
  const put = (id: string, columns: string) =>
    db().admin(`ALTER TABLE sagas DISABLE TRIGGER USER; UPDATE sagas SET ${columns} WHERE id = '${id}';
      ALTER TABLE sagas ENABLE TRIGGER USER`);
  const stepsOf: Readonly<Record<SagaState, readonly number[]>> = {
    running: [0, 1, 2],
    compensating: [1, 2, 3],
    done: [3],
    compensated: [0],
    stuck: [0, 1, 2, 3],
  };
  const isFailed = (state: SagaState) => state === 'compensating' || state === 'compensated';

  it('allow exactly the transitions of SAGA_TRANSITIONS, by one step at most', async () => {
    const id = await start();
    const places = STATES.flatMap((state) =>
      stepsOf[state].flatMap((step) =>
        (state === 'stuck' ? [true, false] : [isFailed(state)]).map((failed) => ({ state, step, failed })),
      ),
    );
    const found: string[] = [];
    for (const from of places) {
      await put(id, columnsOf(from.state, from.step, from.failed));
      for (const to of places) {
        const change = `UPDATE sagas SET version = version + 1, ${columnsOf(to.state, to.step, to.failed)} WHERE id = '${id}'`;
        // The division rolls an accepted change back.
        const outcome = await db()
          .admin(`${change}; SELECT 1 / 0`)
          .catch(({ code, constraint }) => constraint ?? code);
        if (outcome !== 'sagas_transition') found.push(`${outcome} ${nameOf(from)}: ${nameOf(to)}`);
      }
    }

    const expected = places.flatMap((from) =>
      places
        .filter((to) => SAGA_TRANSITIONS[from.state].includes(to.state) && isStepAllowed(from, to))
        .map((to) => `${DIVISION_BY_ZERO} ${nameOf(from)}: ${nameOf(to)}`),
    );
    expect(found.toSorted()).toEqual(expected.toSorted());
    expect(found.length).toBeGreaterThan(20);
  });

  it.each([
    ['its version', 'version = version'],
    ['its version by two', 'version = version + 2'],
    ['its name', `name = 'other'`],
    ['its key', `key = 'other'`],
    ['its input', `input = '{"a": 1}'`],
    ['its steps', `steps = '{a,b,c,d}'`],
    ['its id', 'id = gen_random_uuid()'],
    ['its maximum of attempts', 'max_attempts = 3'],
    ['its start', `created_at = created_at - interval '1 day'`],
  ])('reject a change, even of the administrator, of %s', async (_, change) => {
    await start();
    const version = change.includes('version =') ? '' : ', version = version + 1';

    await schemaRefuses(db().admin(`UPDATE sagas SET ${change}${version}`), 'sagas_transition');
  });

  it('keep an unfinished saga, and let the administrator delete a finished one', async () => {
    const id = await start();
    await schemaRefuses(db().admin('DELETE FROM sagas'), 'sagas_kept');
    await put(id, columnsOf('stuck', 1, false));
    await schemaRefuses(db().admin('DELETE FROM sagas'), 'sagas_kept');
    await put(id, columnsOf('done', 3, false));

    await db().admin('DELETE FROM sagas');

    expect(await db().admin('SELECT FROM sagas')).toEqual([]);
  });

  it.each([
    `INSERT INTO sagas (name, key, input, steps) VALUES ('x', 'x', '{}', '{a}')`,
    `UPDATE sagas SET state = 'done'`,
    'UPDATE sagas SET version = version + 1',
    'DELETE FROM sagas',
    'TRUNCATE sagas',
    'SELECT write_saga(sagas, now()) FROM sagas',
    'SELECT FROM sagas FOR UPDATE',
    'ALTER TABLE sagas DISABLE TRIGGER ALL',
  ])('give the app role no right to: %s', async (sql) => {
    await start();

    await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
  });

  it.each([
    ['another owner', (saga: SagaRow) => [randomUUID(), { id: saga.id, version: saga.version }] as const],
    ['an old version', (saga: SagaRow) => [saga.owner ?? '', { id: saga.id, version: '0' }] as const],
    ['a future version', (saga: SagaRow) => [saga.owner ?? '', { id: saga.id, version: '9' }] as const],
    ['no version', (saga: SagaRow) => [saga.owner ?? '', { id: saga.id }] as const],
    ['an unknown saga', (saga: SagaRow) => [saga.owner ?? '', { id: randomUUID(), version: saga.version }] as const],
  ])('skip an outcome of %s', async (_, attack) => {
    const id = await start();
    const [saga] = await claim(randomUUID());
    const before = await read(id);
    const [owner, outcome] = attack(saga as SagaRow);

    expect(await record(owner, [{ ...outcome, outcome: 'succeeded' }])).toEqual([]);
    expect(await read(id)).toEqual(before);
  });

  it('move a saga by one step, however often a call names it', async () => {
    const id = await start();
    const owner = randomUUID();
    const [{ version } = { version: '' }] = await claim(owner);
    const outcome = { id, version, outcome: 'succeeded' };

    expect(await record(owner, [outcome, outcome, { ...outcome, version: `${Number(version) + 1}` }])).toHaveLength(2);
    expect(await read(id)).toMatchObject({ step: 2 });
  });

  it('skip an outcome without a claim, and reject one that does not exist', async () => {
    const id = await start();
    expect(await record(randomUUID(), [{ id, version: '0', outcome: 'succeeded' }])).toEqual([]);
    const owner = randomUUID();
    const [{ version } = { version: '' }] = await claim(owner);

    await expect(record(owner, [{ id, version, outcome: 'done' }])).rejects.toMatchObject({ code: '22023' });
  });

  it('give each saga to one of eight workers that claim at the same time', async () => {
    await Promise.all(Array.from({ length: 40 }, () => start()));

    const claimed = await Promise.all(Array.from({ length: 8 }, () => claim(randomUUID(), 10)));

    const ids = claimed.flat().map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const rest = await claim(randomUUID(), 100);
    expect(ids.length + rest.length).toBe(40);
  });

  it('let a worker have a saga until its lease ends, and fence it afterwards', async () => {
    const id = await start();
    const [first, second] = [randomUUID(), randomUUID()];
    const [mine] = await claim(first);
    await clock.move(999);
    expect(await claim(second)).toEqual([]);
    await clock.move(1);
    const [theirs] = await claim(second);

    expect(theirs).toMatchObject({ id, owner: second, attempts: 2 });
    expect(await record(first, [{ id, version: mine?.version, outcome: 'succeeded' }])).toEqual([]);
    expect(await record(second, [{ id, version: theirs?.version, outcome: 'succeeded' }])).toMatchObject([{ step: 1 }]);
  });

  it('accept the outcome of a worker whose lease has ended if nobody has taken the saga', async () => {
    const id = await start();
    const owner = randomUUID();
    const [mine] = await claim(owner);
    await clock.move(60_000);

    expect(await record(owner, [{ id, version: mine?.version, outcome: 'succeeded' }])).toMatchObject([{ step: 1 }]);
  });

  it('let a claim and a record that race change a saga once', async () => {
    const id = await start();
    const [first, second] = [randomUUID(), randomUUID()];
    const [mine] = await claim(first);
    await clock.move(1_000);

    const [recorded, taken] = await Promise.all([
      record(first, [{ id, version: mine?.version, outcome: 'succeeded' }]),
      claim(second),
    ]);

    const now = await read(id);
    // The claim comes first, skips the locked row, or finds a new lease.
    expect(recorded.length + taken.length).toBe(1);
    expect(now).toMatchObject({ step: recorded.length, owner: recorded.length === 1 ? first : second, version: '2' });
  });

  it('bound the lease that a caller may ask for', async () => {
    await start();
    const [saga] = await claim(randomUUID(), 1, 2_000_000_000);

    expect(saga?.next_at).toEqual(new Date(clock.now().getTime() + 3_600_000));
  });

  it('retry only a stuck saga', async () => {
    const id = await start();

    expect(await db().app('SELECT * FROM retry_saga($1)', [id])).toEqual([]);
    expect(await read(id)).toMatchObject({ version: '0' });
  });
});

interface Place {
  readonly state: SagaState;
  readonly step: number;
  readonly failed: boolean;
}

function nameOf({ state, step, failed }: Place): string {
  return `${state} ${step}${failed ? ' failed' : ''}`;
}

/** One step forwards while a saga runs, one back while it is compensated, and none into and out of `stuck`. */
function isStepAllowed(from: Place, to: Place): boolean {
  const moved = to.step - from.step;
  if (from.state === 'stuck') return moved === 0 && to.failed === from.failed;
  if (to.state === 'stuck') return moved === 0 && to.failed === from.failed;
  if (from.state === 'compensating') return moved === -1 || (moved === 0 && to.state === 'compensating');
  if (to.state === 'done') return moved === 1;
  return moved === 0 || (moved === 1 && to.state !== 'compensated');
}
