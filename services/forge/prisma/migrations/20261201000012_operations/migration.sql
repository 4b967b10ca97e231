-- Why: the app role only reads the tables of the marketplace. These functions make every change, check who asks, and take their
-- locks in one order, so that no two of them deadlock: the key of the request; the job; the contract; what belongs to it.
-- A function reads its input from one JSON object, whose hash tells a repeated request from another one with the same key.
-- Locks: none: the functions are new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Requests and locks -------------------------------------------------------------------------------------------------

-- Takes the key for this request. Null if it is new; the id of the first answer if the same request took effect before.
CREATE FUNCTION "begin_request"("p_key" text, "p_operation" text, "p_input" jsonb, "p_answer" text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  hash text := encode(sha256(convert_to(p_input::text, 'UTF8')), 'hex');
  earlier requests;
BEGIN
  INSERT INTO requests (key, operation, body_hash, answer_id, created_at)
  VALUES (p_key, p_operation, hash, p_answer, database_time()) ON CONFLICT (key) DO NOTHING;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  SELECT * INTO earlier FROM requests WHERE key = p_key;
  IF (earlier.operation, earlier.body_hash) IS DISTINCT FROM (p_operation::varchar, hash::char(64)) THEN
    PERFORM refuse('key_reused', jsonb_build_object('operation', earlier.operation, 'asked', p_operation));
  END IF;
  RETURN earlier.answer_id;
END
$$;

CREATE FUNCTION "lock_job"("p_id" text) RETURNS "jobs"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  job jobs;
BEGIN
  SELECT * INTO job FROM jobs WHERE id = p_id FOR NO KEY UPDATE;
  IF job.id IS NULL THEN
    PERFORM refuse('job_not_found', jsonb_build_object('jobId', p_id));
  END IF;
  RETURN job;
END
$$;

-- Everything of a contract is locked by its row.
CREATE FUNCTION "lock_contract"("p_id" text) RETURNS "contracts"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  contract contracts;
BEGIN
  SELECT * INTO contract FROM contracts WHERE id = p_id FOR NO KEY UPDATE;
  IF contract.id IS NULL THEN
    PERFORM refuse('contract_not_found', jsonb_build_object('contractId', p_id));
  END IF;
  RETURN contract;
END
$$;

-- Locks the contract of a milestone, then reads the milestone.
CREATE FUNCTION "lock_milestone"("p_id" text) RETURNS "milestones"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  milestone milestones;
BEGIN
  PERFORM lock_contract(contract_id) FROM milestones WHERE id = p_id;
  SELECT * INTO milestone FROM milestones WHERE id = p_id;
  IF milestone.id IS NULL THEN
    PERFORM refuse('milestone_not_found', jsonb_build_object('milestoneId', p_id));
  END IF;
  RETURN milestone;
END
$$;

CREATE FUNCTION "lock_escrow"("p_id" text) RETURNS "escrows"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  escrow escrows;
BEGIN
  PERFORM lock_contract(contract_id) FROM escrows WHERE id = p_id;
  SELECT * INTO escrow FROM escrows WHERE id = p_id;
  IF escrow.id IS NULL THEN
    PERFORM refuse('escrow_not_found', jsonb_build_object('escrowId', p_id));
  END IF;
  RETURN escrow;
END
$$;

-- Rejects a caller who does not have this part in what the call changes.
CREATE FUNCTION "demand_person"("p_asked" text, "p_owner" text, "p_part" text, "p_id" text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_asked IS DISTINCT FROM p_owner THEN
    PERFORM refuse('not_allowed', jsonb_build_object('part', p_part, 'id', p_id));
  END IF;
END
$$;

CREATE FUNCTION "demand_status"("p_what" text, "p_id" text, "p_from" text, "p_to" text, "p_allowed" text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT p_from = ANY (p_allowed) THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('what', p_what, 'id', p_id, 'from', p_from, 'to', p_to));
  END IF;
END
$$;

-- Rejects a change while a dispute about the milestone, or about the whole contract, is open. Null asks about any dispute.
CREATE FUNCTION "demand_undisputed"("p_contract" text, "p_milestone" text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  dispute disputes;
BEGIN
  SELECT * INTO dispute FROM disputes WHERE contract_id = p_contract AND status IN ('open', 'under_review')
    AND (p_milestone IS NULL OR milestone_id IS NULL OR milestone_id = p_milestone) LIMIT 1;
  IF dispute.id IS NOT NULL THEN
    PERFORM refuse('disputed', jsonb_build_object('contractId', p_contract, 'disputeId', dispute.id));
  END IF;
END
$$;

-- Jobs ---------------------------------------------------------------------------------------------------------------

CREATE FUNCTION "post_job"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "jobs"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  job jobs;
  earlier text := begin_request(p_key, 'post_job', p_input, p_id);
  at timestamptz := database_time();
  is_draft boolean := coalesce((p_input ->> 'draft')::boolean, false);
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO job FROM jobs WHERE id = earlier;
    RETURN job;
  END IF;
  IF (p_input ->> 'deadline')::timestamptz <= at THEN
    PERFORM refuse('deadline_past', '{}');
  END IF;
  INSERT INTO jobs (id, employer_id, organization_id, title, description, category, skills, budget, currency, deadline, status,
    published_at, created_at, updated_at)
  VALUES (p_id, p_input ->> 'employerId', p_input ->> 'organizationId', p_input ->> 'title', p_input ->> 'description',
    p_input ->> 'category', ARRAY(SELECT jsonb_array_elements_text(p_input -> 'skills')), (p_input ->> 'budget')::numeric,
    (p_input ->> 'currency')::currency, (p_input ->> 'deadline')::timestamptz,
    CASE WHEN is_draft THEN 'draft' ELSE 'open' END::job_status, CASE WHEN NOT is_draft THEN at END, at, at)
  RETURNING * INTO job;
  RETURN job;
END
$$;

-- Changes the named fields of a draft or an open job. The currency and the employer stay.
CREATE FUNCTION "update_job"("p_job" text, "p_by" text, "p_changes" jsonb) RETURNS "jobs"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  job jobs := lock_job(p_job);
  at timestamptz := database_time();
BEGIN
  PERFORM demand_person(p_by, job.employer_id, 'employer', p_job);
  IF job.deleted_at IS NOT NULL THEN
    PERFORM refuse('job_not_found', jsonb_build_object('jobId', p_job));
  END IF;
  IF job.status NOT IN ('draft', 'open') THEN
    PERFORM refuse('job_fixed', jsonb_build_object('jobId', p_job, 'status', job.status));
  END IF;
  IF (p_changes ->> 'deadline')::timestamptz <= at THEN
    PERFORM refuse('deadline_past', '{}');
  END IF;
  UPDATE jobs SET
    title = coalesce(p_changes ->> 'title', title), description = coalesce(p_changes ->> 'description', description),
    category = coalesce(p_changes ->> 'category', category),
    skills = CASE WHEN p_changes ? 'skills' THEN ARRAY(SELECT jsonb_array_elements_text(p_changes -> 'skills')) ELSE skills END,
    budget = coalesce((p_changes ->> 'budget')::numeric, budget),
    deadline = CASE WHEN p_changes ? 'deadline' THEN (p_changes ->> 'deadline')::timestamptz ELSE deadline END,
    updated_at = at
  WHERE id = p_job RETURNING * INTO job;
  RETURN job;
END
$$;

-- Publishes, closes or cancels a job for its employer; a contract closes its job itself. Undecided applications are rejected.
CREATE FUNCTION "move_job"("p_job" text, "p_by" text, "p_to" "job_status") RETURNS "jobs"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  job jobs := lock_job(p_job);
  at timestamptz := database_time();
BEGIN
  PERFORM demand_person(p_by, job.employer_id, 'employer', p_job);
  IF job.deleted_at IS NOT NULL THEN
    PERFORM refuse('job_not_found', jsonb_build_object('jobId', p_job));
  END IF;
  IF job.status = p_to THEN
    RETURN job;
  END IF;
  PERFORM demand_status('job', p_job, job.status::text, p_to::text, CASE p_to
    WHEN 'open' THEN '{draft}' WHEN 'closed' THEN '{open}' WHEN 'cancelled' THEN '{draft,open}' ELSE '{}' END::text[]);
  IF p_to = 'open' AND job.deadline <= at THEN
    PERFORM refuse('deadline_past', '{}');
  END IF;
  UPDATE jobs SET status = p_to, updated_at = at,
    published_at = CASE WHEN p_to = 'open' THEN at ELSE published_at END,
    closed_at = CASE WHEN p_to <> 'open' THEN at END
  WHERE id = p_job RETURNING * INTO job;
  IF p_to <> 'open' THEN
    UPDATE applications SET status = 'rejected', decided_at = at, updated_at = at
    WHERE job_id = p_job AND status IN ('submitted', 'shortlisted');
  END IF;
  RETURN job;
END
$$;

-- Hides a job without a running contract, or shows it again.
CREATE FUNCTION "hide_job"("p_job" text, "p_by" text, "p_hidden" boolean) RETURNS "jobs"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  job jobs := lock_job(p_job);
  at timestamptz := database_time();
BEGIN
  PERFORM demand_person(p_by, job.employer_id, 'employer', p_job);
  IF (job.deleted_at IS NOT NULL) = p_hidden THEN
    RETURN job;
  END IF;
  IF p_hidden AND job.status IN ('open', 'in_progress') THEN
    PERFORM refuse('job_fixed', jsonb_build_object('jobId', p_job, 'status', job.status));
  END IF;
  UPDATE jobs SET deleted_at = CASE WHEN p_hidden THEN at END, updated_at = at WHERE id = p_job RETURNING * INTO job;
  RETURN job;
END
$$;

-- Applications -------------------------------------------------------------------------------------------------------

-- Rejects a job that takes no applications.
CREATE FUNCTION "demand_open"("p_job" "jobs") RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_job.deleted_at IS NOT NULL THEN
    PERFORM refuse('job_not_found', jsonb_build_object('jobId', p_job.id));
  END IF;
  IF p_job.status <> 'open' THEN
    PERFORM refuse('job_not_open', jsonb_build_object('jobId', p_job.id, 'status', p_job.status));
  END IF;
END
$$;

-- The share lock keeps the job open until the end, and lets others apply at the same time.
CREATE FUNCTION "apply_to_job"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "applications"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  application applications;
  job jobs;
  earlier text := begin_request(p_key, 'apply', p_input, p_id);
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO application FROM applications WHERE id = earlier;
    RETURN application;
  END IF;
  SELECT * INTO job FROM jobs WHERE id = p_input ->> 'jobId' FOR SHARE;
  IF job.id IS NULL THEN
    PERFORM refuse('job_not_found', jsonb_build_object('jobId', p_input ->> 'jobId'));
  END IF;
  PERFORM demand_open(job);
  at := database_time();
  IF job.deadline <= at THEN
    PERFORM refuse('job_expired', jsonb_build_object('jobId', job.id, 'deadline', job.deadline));
  END IF;
  IF job.employer_id = p_input ->> 'freelancerId' THEN
    PERFORM refuse('own_job', jsonb_build_object('jobId', job.id));
  END IF;
  INSERT INTO applications (id, job_id, freelancer_id, cover_letter, proposed_amount, estimated_days, created_at, updated_at)
  VALUES (p_id, job.id, p_input ->> 'freelancerId', p_input ->> 'coverLetter', (p_input ->> 'proposedAmount')::numeric,
    (p_input ->> 'estimatedDays')::integer, at, at)
  RETURNING * INTO application;
  RETURN application;
END
$$;

CREATE FUNCTION "move_application"("p_application" text, "p_by" text, "p_to" "application_status") RETURNS "applications"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  application applications;
  job jobs;
  at timestamptz;
BEGIN
  SELECT locked.* INTO job FROM applications AS a CROSS JOIN LATERAL lock_job(a.job_id) AS locked WHERE a.id = p_application;
  SELECT * INTO application FROM applications WHERE id = p_application FOR NO KEY UPDATE;
  IF application.id IS NULL THEN
    PERFORM refuse('application_not_found', jsonb_build_object('applicationId', p_application));
  END IF;
  IF p_to = 'withdrawn' THEN
    PERFORM demand_person(p_by, application.freelancer_id, 'freelancer', p_application);
  ELSE
    PERFORM demand_person(p_by, job.employer_id, 'employer', p_application);
  END IF;
  IF application.status = p_to THEN
    RETURN application;
  END IF;
  PERFORM demand_status('application', p_application, application.status::text, p_to::text, CASE p_to
    WHEN 'shortlisted' THEN '{submitted}' WHEN 'accepted' THEN '{}' WHEN 'submitted' THEN '{}'
    ELSE '{submitted,shortlisted}' END::text[]);
  at := database_time();
  UPDATE applications SET status = p_to, decided_at = CASE WHEN p_to <> 'shortlisted' THEN at END, updated_at = at
  WHERE id = p_application RETURNING * INTO application;
  RETURN application;
END
$$;

-- Accepts one application of an open job, rejects the others, and makes the contract with its milestones: all or nothing.
CREATE FUNCTION "accept_application"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "contracts"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  contract contracts;
  application applications;
  job jobs;
  earlier text := begin_request(p_key, 'accept', p_input, p_id);
  at timestamptz;
  total numeric;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO contract FROM contracts WHERE id = earlier;
    RETURN contract;
  END IF;
  SELECT locked.* INTO job FROM applications AS a CROSS JOIN LATERAL lock_job(a.job_id) AS locked
  WHERE a.id = p_input ->> 'applicationId';
  SELECT * INTO application FROM applications WHERE id = p_input ->> 'applicationId' FOR NO KEY UPDATE;
  IF application.id IS NULL THEN
    PERFORM refuse('application_not_found', jsonb_build_object('applicationId', p_input ->> 'applicationId'));
  END IF;
  PERFORM demand_person(p_input ->> 'employerId', job.employer_id, 'employer', application.id);
  PERFORM demand_open(job);
  PERFORM demand_status('application', application.id, application.status::text, 'accepted', '{submitted,shortlisted}');
  SELECT sum((milestone ->> 'amount')::numeric) INTO total FROM jsonb_array_elements(p_input -> 'milestones') AS milestone;
  IF total IS DISTINCT FROM application.proposed_amount THEN
    PERFORM refuse('milestones_total', jsonb_build_object('total', total::text, 'amount', application.proposed_amount::text));
  END IF;
  at := database_time();
  UPDATE applications SET status = 'accepted', decided_at = at, updated_at = at WHERE id = application.id;
  UPDATE applications SET status = 'rejected', decided_at = at, updated_at = at
  WHERE job_id = job.id AND status IN ('submitted', 'shortlisted');
  UPDATE jobs SET status = 'in_progress', updated_at = at WHERE id = job.id;
  INSERT INTO contracts (id, job_id, application_id, employer_id, freelancer_id, terms, amount, currency, status, starts_at, ends_at,
    created_at, updated_at)
  VALUES (p_id, job.id, application.id, job.employer_id, application.freelancer_id, p_input ->> 'terms', total, job.currency,
    'draft', at, (p_input ->> 'endsAt')::timestamptz, at, at);
  INSERT INTO milestones (id, contract_id, position, title, description, amount, due_at, created_at, updated_at)
  SELECT p_id || '-' || position, p_id, position, milestone ->> 'title', coalesce(milestone ->> 'description', ''),
    (milestone ->> 'amount')::numeric, (milestone ->> 'dueAt')::timestamptz, at, at
  FROM jsonb_array_elements(p_input -> 'milestones') WITH ORDINALITY AS listed (milestone, position);
  -- The trigger of contracts compares the sum once more.
  UPDATE contracts SET status = 'active' WHERE id = p_id RETURNING * INTO contract;
  RETURN contract;
END
$$;

-- Contracts and escrow -----------------------------------------------------------------------------------------------

-- Adds what changed to the profile of a person, if the person has one. The advisory lock keeps a profile from being made
-- from older rows at the same time.
CREATE FUNCTION "count_result"("p_user" text, "p_jobs" integer, "p_earned" numeric, "p_currency" "currency", "p_score" integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('forge.profile ' || p_user, 0));
  UPDATE skill_profiles SET
    completed_jobs = completed_jobs + p_jobs,
    total_earned = total_earned + CASE WHEN currency = p_currency THEN p_earned ELSE 0 END,
    rating_count = rating_count + CASE WHEN p_score IS NULL THEN 0 ELSE 1 END,
    rating_total = rating_total + coalesce(p_score, 0),
    rating = CASE WHEN p_score IS NULL THEN rating ELSE round((rating_total + p_score) / (rating_count + 1), 2) END,
    updated_at = database_time()
  WHERE user_id = p_user;
END
$$;

-- Ends an active contract in which nothing is left to do: completed if it paid something, else canceled; and its job.
CREATE FUNCTION "finish_contract"("p_contract" text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  contract contracts;
  at timestamptz := database_time();
  is_paid boolean := EXISTS (SELECT FROM escrows WHERE contract_id = p_contract AND status = 'released');
BEGIN
  IF EXISTS (SELECT FROM milestones WHERE contract_id = p_contract AND status IN ('planned', 'funded', 'submitted'))
    OR EXISTS (SELECT FROM escrows WHERE contract_id = p_contract AND status IN ('requested', 'held', 'settling'))
    OR EXISTS (SELECT FROM disputes WHERE contract_id = p_contract AND status IN ('open', 'under_review')) THEN
    RETURN;
  END IF;
  UPDATE contracts SET status = CASE WHEN is_paid THEN 'completed' ELSE 'cancelled' END::contract_status,
    completed_at = CASE WHEN is_paid THEN at END, cancelled_at = CASE WHEN NOT is_paid THEN at END, updated_at = at
  WHERE id = p_contract AND status = 'active' RETURNING * INTO contract;
  IF contract.id IS NULL THEN
    RETURN;
  END IF;
  UPDATE jobs SET status = CASE WHEN is_paid THEN 'closed' ELSE 'cancelled' END::job_status, closed_at = at, updated_at = at
  WHERE id = contract.job_id AND status IN ('open', 'in_progress');
  IF is_paid THEN
    PERFORM count_result(contract.freelancer_id, 1, 0, contract.currency, NULL);
  END IF;
END
$$;

-- Asks for a milestone's money. A saga places the hold in mint, then calls confirm_funding or cancel_funding.
CREATE FUNCTION "fund_milestone"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "escrows"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  escrow escrows;
  milestone milestones;
  contract contracts;
  earlier text := begin_request(p_key, 'fund', p_input, p_id);
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO escrow FROM escrows WHERE id = earlier;
    RETURN escrow;
  END IF;
  milestone := lock_milestone(p_input ->> 'milestoneId');
  SELECT * INTO contract FROM contracts WHERE id = milestone.contract_id;
  PERFORM demand_person(p_input ->> 'employerId', contract.employer_id, 'employer', milestone.id);
  PERFORM demand_undisputed(contract.id, milestone.id);
  PERFORM demand_status('milestone', milestone.id, milestone.status::text, 'funded', '{planned}');
  IF contract.status <> 'active' THEN
    PERFORM refuse('contract_ended', jsonb_build_object('contractId', contract.id, 'status', contract.status));
  END IF;
  at := database_time();
  INSERT INTO escrows (id, contract_id, milestone_id, payer_wallet_id, payee_wallet_id, amount, currency, status, held_at, created_at,
    updated_at)
  VALUES (p_id, contract.id, milestone.id, p_input ->> 'payerWalletId', p_input ->> 'payeeWalletId', milestone.amount,
    contract.currency, 'requested', NULL, at, at)
  RETURNING * INTO escrow;
  RETURN escrow;
END
$$;

-- Records the hold that sets the money aside. Works during a dispute too: the money is set aside already.
CREATE FUNCTION "confirm_funding"("p_escrow" text, "p_hold" text) RETURNS "escrows"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  escrow escrows := lock_escrow(p_escrow);
  at timestamptz := database_time();
BEGIN
  IF escrow.hold_id = p_hold THEN
    RETURN escrow;
  END IF;
  PERFORM demand_status('escrow', p_escrow, escrow.status::text, 'held', '{requested}');
  UPDATE escrows SET status = 'held', hold_id = p_hold, held_at = at, updated_at = at WHERE id = p_escrow RETURNING * INTO escrow;
  UPDATE milestones SET status = 'funded', updated_at = at WHERE id = escrow.milestone_id;
  RETURN escrow;
END
$$;

-- Gives up a request whose money was not set aside.
CREATE FUNCTION "cancel_funding"("p_escrow" text) RETURNS "escrows"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  escrow escrows := lock_escrow(p_escrow);
  at timestamptz := database_time();
BEGIN
  IF escrow.status <> 'cancelled' THEN
    PERFORM demand_status('escrow', p_escrow, escrow.status::text, 'cancelled', '{requested}');
    UPDATE escrows SET status = 'cancelled', cancelled_at = at, updated_at = at WHERE id = p_escrow RETURNING * INTO escrow;
  END IF;
  RETURN escrow;
END
$$;

-- Decides how a held amount is split. The saga captures or releases the hold, then calls confirm_settlement.
CREATE FUNCTION "settle_escrow"("p_milestone" text, "p_payout" numeric) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE escrows SET status = 'settling', payout_amount = coalesce(p_payout, amount), refund_amount = amount - coalesce(p_payout, amount),
    updated_at = database_time()
  WHERE milestone_id = p_milestone AND status = 'held';
  IF NOT FOUND THEN
    PERFORM refuse('not_funded', jsonb_build_object('milestoneId', p_milestone));
  END IF;
END
$$;

-- Moves a milestone for one of its parties: submit, ask for changes, approve, or give the money back.
CREATE FUNCTION "move_milestone"("p_milestone" text, "p_by" text, "p_to" "milestone_status", "p_note" text) RETURNS "milestones"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  milestone milestones := lock_milestone(p_milestone);
  contract contracts;
  at timestamptz := database_time();
BEGIN
  SELECT * INTO contract FROM contracts WHERE id = milestone.contract_id;
  IF p_to IN ('submitted', 'cancelled') THEN
    PERFORM demand_person(p_by, contract.freelancer_id, 'freelancer', p_milestone);
  ELSE
    PERFORM demand_person(p_by, contract.employer_id, 'employer', p_milestone);
  END IF;
  -- A repeated approval or refund is answered also after a dispute; a repeated submission is a new one, for a key tells them apart.
  IF milestone.status = p_to AND p_to IN ('approved', 'cancelled') THEN
    RETURN milestone;
  END IF;
  PERFORM demand_status('milestone', p_milestone, milestone.status::text, p_to::text, CASE p_to
    WHEN 'submitted' THEN '{funded}' WHEN 'funded' THEN '{submitted}' WHEN 'approved' THEN '{submitted}'
    WHEN 'cancelled' THEN '{funded,submitted}' ELSE '{}' END::text[]);
  PERFORM demand_undisputed(contract.id, p_milestone);
  UPDATE milestones SET status = p_to, updated_at = at,
    submitted_at = CASE p_to WHEN 'submitted' THEN at WHEN 'funded' THEN NULL ELSE submitted_at END,
    approved_at = CASE p_to WHEN 'approved' THEN at END,
    deliverable = CASE p_to WHEN 'submitted' THEN p_note ELSE deliverable END,
    feedback = CASE p_to WHEN 'funded' THEN p_note ELSE feedback END
  WHERE id = p_milestone RETURNING * INTO milestone;
  IF p_to = 'approved' THEN
    PERFORM settle_escrow(p_milestone, NULL);
  ELSIF p_to = 'cancelled' THEN
    PERFORM settle_escrow(p_milestone, 0);
  END IF;
  RETURN milestone;
END
$$;

-- The same with a key, for the two steps that can happen more than once.
CREATE FUNCTION "submit_milestone"("p_key" text, "p_input" jsonb, "p_to" "milestone_status") RETURNS "milestones"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  milestone milestones;
  earlier text;
BEGIN
  IF p_to NOT IN ('submitted', 'funded') THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('what', 'milestone', 'id', p_input ->> 'milestoneId', 'from', NULL, 'to', p_to));
  END IF;
  earlier := begin_request(p_key, CASE p_to WHEN 'submitted' THEN 'submit' ELSE 'request_changes' END, p_input, p_input ->> 'milestoneId');
  IF earlier IS NOT NULL THEN
    SELECT * INTO milestone FROM milestones WHERE id = earlier;
    RETURN milestone;
  END IF;
  RETURN move_milestone(p_input ->> 'milestoneId', p_input ->> 'by', p_to, p_input ->> 'note');
END
$$;

-- Records that mint did what was decided. A contract in which nothing is left to do ends.
CREATE FUNCTION "confirm_settlement"("p_escrow" text, "p_transaction" text) RETURNS "escrows"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  escrow escrows := lock_escrow(p_escrow);
  at timestamptz := database_time();
BEGIN
  IF escrow.status IN ('released', 'refunded') AND escrow.transaction_id IS NOT DISTINCT FROM p_transaction THEN
    RETURN escrow;
  END IF;
  PERFORM demand_status('escrow', p_escrow, escrow.status::text,
    CASE WHEN p_transaction IS NULL THEN 'refunded' ELSE 'released' END, '{settling}');
  IF (p_transaction IS NOT NULL) <> (escrow.payout_amount > 0) THEN
    PERFORM refuse('settlement_mismatch', jsonb_build_object('escrowId', p_escrow, 'payout', escrow.payout_amount::text));
  END IF;
  UPDATE escrows SET status = CASE WHEN payout_amount > 0 THEN 'released' ELSE 'refunded' END::escrow_status,
    transaction_id = p_transaction, released_at = CASE WHEN payout_amount > 0 THEN at END,
    refunded_at = CASE WHEN payout_amount = 0 THEN at END, updated_at = at
  WHERE id = p_escrow RETURNING * INTO escrow;
  IF escrow.payout_amount > 0 THEN
    PERFORM count_result((SELECT freelancer_id FROM contracts WHERE id = escrow.contract_id), 0, escrow.payout_amount, escrow.currency, NULL);
  END IF;
  PERFORM finish_contract(escrow.contract_id);
  RETURN escrow;
END
$$;

-- Cancels what is still planned, for one of the parties. Money that was asked for or set aside must be settled first.
CREATE FUNCTION "cancel_contract"("p_contract" text, "p_by" text) RETURNS "contracts"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  contract contracts := lock_contract(p_contract);
  at timestamptz := database_time();
  live escrows;
BEGIN
  IF p_by IS DISTINCT FROM contract.freelancer_id THEN
    PERFORM demand_person(p_by, contract.employer_id, 'party', p_contract);
  END IF;
  IF contract.status = 'cancelled' THEN
    RETURN contract;
  END IF;
  PERFORM demand_status('contract', p_contract, contract.status::text, 'cancelled', '{draft,active}');
  PERFORM demand_undisputed(p_contract, NULL);
  SELECT * INTO live FROM escrows WHERE contract_id = p_contract AND status IN ('requested', 'held', 'settling') LIMIT 1;
  IF live.id IS NOT NULL THEN
    PERFORM refuse('escrow_live', jsonb_build_object('contractId', p_contract, 'escrowId', live.id, 'status', live.status));
  END IF;
  UPDATE milestones SET status = 'cancelled', updated_at = at WHERE contract_id = p_contract AND status = 'planned';
  UPDATE contracts SET status = 'cancelled', cancelled_at = at, updated_at = at WHERE id = p_contract RETURNING * INTO contract;
  UPDATE jobs SET status = 'cancelled', closed_at = at, updated_at = at WHERE id = contract.job_id AND status IN ('open', 'in_progress');
  RETURN contract;
END
$$;

-- Disputes -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION "open_dispute"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "disputes"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  dispute disputes;
  contract contracts;
  milestone milestones;
  earlier text := begin_request(p_key, 'dispute', p_input, p_id);
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO dispute FROM disputes WHERE id = earlier;
    RETURN dispute;
  END IF;
  contract := lock_contract(p_input ->> 'contractId');
  IF p_input ->> 'raisedById' IS DISTINCT FROM contract.freelancer_id THEN
    PERFORM demand_person(p_input ->> 'raisedById', contract.employer_id, 'party', contract.id);
  END IF;
  IF contract.status <> 'active' THEN
    PERFORM refuse('contract_ended', jsonb_build_object('contractId', contract.id, 'status', contract.status));
  END IF;
  PERFORM demand_undisputed(contract.id, NULL);
  IF p_input ->> 'milestoneId' IS NOT NULL THEN
    SELECT * INTO milestone FROM milestones WHERE id = p_input ->> 'milestoneId' AND contract_id = contract.id;
    IF milestone.id IS NULL THEN
      PERFORM refuse('milestone_not_found', jsonb_build_object('milestoneId', p_input ->> 'milestoneId'));
    END IF;
    IF milestone.status NOT IN ('funded', 'submitted') THEN
      PERFORM refuse('not_funded', jsonb_build_object('milestoneId', milestone.id));
    END IF;
  END IF;
  at := database_time();
  INSERT INTO disputes (id, contract_id, milestone_id, raised_by_id, reason, description, created_at, updated_at)
  VALUES (p_id, contract.id, milestone.id, p_input ->> 'raisedById', (p_input ->> 'reason')::dispute_reason,
    p_input ->> 'description', at, at)
  RETURNING * INTO dispute;
  RETURN dispute;
END
$$;

CREATE FUNCTION "lock_dispute"("p_id" text) RETURNS "disputes"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  dispute disputes;
BEGIN
  PERFORM lock_contract(contract_id) FROM disputes WHERE id = p_id;
  SELECT * INTO dispute FROM disputes WHERE id = p_id;
  IF dispute.id IS NULL THEN
    PERFORM refuse('dispute_not_found', jsonb_build_object('disputeId', p_id));
  END IF;
  RETURN dispute;
END
$$;

-- A party cannot judge its own dispute.
CREATE FUNCTION "demand_arbiter"("p_by" text, "p_contract" text, "p_id" text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_by IS NULL OR EXISTS (SELECT FROM contracts WHERE id = p_contract AND p_by IN (employer_id, freelancer_id)) THEN
    PERFORM refuse('not_allowed', jsonb_build_object('part', 'arbiter', 'id', p_id));
  END IF;
END
$$;

CREATE FUNCTION "move_dispute"("p_dispute" text, "p_by" text, "p_to" "dispute_status") RETURNS "disputes"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  dispute disputes := lock_dispute(p_dispute);
  at timestamptz := database_time();
BEGIN
  IF p_to = 'withdrawn' THEN
    PERFORM demand_person(p_by, dispute.raised_by_id, 'author', p_dispute);
  ELSE
    PERFORM demand_arbiter(p_by, dispute.contract_id, p_dispute);
  END IF;
  IF dispute.status = p_to AND p_to <> 'resolved' THEN
    RETURN dispute;
  END IF;
  PERFORM demand_status('dispute', p_dispute, dispute.status::text, p_to::text, CASE p_to
    WHEN 'under_review' THEN '{open}' WHEN 'withdrawn' THEN '{open,under_review}' ELSE '{}' END::text[]);
  UPDATE disputes SET status = p_to, closed_at = CASE WHEN p_to = 'withdrawn' THEN at END, updated_at = at
  WHERE id = p_dispute RETURNING * INTO dispute;
  PERFORM finish_contract(dispute.contract_id);
  RETURN dispute;
END
$$;

-- Decides a dispute. Each award splits the held money of one disputed milestone; without an award its work goes on.
CREATE FUNCTION "resolve_dispute"("p_key" text, "p_input" jsonb) RETURNS "disputes"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  dispute disputes;
  award record;
  earlier text := begin_request(p_key, 'resolve', p_input, p_input ->> 'disputeId');
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO dispute FROM disputes WHERE id = earlier;
    RETURN dispute;
  END IF;
  dispute := lock_dispute(p_input ->> 'disputeId');
  PERFORM demand_arbiter(p_input ->> 'arbiterId', dispute.contract_id, dispute.id);
  PERFORM demand_status('dispute', dispute.id, dispute.status::text, 'resolved', '{open,under_review}');
  at := database_time();
  UPDATE disputes SET status = 'resolved', resolution = p_input ->> 'resolution', resolved_by_id = p_input ->> 'arbiterId',
    closed_at = at, updated_at = at
  WHERE id = dispute.id RETURNING * INTO dispute;
  FOR award IN
    SELECT listed.milestone_id, listed.payout, m.status, e.amount
    FROM (SELECT value ->> 'milestoneId' AS milestone_id, (value ->> 'payout')::numeric AS payout
          FROM jsonb_array_elements(p_input -> 'awards')) AS listed
    LEFT JOIN milestones AS m ON m.id = listed.milestone_id AND m.contract_id = dispute.contract_id
      AND (dispute.milestone_id IS NULL OR m.id = dispute.milestone_id)
    LEFT JOIN escrows AS e ON e.milestone_id = m.id AND e.status = 'held'
  LOOP
    IF award.status IS NULL OR award.amount IS NULL OR NOT coalesce(award.payout BETWEEN 0 AND award.amount, false) THEN
      PERFORM refuse('award_invalid', jsonb_build_object('disputeId', dispute.id, 'milestoneId', award.milestone_id,
        'amount', award.amount::text));
    END IF;
    UPDATE milestones SET status = 'settled', updated_at = at WHERE id = award.milestone_id;
    PERFORM settle_escrow(award.milestone_id, award.payout);
  END LOOP;
  PERFORM finish_contract(dispute.contract_id);
  RETURN dispute;
END
$$;

-- Ratings and profiles -----------------------------------------------------------------------------------------------

CREATE FUNCTION "rate_contract"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "ratings"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  rating ratings;
  contract contracts;
  is_employer boolean;
  earlier text := begin_request(p_key, 'rate', p_input, p_id);
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO rating FROM ratings WHERE id = earlier;
    RETURN rating;
  END IF;
  contract := lock_contract(p_input ->> 'contractId');
  is_employer := p_input ->> 'authorId' = contract.employer_id;
  IF NOT is_employer THEN
    PERFORM demand_person(p_input ->> 'authorId', contract.freelancer_id, 'party', contract.id);
  END IF;
  INSERT INTO ratings (id, contract_id, author_id, ratee_id, ratee_role, score, comment, created_at)
  VALUES (p_id, contract.id, p_input ->> 'authorId',
    CASE WHEN is_employer THEN contract.freelancer_id ELSE contract.employer_id END,
    CASE WHEN is_employer THEN 'freelancer' ELSE 'employer' END::party, (p_input ->> 'score')::smallint,
    p_input ->> 'comment', database_time())
  RETURNING * INTO rating;
  IF is_employer THEN
    PERFORM count_result(contract.freelancer_id, 0, 0, contract.currency, rating.score);
  END IF;
  RETURN rating;
END
$$;

-- Makes or changes a profile. A new one, and the earnings after a change of the currency, are counted from the contracts.
CREATE FUNCTION "save_skill_profile"("p_id" text, "p_input" jsonb) RETURNS "skill_profiles"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  profile skill_profiles;
  person text := p_input ->> 'userId';
  money currency := (p_input ->> 'currency')::currency;
  at timestamptz;
  earned numeric;
  scores bigint;
  total bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('forge.profile ' || person, 0));
  at := database_time();
  SELECT * INTO profile FROM skill_profiles WHERE user_id = person FOR NO KEY UPDATE;
  IF profile.id IS NULL OR profile.currency <> money THEN
    SELECT coalesce(sum(e.payout_amount), 0) INTO earned FROM escrows AS e JOIN contracts AS c ON c.id = e.contract_id
    WHERE c.freelancer_id = person AND e.status = 'released' AND e.currency = money;
  ELSE
    earned := profile.total_earned;
  END IF;
  IF profile.id IS NULL THEN
    SELECT count(*), coalesce(sum(score), 0) INTO scores, total FROM ratings WHERE ratee_id = person AND ratee_role = 'freelancer';
    INSERT INTO skill_profiles (id, user_id, headline, bio, skills, hourly_rate, currency, is_available, total_earned,
      completed_jobs, rating_count, rating_total, rating, created_at, updated_at)
    VALUES (p_id, person, p_input ->> 'headline', p_input ->> 'bio', ARRAY(SELECT jsonb_array_elements_text(p_input -> 'skills')),
      (p_input ->> 'hourlyRate')::numeric, money, (p_input ->> 'isAvailable')::boolean, earned,
      (SELECT count(*) FROM contracts WHERE freelancer_id = person AND status = 'completed'),
      scores, total, round(total::numeric / nullif(scores, 0), 2), at, at)
    RETURNING * INTO profile;
  ELSE
    UPDATE skill_profiles SET headline = p_input ->> 'headline', bio = p_input ->> 'bio',
      skills = ARRAY(SELECT jsonb_array_elements_text(p_input -> 'skills')), hourly_rate = (p_input ->> 'hourlyRate')::numeric,
      currency = money, is_available = (p_input ->> 'isAvailable')::boolean, total_earned = earned, updated_at = at
    WHERE id = profile.id RETURNING * INTO profile;
  END IF;
  RETURN profile;
END
$$;

-- Persons ------------------------------------------------------------------------------------------------------------

-- Everything about a person, as one JSON object of lists of rows.
CREATE FUNCTION "export_person"("p_user" text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
  SELECT jsonb_build_object(
    'skillProfiles', (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.created_at, p.id), '[]') FROM skill_profiles AS p WHERE p.user_id = p_user),
    'jobs', (SELECT coalesce(jsonb_agg(to_jsonb(j) - 'search' - 'publication' ORDER BY j.created_at, j.id), '[]') FROM jobs AS j WHERE j.employer_id = p_user),
    'applications', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.created_at, a.id), '[]') FROM applications AS a WHERE a.freelancer_id = p_user),
    'contracts', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.created_at, c.id), '[]') FROM contracts AS c WHERE p_user IN (c.employer_id, c.freelancer_id)),
    'milestones', (SELECT coalesce(jsonb_agg(to_jsonb(m) ORDER BY m.created_at, m.id), '[]') FROM milestones AS m JOIN contracts AS c ON c.id = m.contract_id
      WHERE p_user IN (c.employer_id, c.freelancer_id)),
    'escrows', (SELECT coalesce(jsonb_agg(to_jsonb(e) ORDER BY e.created_at, e.id), '[]') FROM escrows AS e JOIN contracts AS c ON c.id = e.contract_id
      WHERE p_user IN (c.employer_id, c.freelancer_id)),
    'disputes', (SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.created_at, d.id), '[]') FROM disputes AS d JOIN contracts AS c ON c.id = d.contract_id
      WHERE p_user IN (c.employer_id, c.freelancer_id, d.raised_by_id, d.resolved_by_id)),
    'ratings', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.created_at, r.id), '[]') FROM ratings AS r WHERE p_user IN (r.author_id, r.ratee_id)),
    'auditLogs', (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.created_at, l.id), '[]') FROM audit_logs AS l WHERE l.user_id = p_user))
