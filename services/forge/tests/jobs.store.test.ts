/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  cancelJob,
  closeJob,
  deleteJob,
  type Forge,
  getApplication,
  getJob,
  listJobs,
  openForge,
  postJob,
  publishJob,
  restoreJob,
  searchJobs,
  updateJob,
} from '../src';
import { fresh, givenApplication, givenContract, givenJob, namesOf, publishedFor } from './given';

const HOUR_MS = 3_600_000;

describe('jobs', () => {
  const db = useDatabase('forge');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let forge: Forge;
  beforeAll(() => {
    forge = openForge({ url: db().url });
  });
  afterAll(() => forge.close());

  it('are posted once per key, as open', async () => {
    const input = {
      employerId: fresh('boss'),
      title: 'Site',
      description: 'A site',
      category: 'Web',
      skills: ['React', ' React'],
      budget: '12.50',
      deadline: new Date(clock.now().getTime() + HOUR_MS),
      idempotencyKey: fresh('key'),
    };

    const job = await postJob(forge, input);

    const { idempotencyKey: _, ...body } = input;
    expect(job).toMatchObject({
      ...body,
      skills: ['React'],
      budget: expect.anything(),
      status: 'open',
      currency: 'AZR',
    });
    expect([job.budget.toFixed(), job.publishedAt, job.createdAt]).toEqual(['12.5', clock.now(), clock.now()]);
    expect(await postJob(forge, { ...input, budget: '12.5' })).toEqual(job);
    expect((await listJobs(forge, { employerId: input.employerId })).items).toEqual([job]);
    await expect(postJob(forge, { ...input, budget: '13' })).rejects.toMatchObject({ code: 'FORGE.KEY_REUSED' });
    expect(namesOf(await publishedFor(db(), job.id))).toEqual(['job-published']);
  });

  it('take a body with the same key only once when two processes race', async () => {
    const employerId = fresh('boss');
    const input = {
      title: 'A',
      description: 'A',
      category: 'A',
      budget: '1',
      employerId,
      idempotencyKey: fresh('key'),
    };

    const made = await Promise.all([1, 2, 3, 4].map(() => postJob(forge, input)));

    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  });

  it('are drafts until they are published, and closed or canceled once', async () => {
    const job = await givenJob(forge, { draft: true });
    const asked = { jobId: job.id, by: job.employerId };
    expect([job.status, job.publishedAt]).toEqual(['draft', null]);
    await expect(closeJob(forge, asked)).rejects.toMatchObject({
      code: 'FORGE.ILLEGAL_TRANSITION',
      meta: { from: 'draft', to: 'closed' },
    });

    const open = await publishJob(forge, asked);
    const application = await givenApplication(forge, job.id);
    const closed = await closeJob(forge, asked);

    expect([open.status, closed.status, closed.closedAt]).toEqual(['open', 'closed', clock.now()]);
    expect(await publishJob(forge, asked).catch(({ code }) => code)).toBe('FORGE.ILLEGAL_TRANSITION');
    expect(await closeJob(forge, asked)).toEqual(closed);
    expect(await getApplication(forge, { applicationId: application.id })).toMatchObject({ status: 'rejected' });
    expect(namesOf(await publishedFor(db(), job.id))).toEqual([
      'job-published',
      'application-submitted',
      'job-closed',
      'application-moved',
    ]);
  });

  it('change while they are open, for their employer only', async () => {
    const job = await givenJob(forge, { deadline: new Date(clock.now().getTime() + HOUR_MS) });
    const asked = { jobId: job.id, by: job.employerId };

    const changed = await updateJob(forge, { ...asked, title: 'New', skills: ['Vue'], budget: '7', deadline: null });

    expect(changed).toMatchObject({ title: 'New', skills: ['Vue'], deadline: null, description: job.description });
    expect(changed.budget.toFixed()).toBe('7');
    expect((await searchJobs(forge, { skills: ['vue'] })).items).toEqual([changed]);
    await expect(updateJob(forge, { ...asked, by: 'thief' })).rejects.toMatchObject({ code: 'FORGE.NOT_ALLOWED' });
    await expect(updateJob(forge, { ...asked, deadline: clock.now() })).rejects.toMatchObject({
      code: 'FORGE.INVALID_INPUT',
      meta: { fields: ['deadline'] },
    });
    await cancelJob(forge, asked);
    await expect(updateJob(forge, { ...asked, title: 'x' })).rejects.toMatchObject({ code: 'FORGE.JOB_FIXED' });
  });

  it('are deleted softly and restored, but not while they are open or in progress', async () => {
    const contract = await givenContract(forge);
    const job = await givenJob(forge);
    const asked = { jobId: job.id, by: job.employerId };
    const running = { jobId: contract.jobId, by: contract.employerId };
    await expect(deleteJob(forge, asked)).rejects.toMatchObject({ code: 'FORGE.JOB_FIXED' });
    await expect(deleteJob(forge, running)).rejects.toMatchObject({ code: 'FORGE.JOB_FIXED' });
    await closeJob(forge, asked);

    const deleted = await deleteJob(forge, asked);
    const repeated = await deleteJob(forge, asked);
    const refused = await updateJob(forge, { ...asked, title: 'x' }).catch(({ code }) => code);
    const restored = await restoreJob(forge, asked);

    expect([deleted.deletedAt, repeated, refused]).toEqual([clock.now(), deleted, 'FORGE.JOB_NOT_FOUND']);
    expect(restored.deletedAt).toBeNull();
    expect(await getJob(forge, { jobId: job.id })).toEqual(restored);
  });

  it('are listed by pages, newest first', async () => {
    const employerId = fresh('boss');
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      ids.unshift((await givenJob(forge, { employerId })).id);
      // Two jobs have one time, so that the id decides between them.
      if (n !== 2) await clock.move(1);
    }
    const first = await listJobs(forge, { employerId, limit: 2 });
    const second = await listJobs(forge, { employerId, limit: 2, cursor: String(first.nextCursor) });
    const third = await listJobs(forge, { employerId, limit: 2, cursor: String(second.nextCursor) });

    const pages = [...first.items, ...second.items, ...third.items].map(({ id }) => id);
    expect([...pages].sort()).toEqual([...ids].sort());
    expect([pages[0], pages[4], third.nextCursor]).toEqual([ids[0], ids[4], null]);
    expect((await listJobs(forge, { employerId, status: 'closed' })).items).toEqual([]);
  });

  it.each([
    ['a number as the budget', { budget: 5 as never }, 'MONEY.NOT_DECIMAL'],
    ['a budget of 0', { budget: '0' }, 'FORGE.INVALID_INPUT'],
    ['a blank title', { title: ' ' }, 'FORGE.INVALID_INPUT'],
    ['51 skills', { skills: Array.from({ length: 51 }, (_, n) => `skill ${n}`) }, 'FORGE.INVALID_INPUT'],
    ['a deadline that is now', { deadline: new Date('2026-03-01T12:00:00Z') }, 'FORGE.INVALID_INPUT'],
    ['NUL in the description', { description: 'a\0b' }, 'FORGE.INVALID_INPUT'],
  ])('reject %s', async (_what, change, code) => {
    await expect(givenJob(forge, change)).rejects.toMatchObject({ code });
  });

  it('that do not exist are an error', async () => {
    await expect(getJob(forge, { jobId: 'none' })).rejects.toMatchObject({ code: 'FORGE.JOB_NOT_FOUND' });
    await expect(closeJob(forge, { jobId: 'none', by: 'x' })).rejects.toMatchObject({ code: 'FORGE.JOB_NOT_FOUND' });
  });
});
