-- Why: the app role could grade a graded submission again by calling the function with NULL instead of true or false, could grade
-- without a name, and could submit answers that are a list or a number, which no answer key can be compared with.
-- Locks: ACCESS EXCLUSIVE on assessment_submissions for a moment, to add a constraint that is not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE assessment_submissions ADD CONSTRAINT assessment_submissions_answers_check
  CHECK (jsonb_typeof(answers) = 'object') NOT VALID;

CREATE OR REPLACE FUNCTION "grade_submission"("p_id" text, "p_score" numeric, "p_feedback" text, "p_graded_by_id" text, "p_again" boolean)
RETURNS SETOF assessment_submissions LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  submission assessment_submissions;
  at timestamptz;
BEGIN
  SELECT * INTO submission FROM assessment_submissions WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('submission_not_found', jsonb_build_object('submissionId', p_id), 'A submission has an id.');
  ELSIF (p_again = (submission.status = 'graded')) IS NOT TRUE THEN
    PERFORM refuse('grade_order', jsonb_build_object('submissionId', p_id, 'status', submission.status),
      'A submission is graded once, and regraded after that.');
  ELSIF (p_score >= 0 AND p_score <= submission.max_score AND p_score = round(p_score, 2)) IS NOT TRUE THEN
    PERFORM refuse('score_invalid', jsonb_build_object('submissionId', p_id, 'maxScore', submission.max_score::text),
      'A score has at most two decimals and is at most the maximum.');
  ELSIF (btrim(p_graded_by_id) <> '') IS NOT TRUE THEN
    PERFORM refuse('grader_missing', jsonb_build_object('submissionId', p_id), 'A person grades under a name.');
  END IF;
  -- A later grade has a later time, also when the clock of the server went back.
  at := greatest(database_time(), submission.submitted_at, submission.graded_at + interval '1 microsecond');
  UPDATE assessment_submissions SET status = 'graded', score = p_score, feedback = p_feedback, graded_by_id = p_graded_by_id,
    graded_at = at, updated_at = at WHERE id = p_id RETURNING * INTO submission;
  PERFORM publish_grade(submission);
  PERFORM audit(p_graded_by_id, CASE WHEN p_again THEN 'submission.regraded' ELSE 'submission.graded' END, 'submission', p_id, '{}', at);
  RETURN NEXT submission;
END
$$;
