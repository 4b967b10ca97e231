/** @server any */
import { useDatabase } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import {
  approveWork,
  cancelFunding,
  cancelJob,
  confirmSettlement,
  EVENTS,
  type Forge,
  openDispute,
  openForge,
  rateContract,
  requestChanges,
  resolveDispute,
  reviewDispute,
} from '../src';
import { fresh, fund, givenContract, givenFunded, givenJob, givenPaid, givenSubmitted, milestonesOf } from './given';

/** Text of a person, which no event repeats. */
const SECRET = 'Ada Lovelace, ada@azora.world';

describe('the events of forge', () => {
  const db = useDatabase('forge');
  let forge: Forge;
  beforeAll(() => {
    forge = openForge({ url: db().url });
  });
  afterAll(() => forge.close());

  it('are of every type, fit their schemas, have the key of their type, and repeat no text', async () => {
    const contract = await givenContract(forge, ['10', '20']);
    const [first = '', second = ''] = await milestonesOf(forge, contract);
    const { id: given } = await fund(forge, contract, second);
    await cancelFunding(forge, { escrowId: given });
    const key = () => ({ idempotencyKey: fresh('key') });
    await givenSubmitted(forge, contract, first);
    await requestChanges(forge, { milestoneId: first, by: contract.employerId, note: SECRET, ...key() });
    const dispute = { contractId: contract.id, raisedById: contract.employerId, reason: 'payment' } as const;
    const { id: disputeId } = await openDispute(forge, {
      ...dispute,
      milestoneId: first,
      description: SECRET,
      ...key(),
    });
    await reviewDispute(forge, { disputeId, by: 'judge' });
    const awards = [{ milestoneId: first, payout: '0' }];
    await resolveDispute(forge, { disputeId, arbiterId: 'judge', resolution: SECRET, awards, ...key() });
    const [escrow] = await db().admin(`SELECT id FROM escrows WHERE milestone_id = $1`, [first]);
    await confirmSettlement(forge, { escrowId: String(escrow?.['id']) });
    await givenFunded(forge, contract, second);
    const paid = await givenPaid(forge, '0.00000001');
    await rateContract(forge, {
      contractId: paid.id,
      authorId: paid.freelancerId,
      score: 1,
      comment: SECRET,
      ...key(),
    });
    const job = await givenJob(forge, { title: SECRET, description: SECRET });
    await cancelJob(forge, { jobId: job.id, by: job.employerId });

    const published = await db().admin('SELECT type, key, payload FROM outbox ORDER BY position');
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const types = new Map(EVENTS.map((event) => [event.type, event as (typeof EVENTS)[number]]));
    const faults = published.filter(({ type, key: found, payload }) => {
      const event = types.get(String(type));
      return event === undefined || !ajv.validate(event.jsonSchema, payload) || event.key(payload as never) !== found;
    });

    expect(faults).toEqual([]);
    expect([...new Set(published.map(({ type }) => String(type)))].sort()).toEqual(
      EVENTS.map(({ type }) => type).sort(),
    );
    expect(JSON.stringify(published)).not.toContain('Ada');
  });

  it('are not published by a call that is repeated or rejected', async () => {
    const contract = await givenContract(forge);
    const [milestoneId = ''] = await milestonesOf(forge, contract);
    const asked = { milestoneId, by: contract.employerId };
    await givenSubmitted(forge, contract, milestoneId);
    await approveWork(forge, asked);
    const count = async () => (await db().admin('SELECT count(*)::int AS events FROM outbox'))[0];
    const before = await count();

    await approveWork(forge, asked);
    await approveWork(forge, { ...asked, by: 'thief' }).catch(() => undefined);

    expect(await count()).toEqual(before);
  });
});
