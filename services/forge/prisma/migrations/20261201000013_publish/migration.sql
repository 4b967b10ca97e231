-- What other services must know is published: triggers write the events into the outbox, so no client can change the marketplace
-- without them. The key is the job until there is a contract, then the contract, so that a consumer sees the events of each in the
-- order of its changes: the rows are locked when the position of an event is taken.
-- A payload has ids, amounts, scores and words from closed lists; text of persons is left out. An event has the time of its row.
-- Locks: SHARE ROW EXCLUSIVE on six tables, for the triggers, for milliseconds.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "publish_jobs"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'forge.job-published.v1', left(p.id, 200), jsonb_build_object('jobId', p.id, 'employerId', p.employer_id,
      'budget', p.budget::text, 'currency', p.currency), p.created_at
    FROM posted AS p WHERE p.status = 'open';
  ELSE
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT CASE p.status WHEN 'open' THEN 'forge.job-published.v1' ELSE 'forge.job-closed.v1' END, left(p.id, 200),
      jsonb_build_object('jobId', p.id, 'employerId', p.employer_id) || CASE p.status
        WHEN 'open' THEN jsonb_build_object('budget', p.budget::text, 'currency', p.currency)
        ELSE jsonb_build_object('reason', p.status) END, p.updated_at
    FROM posted AS p JOIN earlier AS e ON e.id = p.id
    WHERE e.status <> p.status AND p.status IN ('open', 'closed', 'cancelled') AND p.published_at IS NOT NULL;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_jobs_publish_posted" AFTER INSERT ON "jobs" REFERENCING NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_jobs"();
CREATE TRIGGER "zz_jobs_publish_moved" AFTER UPDATE ON "jobs" REFERENCING OLD TABLE AS earlier NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_jobs"();

CREATE FUNCTION "publish_applications"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'forge.application-submitted.v1', left(p.job_id, 200), jsonb_build_object('applicationId', p.id, 'jobId', p.job_id,
      'employerId', j.employer_id, 'freelancerId', p.freelancer_id), p.created_at
    FROM posted AS p JOIN jobs AS j ON j.id = p.job_id;
  ELSE
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'forge.application-moved.v1', left(p.job_id, 200), jsonb_build_object('applicationId', p.id, 'jobId', p.job_id,
      'employerId', j.employer_id, 'freelancerId', p.freelancer_id, 'status', p.status), p.updated_at
    FROM posted AS p JOIN earlier AS e ON e.id = p.id JOIN jobs AS j ON j.id = p.job_id WHERE e.status <> p.status;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_applications_publish_posted" AFTER INSERT ON "applications" REFERENCING NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_applications"();
CREATE TRIGGER "zz_applications_publish_moved" AFTER UPDATE ON "applications" REFERENCING OLD TABLE AS earlier NEW TABLE AS posted
  FOR EACH STATEMENT EXECUTE FUNCTION "publish_applications"();

-- A contract that is inserted as active, as the seed does, has started too.
CREATE FUNCTION "publish_contract"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES (CASE NEW.status WHEN 'active' THEN 'forge.contract-started.v1' ELSE 'forge.contract-ended.v1' END, left(NEW.id, 200),
    jsonb_build_object('contractId', NEW.id, 'jobId', NEW.job_id, 'employerId', NEW.employer_id, 'freelancerId', NEW.freelancer_id)
    || CASE NEW.status WHEN 'active' THEN jsonb_build_object('amount', NEW.amount::text, 'currency', NEW.currency)
       ELSE jsonb_build_object('status', NEW.status) END, NEW.updated_at);
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_contracts_publish_born" AFTER INSERT ON "contracts" FOR EACH ROW WHEN (NEW."status" = 'active')
  EXECUTE FUNCTION "publish_contract"();
CREATE TRIGGER "zz_contracts_publish_moved" AFTER UPDATE ON "contracts" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "publish_contract"();

