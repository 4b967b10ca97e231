/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  addStep,
  changePathStatus,
  createPath,
  getPath,
  listPaths,
  listSteps,
  openSapiens,
  recordStepProgress,
  removeStep,
  reorderSteps,
  type Sapiens,
  setStepPrerequisites,
} from '../src';
import { fresh, givenPath, givenStores, outcomes, published } from './given';

describe('learning paths', () => {
  const db = useDatabase('sapiens');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let sapiens: Sapiens;
  beforeAll(() => {
    sapiens = openSapiens({ url: db().url });
  });
  afterAll(() => sapiens.close());

  const done = (stepId: string) => recordStepProgress(sapiens, { stepId, percent: 100 });
  const orderOf = async (pathId: string) =>
    (await listSteps(sapiens, { pathId })).map(({ id, position }) => [id, position]);

  it('open a step when its prerequisites are completed, and are completed by the last step', async () => {
    const { path, stepIds } = await givenPath(sapiens);
    const [first = '', second = '', third = ''] = stepIds;
    const before = (await published(db())).length;

    await expect(done(third)).rejects.toMatchObject({
      code: 'SAPIENS.PREREQUISITES_MISSING',
      meta: { missing: [first, second] },
    });
    await done(first);
    await recordStepProgress(sapiens, { stepId: second, percent: 40, score: 0.5, timeSpentMinutes: 7 });
    const steps = await listSteps(sapiens, { pathId: path.id });
    expect(steps.map(({ percent, isOpen, prerequisiteIds }) => [percent, isOpen, prerequisiteIds])).toEqual([
      [100, true, []],
      [40, true, [first]],
      [0, false, [first, second]],
    ]);
    await done(second);
    await clock.move(1000);
    await done(third);

    expect(await getPath(sapiens, { pathId: path.id })).toMatchObject({
      status: 'completed',
      completedAt: clock.now(),
    });
    expect((await published(db(), before)).map(({ type }) => type)).toEqual([
      ...Array(3).fill('sapiens.step-completed.v1'),
      'sapiens.path-completed.v1',
    ]);
    expect((await done(third)).percent).toBe(100);
  });

  it('keep the highest progress: late and repeated reports change nothing', async () => {
    const { stepIds } = await givenPath(sapiens);
    const stepId = stepIds[0] ?? '';
    const stores = givenStores(db(), 4);
    const percents = [10, 90, 50, 70, 30, 20, 60, 80];
    await Promise.all(
      percents.map((percent, n) =>
        recordStepProgress(stores[n % 4] ?? sapiens, { stepId, percent, timeSpentMinutes: percent / 10 }),
      ),
    );

    expect(await recordStepProgress(sapiens, { stepId, percent: 5 })).toMatchObject({
      percent: 90,
      timeSpentMinutes: 9,
      completedAt: null,
    });
    await Promise.all(stores.map((store) => store.close()));
  });

  it('complete a path once when its last steps are reported at once', async () => {
    const steps = Array.from({ length: 4 }, (_, n) => ({ title: `Step ${n}`, estimatedMinutes: 1 }));
    const { path, stepIds } = await givenPath(sapiens, { steps });
    const stores = givenStores(db(), 4);
    await Promise.all(stepIds.map((stepId, n) => recordStepProgress(stores[n] ?? sapiens, { stepId, percent: 100 })));

    const events = (await published(db())).filter(({ payload }) => payload['pathId'] === path.id);
    expect(events.filter(({ type }) => type === 'sapiens.path-completed.v1')).toHaveLength(1);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('keep their steps in an order without gaps, in which prerequisites come first', async () => {
    const { path, stepIds } = await givenPath(sapiens);
    const [first = '', second = '', third = ''] = stepIds;
    const { id: added } = await addStep(sapiens, { pathId: path.id, title: 'Types', estimatedMinutes: 5, position: 2 });
    expect(await orderOf(path.id)).toEqual([first, added, second, third].map((id, index) => [id, index + 1]));

    await expect(
      reorderSteps(sapiens, { pathId: path.id, stepIds: [second, first, added, third] }),
    ).rejects.toMatchObject({ code: 'SAPIENS.PREREQUISITE_ORDER' });
    await expect(setStepPrerequisites(sapiens, { stepId: added, prerequisiteIds: [third] })).rejects.toMatchObject({
      code: 'SAPIENS.PREREQUISITE_ORDER',
    });
    expect(await setStepPrerequisites(sapiens, { stepId: added, prerequisiteIds: [first, first] })).toEqual([first]);
    await reorderSteps(sapiens, { pathId: path.id, stepIds: [first, second, third, added] });
    await removeStep(sapiens, { stepId: second });
    expect(await orderOf(path.id)).toEqual([first, third, added].map((id, index) => [id, index + 1]));
    await done(first);
    // The third step needed the removed one.
    await done(third);
    await expect(removeStep(sapiens, { stepId: third })).rejects.toMatchObject({ code: 'SAPIENS.STEP_STARTED' });
    await expect(setStepPrerequisites(sapiens, { stepId: third, prerequisiteIds: [] })).rejects.toMatchObject({
      code: 'SAPIENS.STEP_STARTED',
    });
    await removeStep(sapiens, { stepId: added });
    expect((await getPath(sapiens, { pathId: path.id })).status).toBe('completed');
    await expect(addStep(sapiens, { pathId: path.id, title: 'x', estimatedMinutes: 1 })).rejects.toMatchObject({
      code: 'SAPIENS.PATH_CLOSED',
    });
  });

  it('keep the order when clients add, move and remove steps at once', async () => {
    const steps = Array.from({ length: 4 }, (_, n) => ({ title: `Step ${n}`, estimatedMinutes: 1 }));
    const { path, stepIds } = await givenPath(sapiens, { steps });
    const stores = givenStores(db(), 4);
    await Promise.all(
      stores.flatMap((store, n) => [
        addStep(store, { pathId: path.id, title: `New ${n}`, estimatedMinutes: 1, position: 1 }),
        removeStep(store, { stepId: stepIds[n] ?? '' }),
      ]),
    );

    const left = await listSteps(sapiens, { pathId: path.id });
    expect(left.map(({ position }) => position)).toEqual([1, 2, 3, 4]);
    expect(left.map(({ title }) => title).sort()).toEqual(['New 0', 'New 1', 'New 2', 'New 3']);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('pause, resume and are abandoned; progress is recorded in an active path', async () => {
    const { path, stepIds } = await givenPath(sapiens);
    const pathId = path.id;
    await changePathStatus(sapiens, { pathId, status: 'paused' });
    await expect(done(stepIds[0] ?? '')).rejects.toMatchObject({ code: 'SAPIENS.PATH_CLOSED' });
    expect(await changePathStatus(sapiens, { pathId, status: 'active' })).toMatchObject({ status: 'active' });
    await changePathStatus(sapiens, { pathId, status: 'abandoned' });
    await expect(changePathStatus(sapiens, { pathId, status: 'active' })).rejects.toMatchObject({
      code: 'SAPIENS.STATUS_REFUSED',
      meta: { from: 'abandoned', to: 'active' },
    });
  });

  it('are open once per title, and made once per key', async () => {
    const studentId = fresh('student');
    const stores = givenStores(db(), 4);
    const found = await outcomes(
      stores.map((store, n) => givenPath(store, { studentId, title: n % 2 ? 'PYTHON' : 'Python' })),
    );
    expect([...found].sort()).toEqual([...Array(3).fill('SAPIENS.PATH_EXISTS'), 'done']);

    const input = {
      ...{ studentId, title: 'Go', subject: 'Go', estimatedHours: 1 },
      startLevel: 'beginner',
      targetLevel: 'beginner',
      steps: [{ title: 'One', estimatedMinutes: 1 }],
      idempotencyKey: fresh('key'),
    } as const;
    const made = await Promise.all(stores.map((store) => createPath(store, input)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect((await listPaths(sapiens, { studentId })).items.map(({ title }) => title)[0]).toBe('Go');
    await Promise.all(stores.map((store) => store.close()));
  });

  it.each([
    [{ targetLevel: 'beginner', startLevel: 'expert' } as const, 'targetLevel'],
    [{ steps: [{ title: 'One', estimatedMinutes: 1, needs: [1] }] }, 'steps'],
    [{ steps: [] }, 'steps'],
    [{ estimatedHours: 0 }, 'estimatedHours'],
  ])('name the invalid field of %j', async (fields, field) => {
    await expect(givenPath(sapiens, fields)).rejects.toMatchObject({
      code: 'SAPIENS.INVALID_INPUT',
      meta: { fields: [field] },
    });
  });

  it('name the invalid field of an order, a position and unknown ids', async () => {
    const { path, stepIds } = await givenPath(sapiens);
    const pathId = path.id;
    await expect(reorderSteps(sapiens, { pathId, stepIds: stepIds.slice(1) })).rejects.toMatchObject({
      meta: { fields: ['stepIds'] },
    });
    await expect(addStep(sapiens, { pathId, title: 'x', estimatedMinutes: 1, position: 5 })).rejects.toMatchObject({
      meta: { fields: ['position'] },
    });
    const stranger = await givenPath(sapiens);
    const foreign = { stepId: stepIds[2] ?? '', prerequisiteIds: [stranger.stepIds[0] ?? ''] };
    await expect(setStepPrerequisites(sapiens, foreign)).rejects.toMatchObject({ code: 'SAPIENS.STEP_NOT_FOUND' });
    await expect(removeStep(sapiens, { stepId: 'none' })).rejects.toMatchObject({ code: 'SAPIENS.STEP_NOT_FOUND' });
    await expect(getPath(sapiens, { pathId: 'none' })).rejects.toMatchObject({ code: 'SAPIENS.PATH_NOT_FOUND' });
  });
});