$$;

-- Deletes the profile and the drafts of a person; takes their text from everything else, and their id from jobs and applications that
-- led to no contract. Contracts and disputes are kept for the statutory period. What a running contract needs stays until a
-- later call. Returns how many rows changed.
CREATE FUNCTION "erase_person"("p_user" text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz;
  nobody text := 'erased-' || replace(gen_random_uuid()::text, '-', '');
  deleted integer := 0;
  anonymised integer := 0;
  changed integer;
BEGIN
  -- Jobs before contracts, each in the order of ids.
  PERFORM FROM jobs WHERE employer_id = p_user
    OR id IN (SELECT job_id FROM applications WHERE freelancer_id = p_user AND status IN ('submitted', 'shortlisted'))
    ORDER BY id FOR NO KEY UPDATE;
  PERFORM pg_advisory_xact_lock(hashtextextended('forge.profile ' || p_user, 0));
  at := database_time();
  DELETE FROM skill_profiles WHERE user_id = p_user;
  GET DIAGNOSTICS changed = ROW_COUNT;
  deleted := deleted + changed;
  DELETE FROM jobs WHERE employer_id = p_user AND status = 'draft';
  GET DIAGNOSTICS changed = ROW_COUNT;
  deleted := deleted + changed;
  UPDATE applications SET status = 'withdrawn', decided_at = at, updated_at = at
  WHERE freelancer_id = p_user AND status IN ('submitted', 'shortlisted');
  UPDATE applications SET status = 'rejected', decided_at = at, updated_at = at
  WHERE status IN ('submitted', 'shortlisted') AND job_id IN (SELECT id FROM jobs WHERE employer_id = p_user AND status = 'open');
  UPDATE jobs SET status = 'cancelled', closed_at = at, updated_at = at WHERE employer_id = p_user AND status = 'open';

  UPDATE jobs AS j SET title = '[erased]', description = '[erased]', updated_at = at,
    organization_id = NULL, deleted_at = coalesce(deleted_at, at),
    employer_id = CASE WHEN EXISTS (SELECT FROM contracts AS c WHERE c.job_id = j.id) THEN employer_id ELSE nobody END
  WHERE employer_id = p_user AND status IN ('closed', 'cancelled') AND (description <> '[erased]'
    OR NOT EXISTS (SELECT FROM contracts AS c WHERE c.job_id = j.id));
  GET DIAGNOSTICS changed = ROW_COUNT;
  anonymised := anonymised + changed;
  -- A job has one application of a person, so every application of the erased person gets a name of its own only by the job.
  UPDATE applications AS a SET cover_letter = '[erased]', updated_at = at,
    freelancer_id = CASE WHEN EXISTS (SELECT FROM contracts AS c WHERE c.application_id = a.id) THEN freelancer_id ELSE nobody END
  WHERE freelancer_id = p_user AND (cover_letter <> '[erased]'
    OR NOT EXISTS (SELECT FROM contracts AS c WHERE c.application_id = a.id));
  GET DIAGNOSTICS changed = ROW_COUNT;
  anonymised := anonymised + changed;
  UPDATE milestones AS m SET
    description = CASE c.employer_id WHEN p_user THEN '' ELSE m.description END,
    feedback = CASE c.employer_id WHEN p_user THEN NULL ELSE m.feedback END,
    deliverable = CASE c.freelancer_id WHEN p_user THEN NULL ELSE m.deliverable END, updated_at = at
  FROM contracts AS c
  WHERE c.id = m.contract_id AND c.status IN ('completed', 'cancelled')
    AND ((c.employer_id = p_user AND (m.description <> '' OR m.feedback IS NOT NULL)) OR (c.freelancer_id = p_user AND m.deliverable IS NOT NULL));
  GET DIAGNOSTICS changed = ROW_COUNT;
  anonymised := anonymised + changed;
  UPDATE ratings SET comment = NULL WHERE author_id = p_user AND comment IS NOT NULL;
  GET DIAGNOSTICS changed = ROW_COUNT;
  anonymised := anonymised + changed;
  RETURN jsonb_build_object('deleted', deleted, 'anonymised', anonymised,
    'retained', (SELECT count(*) FROM contracts WHERE p_user IN (employer_id, freelancer_id)),
    'running', (SELECT count(*) FROM contracts WHERE p_user IN (employer_id, freelancer_id) AND status IN ('draft', 'active')));
END
$$;
