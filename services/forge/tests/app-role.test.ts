import { useDatabase } from '@azora/db-testkit';
import { type Forge, openForge, reconcile } from '../src';
import { fresh, givenContract, givenFunded, givenPaid, milestonesOf } from './given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const TABLES = [
  'jobs',
  'applications',
  'contracts',
  'milestones',
  'escrows',
  'disputes',
  'ratings',
  'skill_profiles',
  'requests',
];

describe('the app role with its own SQL', () => {
  const db = useDatabase('forge');
  let forge: Forge;
  let ids: Readonly<Record<string, string>> = {};
  beforeAll(async () => {
    forge = openForge({ url: db().url });
    const contract = await givenContract(forge);
    const [milestone = ''] = await milestonesOf(forge, contract);
    const { id: escrow } = await givenFunded(forge, contract, milestone);
    const paid = await givenPaid(forge);
    ids = { contract: contract.id, milestone, escrow, paid: paid.id, employer: contract.employerId };
  });
  afterEach(async () => {
    expect(await reconcile(forge)).toEqual([]);
  });
  afterAll(() => forge.close());

  const dump = async () => {
    const lists = TABLES.map(
      (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
    );
    return JSON.stringify(await db().admin(`SELECT ${lists.join(', ')}, (SELECT count(*) FROM outbox) AS events`));
  };

  it.each(TABLES)('only reads %s', async (table) => {
    const before = await dump();
    for (const sql of [`DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`, `INSERT INTO ${table} DEFAULT VALUES`]) {
      await expect(db().app(sql)).rejects.toMatchObject({ code: NO_RIGHT });
    }
    await expect(db().app(`UPDATE ${table} SET created_at = now()`)).rejects.toMatchObject({ code: NO_RIGHT });
    expect(await dump()).toBe(before);
  });

  it.each([
    ["SELECT settle_escrow('x', 1)", NO_RIGHT],
    ["SELECT finish_contract('x')", NO_RIGHT],
    ["SELECT count_result('x', 1, 1, 'AZR', 5)", NO_RIGHT],
    ["SELECT begin_request('x', 'x', '{}', 'x')", NO_RIGHT],
    ["SELECT nextval('jobs_publication_seq')", NO_RIGHT],
    ["CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'", NO_RIGHT],
    ['ALTER TABLE escrows DISABLE TRIGGER ALL', NO_RIGHT],
    ["SET session_replication_role = 'replica'", NO_RIGHT],
    ["SELECT confirm_settlement('{escrow}', 'transaction')", 'AZ001'],
    ["SELECT confirm_funding('{escrow}', NULL)", 'AZ001'],
    ["SELECT move_milestone('{milestone}', '{employer}', 'approved', NULL)", 'AZ001'],
    ["SELECT move_milestone('{milestone}', '{employer}', 'settled', NULL)", 'AZ001'],
    ["SELECT move_milestone('{milestone}', NULL, 'submitted', 'x')", 'AZ001'],
    ["SELECT move_job((SELECT job_id FROM contracts WHERE id = '{contract}'), '{employer}', 'closed')", 'AZ001'],
    ["SELECT cancel_contract('{contract}', '{employer}')", 'AZ001'],
    ["SELECT cancel_contract('{contract}', NULL)", 'AZ001'],
    [`SELECT rate_contract('k', 'r', '{"contractId": "{contract}", "authorId": "{employer}", "score": 5}')`, 'AZ001'],
    [`SELECT rate_contract('k', 'r', '{"contractId": "{paid}", "score": 5}')`, '23502'],
    [
      `SELECT post_job('k', 'j', '{"employerId": "x", "title": "x", "description": "x", "category": "x", "budget": "NaN", "currency": "AZR"}')`,
      '23514',
    ],
    [`SELECT post_job(' ', 'j', '{}')`, '23514'],
  ])('cannot run: %s', async (sql, code) => {
    const before = await dump();

    await expect(db().app(sql.replace(/\{(\w+)\}/g, (_, name) => ids[name] ?? ''))).rejects.toMatchObject({ code });

    expect(await dump()).toBe(before);
  });

  it('cannot pay more than an escrow holds, or less than nothing', async () => {
    const dispute = fresh('dispute');
    const open = { contractId: ids['contract'], raisedById: ids['employer'], reason: 'scope', description: 'x' };
    await db().app('SELECT open_dispute($1, $2, $3)', [fresh('key'), dispute, JSON.stringify(open)]);
    const before = await dump();
    for (const payout of ['100.00000001', '-1', 'NaN', null]) {
      const awards = [{ milestoneId: ids['milestone'], payout }];
      const input = { disputeId: dispute, arbiterId: 'judge', resolution: 'x', awards };
      await expect(
        db().app('SELECT resolve_dispute($1, $2)', [fresh('key'), JSON.stringify(input)]),
      ).rejects.toMatchObject({ message: 'award_invalid' });
    }
    expect(await dump()).toBe(before);
  });

  it.each([
    ["UPDATE escrows SET amount = 1 WHERE id = '{escrow}'", 'violates foreign key'],
    ["UPDATE escrows SET payer_wallet_id = 'thief' WHERE id = '{escrow}'", 'escrow_fixed'],
    ["UPDATE escrows SET hold_id = 'other' WHERE id = '{escrow}'", 'escrow_fixed'],
    ["UPDATE contracts SET freelancer_id = 'thief' WHERE id = '{paid}'", 'violates foreign key'],
    ["UPDATE contracts SET amount = 1000 WHERE id = '{paid}'", 'contract_fixed'],
    ['UPDATE ratings SET score = 1', 'rating_fixed'],
    [
      `INSERT INTO ratings (id, contract_id, author_id, ratee_id, ratee_role, score)
        VALUES ('r', '{paid}', 'stranger', 'x', 'freelancer', 5)`,
      'not_ratable',
    ],
  ])('and the administrator cannot rewrite what was agreed: %s', async (sql, rule) => {
    const { employerId, id } = await givenPaid(forge);
    await db().app('SELECT rate_contract($1, $1, $2)', [
      fresh('rating'),
      JSON.stringify({ contractId: id, authorId: employerId, score: 5 }),
    ]);
    const before = await dump();
    const filled = sql.replace(/\{(\w+)\}/g, (_, name) => ids[name] ?? '');

    await expect(db().admin(filled)).rejects.toMatchObject({ message: expect.stringContaining(rule) });

    expect(await dump()).toBe(before);
  });
});