-- The other steps of a milestone are those of its escrow or its contract.
CREATE FUNCTION "publish_milestone"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  SELECT CASE NEW.status WHEN 'submitted' THEN 'forge.work-submitted.v1' WHEN 'approved' THEN 'forge.work-approved.v1'
      ELSE 'forge.changes-requested.v1' END, left(c.id, 200),
    jsonb_build_object('milestoneId', NEW.id, 'contractId', c.id, 'employerId', c.employer_id, 'freelancerId', c.freelancer_id),
    NEW.updated_at
  FROM contracts AS c WHERE c.id = NEW.contract_id;
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_milestones_publish" AFTER UPDATE ON "milestones" FOR EACH ROW
  WHEN (OLD."status" <> NEW."status" AND (NEW."status" IN ('submitted', 'approved') OR (OLD."status" = 'submitted' AND NEW."status" = 'funded')))
  EXECUTE FUNCTION "publish_milestone"();

CREATE FUNCTION "publish_escrow"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES (CASE WHEN NEW.status IN ('released', 'refunded') THEN 'forge.escrow-settled.v1'
      ELSE 'forge.escrow-' || NEW.status::text || '.v1' END, left(NEW.contract_id, 200),
    jsonb_build_object('escrowId', NEW.id, 'contractId', NEW.contract_id, 'milestoneId', NEW.milestone_id,
      'payerWalletId', NEW.payer_wallet_id, 'payeeWalletId', NEW.payee_wallet_id, 'amount', NEW.amount::text, 'currency', NEW.currency)
    || CASE WHEN NEW.status IN ('requested', 'cancelled') THEN '{}' ELSE jsonb_build_object('holdId', NEW.hold_id) END
    || CASE WHEN NEW.status IN ('settling', 'released', 'refunded') THEN jsonb_build_object('payoutAmount', NEW.payout_amount::text,
         'refundAmount', NEW.refund_amount::text) ELSE '{}' END
    || CASE WHEN NEW.status IN ('released', 'refunded') THEN jsonb_build_object('transactionId', NEW.transaction_id, 'status', NEW.status)
       ELSE '{}' END, NEW.updated_at);
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_escrows_publish_requested" AFTER INSERT ON "escrows" FOR EACH ROW WHEN (NEW."status" IN ('requested', 'held'))
  EXECUTE FUNCTION "publish_escrow"();
CREATE TRIGGER "zz_escrows_publish_moved" AFTER UPDATE ON "escrows" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "publish_escrow"();

CREATE FUNCTION "publish_dispute"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  SELECT CASE NEW.status WHEN 'open' THEN 'forge.dispute-opened.v1' WHEN 'under_review' THEN 'forge.dispute-reviewed.v1'
      ELSE 'forge.dispute-closed.v1' END, left(c.id, 200),
    jsonb_build_object('disputeId', NEW.id, 'contractId', c.id, 'milestoneId', NEW.milestone_id, 'raisedById', NEW.raised_by_id,
      'employerId', c.employer_id, 'freelancerId', c.freelancer_id, 'reason', NEW.reason)
    || CASE WHEN NEW.status IN ('resolved', 'withdrawn') THEN jsonb_build_object('status', NEW.status) ELSE '{}' END, NEW.updated_at
  FROM contracts AS c WHERE c.id = NEW.contract_id;
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_disputes_publish_opened" AFTER INSERT ON "disputes" FOR EACH ROW WHEN (NEW."status" = 'open')
  EXECUTE FUNCTION "publish_dispute"();
CREATE TRIGGER "zz_disputes_publish_moved" AFTER UPDATE ON "disputes" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "publish_dispute"();

CREATE FUNCTION "publish_rating"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES ('forge.contract-rated.v1', left(NEW.contract_id, 200), jsonb_build_object('ratingId', NEW.id, 'contractId', NEW.contract_id,
    'authorId', NEW.author_id, 'rateeId', NEW.ratee_id, 'rateeRole', NEW.ratee_role, 'score', NEW.score), NEW.created_at);
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_ratings_publish" AFTER INSERT ON "ratings" FOR EACH ROW EXECUTE FUNCTION "publish_rating"();
