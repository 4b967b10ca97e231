/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  completePhase,
  type Debate,
  getCycle,
  listPhases,
  moveStage,
  type Phase,
  reconcile,
  reportTasks,
  type Stage,
  startCycle,
} from '../src';
import { fresh, givenCycle, givenStore, givenStores, outcomes } from './given';

const STAGES: readonly Stage[] = ['proposing', 'critiquing', 'voting', 'executing'];
const ALLOWED = ['proposing>critiquing', 'critiquing>voting', 'voting>executing', 'voting>proposing'];
const PAIRS = STAGES.flatMap((from) => STAGES.map((to) => [from, to] as const));
const WAY: readonly Stage[] = ['critiquing', 'voting', 'executing'];

describe('the cycles of a loop', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  async function execute(loopId: string, phase: Phase, cycleNumber = 1): Promise<void> {
    for (const stage of WAY) await moveStage(debate, { loopId, cycleNumber, phase, stage });
  }

  it('go through five phases, each opened by the success of the one before', async () => {
    const { loopId } = await givenCycle(debate);
    for (const phase of ['debate', 'design', 'implement', 'verify', 'commit'] as const) {
      await execute(loopId, phase);
      await completePhase(debate, { loopId, cycleNumber: 1, phase, success: true, gitCommit: 'abc' });
    }

    const cycle = await getCycle(debate, { loopId, cycleNumber: 1 });
    expect(cycle).toMatchObject({ status: 'succeeded', isRolledBack: false });
    expect(cycle.phases.map(({ phase, stage, success }) => `${phase} ${stage} ${success}`)).toEqual(
      ['debate', 'design', 'implement', 'verify', 'commit'].map((phase) => `${phase} executing true`),
    );
    expect(await givenCycle(debate, loopId)).toMatchObject({ cycleNumber: 2, phase: 'debate', stage: 'proposing' });
    expect((await listPhases(debate, { loopId, limit: 1 })).items).toMatchObject([{ cycleNumber: 2 }]);
  });

  it('end with the first failure', async () => {
    const { loopId } = await givenCycle(debate);
    const failed = { loopId, cycleNumber: 1, phase: 'debate', success: false, errorMessage: 'No consensus' } as const;

    const [first, again] = [await completePhase(debate, failed), await completePhase(debate, failed)];

    expect(again).toEqual(first);
    expect(await getCycle(debate, { loopId, cycleNumber: 1 })).toMatchObject({ status: 'failed' });
    await expect(completePhase(debate, { ...failed, success: true })).rejects.toMatchObject({
      code: 'DEBATE.PHASE_ENDED',
    });
    await expect(moveStage(debate, { ...failed, stage: 'voting' } as never)).rejects.toMatchObject({
      code: 'DEBATE.INVALID_INPUT',
    });
  });

  it.each(PAIRS)(
    'go from %s to %s only if the table of stages allows it, even for the administrator',
    async (from, to) => {
      const { id, loopId } = await givenCycle(debate);
      const steps = { proposing: 0, critiquing: 1, voting: 2, executing: 3 };
      for (const stage of WAY.slice(0, steps[from])) {
        await moveStage(debate, { loopId, cycleNumber: 1, phase: 'debate', stage });
      }
      const isAllowed = from === to || ALLOWED.includes(`${from}>${to}`);

      const byAdmin = await db()
        // The statements are one transaction, which is rolled back.
        .admin(`UPDATE nomic_cycles SET stage = '${to}' WHERE id = ${id}; DO $$ BEGIN RAISE 'done'; END $$`)
        .catch(({ message }) => message);
      const [byStore] = await outcomes([moveStage(debate, { loopId, cycleNumber: 1, phase: 'debate', stage: to })]);

      expect([byAdmin, byStore]).toEqual(
        isAllowed ? ['done', 'done'] : ['stage_transition', 'DEBATE.ILLEGAL_TRANSITION'],
      );
    },
  );

  it('succeed only from the stage executing, and do not change after their end', async () => {
    const { id, loopId } = await givenCycle(debate);
    const phase = { loopId, cycleNumber: 1, phase: 'debate' } as const;

    await expect(completePhase(debate, { ...phase, success: true })).rejects.toMatchObject({
      code: 'DEBATE.ILLEGAL_TRANSITION',
      meta: { from: 'proposing', to: 'completed' },
    });
    await completePhase(debate, { ...phase, success: false });

    await expect(reportTasks(debate, { ...phase, completedTasks: 0 })).rejects.toMatchObject({
      code: 'DEBATE.PHASE_ENDED',
    });
    await expect(db().admin(`UPDATE nomic_cycles SET success = true WHERE id = ${id}`)).rejects.toMatchObject({
      message: 'phase_ended',
    });
  });

  it('start one at a time: of eight calls one starts a cycle, and of eight repeats all return it', async () => {
    const stores = givenStores(db(), 4);
    const [loopId, other] = [fresh('loop'), fresh('loop')];
    const racing = Array.from({ length: 8 }, (_, n) => stores[n % 4] as Debate);

    const started = await outcomes(
      racing.map((store, n) => startCycle(store, { loopId, idempotencyKey: `race-${loopId}-${n}` })),
    );
    const repeated = await Promise.all(
      racing.map((store) => startCycle(store, { loopId: other, idempotencyKey: other })),
    );

    expect([...started].sort()).toEqual([...Array(7).fill('DEBATE.CYCLE_OPEN'), 'done']);
    expect(new Set(repeated.map(({ id }) => id)).size).toBe(1);
    await expect(startCycle(debate, { loopId, idempotencyKey: other })).rejects.toMatchObject({
      code: 'DEBATE.KEY_REUSED',
    });
    await Promise.all(stores.map((store) => store.close()));
  });

  it('open the next phase once when eight workers complete a phase', async () => {
    const stores = givenStores(db(), 4);
    const { loopId } = await givenCycle(debate);
    await execute(loopId, 'debate');
    const done = { loopId, cycleNumber: 1, phase: 'debate', success: true } as const;

    const ended = await outcomes(Array.from({ length: 8 }, (_, n) => completePhase(stores[n % 4] as Debate, done)));

    expect(ended).toEqual(Array(8).fill('done'));
    expect((await getCycle(debate, { loopId, cycleNumber: 1 })).phases.map(({ phase }) => phase)).toEqual([
      'debate',
      'design',
    ]);
    const events = await db().admin("SELECT type FROM outbox WHERE key = $1 AND type LIKE '%phase-completed%'", [
      loopId,
    ]);
    expect(events).toHaveLength(1);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('count tasks upwards only, and never above their number', async () => {
    const { loopId } = await givenCycle(debate);
    const phase = { loopId, cycleNumber: 1, phase: 'debate' } as const;

    await reportTasks(debate, { ...phase, completedTasks: 2, totalTasks: 3 });
    expect(await reportTasks(debate, { ...phase, completedTasks: 1 })).toMatchObject({
      completedTasks: 2,
      totalTasks: 3,
    });
    await expect(reportTasks(debate, { ...phase, completedTasks: 4 })).rejects.toMatchObject({
      code: 'DEBATE.INVALID_INPUT',
    });
  });

  it('name what is missing', async () => {
    const nowhere = { loopId: 'nowhere', cycleNumber: 1 };
    await expect(getCycle(debate, nowhere)).rejects.toMatchObject({ code: 'DEBATE.CYCLE_NOT_FOUND' });
    await expect(moveStage(debate, { ...nowhere, phase: 'debate', stage: 'voting' })).rejects.toMatchObject({
      code: 'DEBATE.PHASE_NOT_FOUND',
    });
    expect(await reconcile(debate)).toEqual([]);
  });
});
