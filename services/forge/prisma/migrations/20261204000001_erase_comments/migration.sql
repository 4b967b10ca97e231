-- Why: an erasure left what others had written about a rated person, which is personal data of that person too.
-- Locks: none on tables.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "erase_person"(p_user text) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    AS $$
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
  -- A comment is about the rated person as much as it is by its author. In one order, because the two may be erased at the same time.
  PERFORM FROM ratings WHERE author_id = p_user OR ratee_id = p_user ORDER BY id FOR NO KEY UPDATE;
  UPDATE ratings SET comment = NULL WHERE (author_id = p_user OR ratee_id = p_user) AND comment IS NOT NULL;
  GET DIAGNOSTICS changed = ROW_COUNT;
  anonymised := anonymised + changed;
  RETURN jsonb_build_object('deleted', deleted, 'anonymised', anonymised,
    'retained', (SELECT count(*) FROM contracts WHERE p_user IN (employer_id, freelancer_id)),
    'running', (SELECT count(*) FROM contracts WHERE p_user IN (employer_id, freelancer_id) AND status IN ('draft', 'active')));
END
$$;
