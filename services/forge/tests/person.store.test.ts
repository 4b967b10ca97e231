/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  cancelContract,
  erasePerson,
  exportPerson,
  type Forge,
  openForge,
  rateContract,
  reconcile,
  saveSkillProfile,
} from '../src';
import { fresh, givenApplication, givenContract, givenJob, givenPaid } from './given';

describe('a person in forge', () => {
  const db = useDatabase('forge');
  useTestClock(db, '2026-03-01T12:00:00Z');
  let forge: Forge;
  beforeAll(() => {
    forge = openForge({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(forge)).toEqual([]);
  });
  afterAll(() => forge.close());

  it('gets an export of every row about them', async () => {
    const paid = await givenPaid(forge);
    const { freelancerId: userId } = paid;
    await saveSkillProfile(forge, { userId, skills: ['Go'], bio: 'About me' });
    await rateContract(forge, {
      contractId: paid.id,
      authorId: userId,
      score: 5,
      comment: 'Fine',
      idempotencyKey: fresh('key'),
    });

    const found = await exportPerson(forge, userId);

    const counts = Object.fromEntries(Object.entries(found).map(([list, rows]) => [list, rows.length]));
    expect(counts).toEqual({
      ...{
        skillProfiles: 1,
        jobs: 0,
        applications: 1,
        contracts: 1,
        milestones: 1,
        escrows: 1,
        disputes: 0,
        ratings: 1,
      },
      auditLogs: 0,
    });
    expect(found['skillProfiles']?.[0]).toMatchObject({ user_id: userId, bio: 'About me' });
    expect(Object.values(await exportPerson(forge, 'nobody')).flat()).toEqual([]);
  });

  it('is erased once: text and ids go, contracts stay', async () => {
    const employer = fresh('boss');
    const paid = await givenPaid(forge);
    const { freelancerId: ada } = paid;
    await saveSkillProfile(forge, { userId: ada, skills: ['Go'], bio: 'Secret' });
    await rateContract(forge, {
      contractId: paid.id,
      authorId: ada,
      score: 5,
      comment: 'Secret',
      idempotencyKey: fresh('key'),
    });
    const other = await givenJob(forge);
    await db().admin('UPDATE applications SET cover_letter = $1 WHERE freelancer_id = $2', ['Secret', ada]);
    await db().admin(
      `INSERT INTO applications (id, job_id, freelancer_id, cover_letter, proposed_amount) VALUES ('open', $1, $2, 'Secret', 1)`,
      [other.id, ada],
    );
    const draft = await givenJob(forge, { employerId: ada, description: 'Secret', draft: true });
    const open = await givenJob(forge, { employerId: ada, description: 'Secret' });
    const applied = await givenApplication(forge, open.id);
    await givenJob(forge, { employerId: employer });

    const first = await erasePerson(forge, ada);

    expect(first).toEqual({ deleted: 2, anonymised: 5, retained: 1, running: 0 });
    expect(await erasePerson(forge, ada)).toEqual({ ...first, deleted: 0, anonymised: 0 });
    const rows = JSON.stringify(await exportPerson(forge, ada));
    expect(rows).not.toContain('Secret');
    const [jobs, mine] = await Promise.all([
      db().admin('SELECT id, status, title, employer_id ~ $3 AS nobody FROM jobs WHERE id IN ($1, $2)', [
        draft.id,
        open.id,
        '^erased-',
      ]),
      db().admin('SELECT status, cover_letter, freelancer_id ~ $1 AS nobody FROM applications WHERE id = $2', [
        '^erased-',
        'open',
      ]),
    ]);
    expect(jobs).toEqual([{ id: open.id, status: 'cancelled', title: '[erased]', nobody: true }]);
    expect(mine).toEqual([{ status: 'withdrawn', cover_letter: '[erased]', nobody: true }]);
    const [decided] = await db().admin('SELECT status FROM applications WHERE id = $1', [applied.id]);
    expect(decided).toEqual({ status: 'rejected' });
  });

  it('keeps what a running contract needs until it has ended', async () => {
    const contract = await givenContract(forge);
    const { employerId } = contract;

    expect(await erasePerson(forge, employerId)).toEqual({ deleted: 0, anonymised: 0, retained: 1, running: 1 });
    await cancelContract(forge, { contractId: contract.id, by: employerId });
    expect(await erasePerson(forge, employerId)).toEqual({ deleted: 0, anonymised: 1, retained: 1, running: 0 });
    const [job] = await db().admin('SELECT title, employer_id FROM jobs WHERE id = $1', [contract.jobId]);
    expect(job).toEqual({ title: '[erased]', employer_id: employerId });
  });
});
