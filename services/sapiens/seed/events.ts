import type { SapiensTransaction } from '../src/index';

/** The events that the store would have published if it had written the rows of the seed, oldest first. */
const PUBLISH = `
  SELECT emit(name, $1, payload, at) FROM (
    SELECT created_at AS at, 'path-created' AS name, jsonb_build_object('pathId', id) AS payload FROM learning_paths WHERE student_id = $1
    UNION ALL
    SELECT started_at, 'session-started', jsonb_build_object('sessionId', id) FROM tutoring_sessions WHERE student_id = $1
    UNION ALL
    SELECT i.created_at, 'insight-recorded', jsonb_build_object('insightId', i.id, 'sessionId', s.id, 'kind', i.kind)
    FROM learning_insights AS i JOIN tutoring_sessions AS s ON s.id = i.session_id WHERE s.student_id = $1
    UNION ALL
    SELECT ended_at, 'session-ended', jsonb_build_object('sessionId', id, 'status', status, 'durationMinutes', duration_minutes)
    FROM tutoring_sessions WHERE student_id = $1 AND ended_at IS NOT NULL
    UNION ALL
    SELECT started_at, 'assessment-started', jsonb_build_object('assessmentId', id) FROM assessments WHERE student_id = $1
    UNION ALL
    SELECT ended_at, 'assessment-completed', jsonb_build_object('assessmentId', id, 'score', score, 'ability', ability,
      'standardError', standard_error, 'stopReason', stop_reason)
    FROM assessments WHERE student_id = $1 AND status = 'completed'
    UNION ALL
    SELECT r.completed_at, 'step-completed', jsonb_build_object('pathId', r.path_id, 'stepId', r.step_id)
    FROM progress AS r JOIN learning_paths AS p ON p.id = r.path_id WHERE p.student_id = $1 AND r.completed_at IS NOT NULL
    UNION ALL
    SELECT created_at, 'question-asked', jsonb_build_object('questionId', id) FROM questions WHERE student_id = $1
    UNION ALL
    SELECT answered_at, 'question-answered', jsonb_build_object('questionId', id) FROM questions
    WHERE student_id = $1 AND answered_at IS NOT NULL
    -- What starts and ends at the same time starts first, because its name sorts last.
    ORDER BY at, name DESC
  ) AS events`;

export async function publishSeed(tx: SapiensTransaction, studentId: string): Promise<void> {
  await tx.$executeRawUnsafe(PUBLISH, studentId);
}
