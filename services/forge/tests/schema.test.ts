import { itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

const EIGHT = [1, 2, 3, 4, 5, 6, 7, 8];
const JOB = 'INSERT INTO jobs (id, employer_id, title, description, category, budget) VALUES';
const APPLY = 'INSERT INTO applications (id, job_id, freelancer_id, cover_letter, proposed_amount) VALUES';
const CONTRACT = `INSERT INTO contracts
  (id, job_id, application_id, employer_id, freelancer_id, terms, amount, starts_at) VALUES`;
const MILESTONE = 'INSERT INTO milestones (id, contract_id, position, title, amount) VALUES';
const HOLD = `INSERT INTO escrows
  (id, contract_id, milestone_id, payer_wallet_id, payee_wallet_id, amount, currency) VALUES`;
const RATE = 'INSERT INTO ratings (id, contract_id, author_id, ratee_id, ratee_role, score) VALUES';
const DISPUTE = 'INSERT INTO disputes (id, contract_id, milestone_id, raised_by_id, reason, description) VALUES';

/** The mistake, the statement, and the constraint that rejects it. */
const REFUSED = [
  ['a job without a title', "UPDATE jobs SET title = ' '", 'jobs_title_check'],
  ['a job without a description', "UPDATE jobs SET description = ''", 'jobs_description_check'],
  ['a job without a category', "UPDATE jobs SET category = ''", 'jobs_category_check'],
  ['a job with budget NaN', "UPDATE jobs SET budget = 'NaN'", 'jobs_budget_check'],
  ['a job with budget 0', 'UPDATE jobs SET budget = 0', 'jobs_budget_check'],
  ['a deadline in the past', "UPDATE jobs SET deadline = '2020-01-01'", 'jobs_deadline_check'],
  ['an open job without a publication time', "UPDATE jobs SET status = 'open'", 'jobs_published_at_check'],
  ['a canceled job without a closing time', "UPDATE jobs SET status = 'cancelled'", 'jobs_closed_at_check'],
  ['a second application to a job', `${APPLY} ('a', 'site', 'ada', 'Hi', 1)`, 'applications_job_id_freelancer_id_key'],
  ['an application without a letter', "UPDATE applications SET cover_letter = ''", 'applications_cover_letter_check'],
  ['an application with amount 0', 'UPDATE applications SET proposed_amount = 0', 'applications_proposed_amount_check'],
  [
    'an application with an estimate of 0 days',
    'UPDATE applications SET estimated_days = 0',
    'applications_estimated_days_check',
  ],
  [
    'a decision without a time',
    "UPDATE applications SET status = 'rejected' WHERE id = 'ben-site'",
    'applications_decided_at_check',
  ],
  [
    'a second accepted application for a job',
    "UPDATE applications SET status = 'accepted', decided_at = now() WHERE id = 'ben-site'",
    'applications_job_id_accepted_key',
  ],
  [
    'a contract with a freelancer who is not the applicant',
    `${CONTRACT} ('c', 'site', 'ben-site', 'boss', 'ada', 'x', 1, now())`,
    'contracts_application_id_job_id_freelancer_id_fkey',
  ],
  [
    'a contract by an employer who does not own the job',
    `${CONTRACT} ('c', 'site', 'ben-site', 'thief', 'ben', 'x', 1, now())`,
    'contracts_job_id_employer_id_fkey',
  ],
  [
    'a contract with oneself',
    `${CONTRACT} ('c', 'app', 'boss-app', 'boss', 'boss', 'x', 1, now())`,
    'contracts_parties_check',
  ],
  [
    'a second contract for an application',
    `${CONTRACT} ('c', 'site', 'ada-site', 'boss', 'ada', 'x', 1, now())`,
    'contracts_application_id_job_id_freelancer_id_key',
  ],
  ['a contract without terms', "UPDATE contracts SET terms = ''", 'contracts_terms_check'],
  ['a contract with amount 0', "UPDATE contracts SET amount = 0 WHERE id = 'other'", 'contracts_amount_check'],
  ['an end before the start', "UPDATE contracts SET ends_at = '2020-01-01'", 'contracts_ends_at_check'],
  ['completion without a time', "UPDATE contracts SET status = 'completed'", 'contracts_completed_at_check'],
  ['cancellation without a time', "UPDATE contracts SET status = 'cancelled'", 'contracts_cancelled_at_check'],
  [
    'a contract amount below the sum of its milestones',
    "UPDATE contracts SET amount = 89 WHERE id = 'deal'",
    'contracts_milestones_total_check',
  ],
  [
    'the start of a contract whose milestones add up to less than its amount',
    "UPDATE contracts SET status = 'active' WHERE id = 'deal'",
    'contracts_milestones_total_check',
  ],
  [
    'milestones that add up to more than their contract',
    `${MILESTONE} ('m', 'deal', 3, 'More', 11)`,
    'milestones_contract_total_check',
  ],
  [
    'an increase of a milestone beyond its contract',
    "UPDATE milestones SET amount = 61 WHERE id = 'final'",
    'milestones_contract_total_check',
  ],
  [
    'a second milestone at the same position',
    `${MILESTONE} ('m', 'deal', 1, 'x', 1)`,
    'milestones_contract_id_position_key',
  ],
  ['a milestone at position 0', `${MILESTONE} ('m', 'deal', 0, 'x', 1)`, 'milestones_position_check'],
  ['a milestone with amount 0', `${MILESTONE} ('m', 'deal', 3, 'x', 0)`, 'milestones_amount_check'],
  ['a milestone without a title', `${MILESTONE} ('m', 'deal', 3, ' ', 1)`, 'milestones_title_check'],
  ['a submission without a time', "UPDATE milestones SET status = 'submitted'", 'milestones_submitted_at_check'],
  [
    'an approval without a time',
    "UPDATE milestones SET status = 'approved', submitted_at = now()",
    'milestones_approved_at_check',
  ],
  [
    'an approval before the submission',
    "UPDATE milestones SET status = 'approved', submitted_at = now(), approved_at = '2020-01-01'",
    'milestones_approved_after_submitted_check',
  ],
  [
    'a second live escrow for a milestone',
    `${HOLD} ('e', 'deal', 'draft', 'boss-azr', 'ada-azr', 40, 'AZR')`,
    'escrows_milestone_id_live_key',
  ],
  [
    'an escrow whose amount differs from its milestone',
    `${HOLD} ('e', 'deal', 'final', 'boss-azr', 'ada-azr', 49, 'AZR')`,
    'escrows_milestone_id_contract_id_amount_fkey',
  ],
  [
    'an escrow whose currency differs from its contract',
    `${HOLD} ('e', 'deal', 'final', 'boss-usd', 'ada-usd', 50, 'USD')`,
    'escrows_contract_id_currency_fkey',
  ],
  [
    'an escrow with the same payer and payee wallet',
    `${HOLD} ('e', 'deal', 'final', 'boss-azr', 'boss-azr', 50, 'AZR')`,
    'escrows_wallets_check',
  ],
  ['an escrow with amount NaN', "UPDATE escrows SET amount = 'NaN'", 'escrows_amount_check'],
  ['an escrow with amount 0', 'UPDATE escrows SET amount = 0', 'escrows_amount_check'],
  [
    'a release without a time',
    "UPDATE escrows SET status = 'released', payout_amount = amount",
    'escrows_released_at_check',
  ],
  [
    'a refund without a time',
    "UPDATE escrows SET status = 'refunded', refund_amount = amount",
    'escrows_refunded_at_check',
  ],
  ['a share of a held amount', 'UPDATE escrows SET payout_amount = 1', 'escrows_shares_check'],
  [
    'shares that are less than the amount',
    "UPDATE escrows SET status = 'settling', payout_amount = 39",
    'escrows_shares_check',
  ],
  [
    'shares that are more than the amount',
    "UPDATE escrows SET status = 'settling', payout_amount = amount, refund_amount = 1",
    'escrows_shares_check',
  ],
  [
    'a negative share',
    "UPDATE escrows SET status = 'settling', payout_amount = 41, refund_amount = -1",
    'escrows_refund_amount_check',
  ],
  ['NaN as a share', "UPDATE escrows SET status = 'settling', payout_amount = 'NaN'", 'escrows_payout_amount_check'],
  ['a negative payout', 'UPDATE escrows SET payout_amount = -1', 'escrows_payout_amount_check'],
  [
    'a release that pays nothing',
    "UPDATE escrows SET status = 'released', refund_amount = amount, released_at = now()",
    'escrows_shares_check',
  ],
  ['a held escrow without a time', 'UPDATE escrows SET held_at = NULL', 'escrows_held_at_check'],
  [
    'a cancellation of an escrow with no time',
    "UPDATE escrows SET status = 'cancelled', held_at = NULL",
    'escrows_cancelled_at_check',
  ],
  [
    'a requested escrow with a hold',
    "UPDATE escrows SET status = 'requested', held_at = NULL, hold_id = 'h'",
    'escrows_hold_id_check',
  ],
  ['a held escrow with a transaction', "UPDATE escrows SET transaction_id = 't'", 'escrows_transaction_id_check'],
  ['a milestone with a blank deliverable', "UPDATE milestones SET deliverable = ' '", 'milestones_deliverable_check'],
  ['a milestone with blank feedback', "UPDATE milestones SET feedback = ''", 'milestones_feedback_check'],
  ['a job with an empty skill', 'UPDATE jobs SET skills = \'{""}\'', 'jobs_skills_check'],
  ['a job with a skill that is null', "UPDATE jobs SET skills = '{NULL}'", 'jobs_skills_check'],
  ['a publication with number 0', 'UPDATE jobs SET publication = 0', 'jobs_publication_check'],
  ['a rating of 6', `${RATE} ('r', 'deal', 'boss', 'ada', 'freelancer', 6)`, 'ratings_score_check'],
  ['a rating of oneself', `${RATE} ('r', 'deal', 'boss', 'boss', 'freelancer', 5)`, 'ratings_parties_check'],
  [
    'a blank comment',
    `INSERT INTO ratings VALUES ('r', 'deal', 'boss', 'ada', 'freelancer', 5, ' ')`,
    'ratings_comment_check',
  ],
  ['a request without a key', `INSERT INTO requests VALUES (' ', 'x', repeat('a', 64), 'x')`, 'requests_key_check'],
  [
    'a rating that is not the mean',
    'UPDATE skill_profiles SET rating = 4, rating_count = 1, rating_total = 5',
    'skill_profiles_rating_total_mean_check',
  ],
  ['NaN as a total of scores', "UPDATE skill_profiles SET rating_total = 'NaN'", 'skill_profiles_rating_total_check'],
  ['a negative total', 'UPDATE skill_profiles SET rating_total = -1', 'skill_profiles_rating_total_check'],
  [
    'a release before the money was held',
    "UPDATE escrows SET status = 'released', released_at = '2020-01-01'",
    'escrows_settled_after_held_check',
  ],
  [
    'a change of the amount of a milestone in escrow',
    "UPDATE milestones SET amount = 41 WHERE id = 'draft'",
    'escrows_milestone_id_contract_id_amount_fkey',
  ],
  [
    'a second live dispute about a contract',
    `${DISPUTE} ('d', 'deal', NULL, 'boss', 'scope', 'x')`,
    'disputes_contract_id_live_key',
  ],
  [
    'a dispute about a milestone of another contract',
    `${DISPUTE} ('d', 'other', 'draft', 'ben', 'scope', 'x')`,
    'disputes_milestone_id_contract_id_fkey',
  ],
  ['a dispute without a description', "UPDATE disputes SET description = ''", 'disputes_description_check'],
  ['a withdrawal without a time', "UPDATE disputes SET status = 'withdrawn'", 'disputes_closed_at_check'],
  [
    'an end of a dispute before its beginning',
    "UPDATE disputes SET status = 'withdrawn', closed_at = '2020-01-01'",
    'disputes_closed_after_created_check',
  ],
  [
    'a resolution without a text',
    "UPDATE disputes SET status = 'resolved', closed_at = now(), resolved_by_id = 'judge'",
    'disputes_resolution_check',
  ],
  [
    'a second skill profile of a user',
    "INSERT INTO skill_profiles (id, user_id) VALUES ('p', 'ada')",
    'skill_profiles_user_id_key',
  ],
  ['a rating above 5', 'UPDATE skill_profiles SET rating = 5.01, rating_count = 1', 'skill_profiles_rating_check'],
  ['a rating with a count of 0', 'UPDATE skill_profiles SET rating = 5', 'skill_profiles_rating_count_check'],
  [
    'a negative number of completed jobs',
    'UPDATE skill_profiles SET completed_jobs = -1',
    'skill_profiles_completed_jobs_check',
  ],
  ['NaN as earnings', "UPDATE skill_profiles SET total_earned = 'NaN'", 'skill_profiles_total_earned_check'],
  ['negative earnings', 'UPDATE skill_profiles SET total_earned = -1', 'skill_profiles_total_earned_check'],
  ['an hourly rate of 0', 'UPDATE skill_profiles SET hourly_rate = 0', 'skill_profiles_hourly_rate_check'],
  [
    'the deletion of an application under contract',
    "DELETE FROM applications WHERE id = 'ada-site'",
    'contracts_application_id_job_id_freelancer_id_fkey',
  ],
  [
    'the deletion of a contract with a milestone',
    "DELETE FROM contracts WHERE id = 'small'",
    'milestones_contract_id_fkey',
  ],
] as const;

describe('the forge schema', () => {
  const db = useDatabase('forge');

  beforeAll(async () => {
    await db().admin(
      `${JOB} ('site', 'boss', 'Site', 'A site', 'Web', 100), ('app', 'boss', 'App', 'An app', 'Web', 100),
        ('logo', 'boss', 'Logo', 'A logo', 'Design', 100)`,
    );
    await db().admin(`${APPLY} ('ada-site', 'site', 'ada', 'Hello', 100), ('ben-site', 'site', 'ben', 'Hello', 90),
      ('ben-app', 'app', 'ben', 'Hello', 90), ('boss-app', 'app', 'boss', 'Hello', 90), ('ben-logo', 'logo', 'ben', 'Hello', 90)`);
    await db().admin("UPDATE applications SET status = 'accepted', decided_at = now() WHERE id = 'ada-site'");
    await db().admin(`${CONTRACT} ('deal', 'site', 'ada-site', 'boss', 'ada', 'As agreed', 100, now()),
      ('other', 'app', 'ben-app', 'boss', 'ben', 'As agreed', 90, now()),
      ('small', 'logo', 'ben-logo', 'boss', 'ben', 'As agreed', 90, now())`);
    await db().admin(`${MILESTONE} ('draft', 'deal', 1, 'Draft', 40), ('final', 'deal', 2, 'Final', 50),
      ('sketch', 'small', 1, 'Sketch', 90)`);
    await db().admin(`${HOLD} ('held', 'deal', 'draft', 'boss-azr', 'ada-azr', 40, 'AZR')`);
    await db().admin(`${DISPUTE} ('dispute', 'deal', 'draft', 'ada', 'payment', 'Late')`);
    await db().admin("INSERT INTO skill_profiles (id, user_id) VALUES ('ada', 'ada')");
  });

  it.each(REFUSED)('rejects %s', async (_what, sql, constraint) => {
    await schemaRefuses(db().admin(sql), constraint);
  });

  it('rejects the deletion of a job under contract', async () => {
    const refused = await refusalsOf([db().admin("DELETE FROM jobs WHERE id = 'site'")]);

    // PostgreSQL does not define which of the two foreign keys it checks first.
    const rules = ['contracts_job_id_employer_id_fkey', 'contracts_application_id_job_id_freelancer_id_fkey'];
    expect(rules).toEqual(expect.arrayContaining([...refused]));
    expect(refused).toHaveLength(1);
  });

  it('accepts one of eight applications when their acceptances race', async () => {
    await db().admin(`${JOB} ('race', 'boss', 'Race', 'A race', 'Web', 100)`);
    await db().admin(`INSERT INTO applications (id, job_id, freelancer_id, cover_letter, proposed_amount)
      SELECT 'race-' || n, 'race', 'user-' || n, 'Hello', 1 FROM generate_series(1, 8) n`);
    const accept = "UPDATE applications SET status = 'accepted', decided_at = now() WHERE id = $1";
    const refused = await refusalsOf(EIGHT.map((n) => db().admin(accept, [`race-${n}`])));

    expect(refused).toEqual(Array(7).fill('applications_job_id_accepted_key'));
  });

  it('keeps the sum of concurrent milestones within their contract', async () => {
    const refused = await refusalsOf(
      EIGHT.map((n) => db().admin(`${MILESTONE} ('race-${n}', 'other', ${n}, 'Race', 30)`)),
    );

    expect(refused).toEqual(Array(5).fill('milestones_contract_total_check'));
  });

  it('starts a contract whose milestones add up to its amount, and accepts a new escrow after a refund', async () => {
    await db().admin(`${MILESTONE} ('rest', 'deal', 3, 'Rest', 10)`);
    await db().admin("UPDATE contracts SET status = 'active' WHERE id = 'deal'");
    await db().admin("UPDATE escrows SET status = 'settling', refund_amount = amount WHERE id = 'held'");
    await db().admin("UPDATE escrows SET status = 'refunded', refunded_at = now() WHERE id = 'held'");
    await db().admin(`${HOLD} ('anew', 'deal', 'draft', 'boss-azr', 'ada-azr', 40, 'AZR')`);

    expect(await db().admin("SELECT status FROM contracts WHERE id = 'deal'")).toEqual([{ status: 'active' }]);
  });

  it('deletes the applications of a job without a contract with it', async () => {
    await db().admin("DELETE FROM jobs WHERE id = 'race'");

    expect(await db().admin("SELECT id FROM applications WHERE job_id = 'race'")).toEqual([]);
  });

  it('finds a job by the stem of a word in its description', async () => {
    await db().admin(`${JOB} ('farm', 'boss', 'Farm', 'Harvesting maize', 'Farming', 100)`);

    const query = "SELECT id FROM jobs WHERE search @@ websearch_to_tsquery('english', 'harvest')";
    expect(await db().admin(query)).toEqual([{ id: 'farm' }]);
  });

  itTestsEveryCheck(
    db,
    REFUSED.map(([, , constraint]) => constraint),
  );

  itKeepsAnAuditLog(db);
});
