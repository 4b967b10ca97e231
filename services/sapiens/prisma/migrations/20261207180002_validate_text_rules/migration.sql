-- Applies the bounds of the last migration to the existing rows. NULL and empty elements are replaced where their place counts.
-- It fails if a row has an empty id or a text that is too long; correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write, and the rows that are repaired.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

UPDATE items SET options = array_replace(array_replace(options, NULL, '(no text)'), '', '(no text)')
WHERE array_position(options, NULL) IS NOT NULL OR array_position(options, '') IS NOT NULL;
UPDATE student_profiles SET interests = array_remove(array_remove(interests, NULL), ''),
  strengths = array_remove(array_remove(strengths, NULL), ''),
  weaknesses = array_remove(array_remove(weaknesses, NULL), '')
WHERE array_position(interests, NULL) IS NOT NULL OR array_position(interests, '') IS NOT NULL
  OR array_position(strengths, NULL) IS NOT NULL OR array_position(strengths, '') IS NOT NULL
  OR array_position(weaknesses, NULL) IS NOT NULL OR array_position(weaknesses, '') IS NOT NULL;
-- Its trigger refuses every change of a question that was asked.
DO $$
BEGIN
  IF EXISTS (SELECT FROM assessment_items WHERE array_position(options, NULL) IS NOT NULL OR array_position(options, '') IS NOT NULL) THEN
    ALTER TABLE assessment_items DISABLE TRIGGER USER;
    UPDATE assessment_items SET options = array_replace(array_replace(options, NULL, '(no text)'), '', '(no text)')
    WHERE array_position(options, NULL) IS NOT NULL OR array_position(options, '') IS NOT NULL;
    ALTER TABLE assessment_items ENABLE TRIGGER USER;
  END IF;
END
$$;

ALTER TABLE assessments VALIDATE CONSTRAINT assessments_texts_check;
ALTER TABLE cards VALIDATE CONSTRAINT cards_texts_check;
ALTER TABLE items VALIDATE CONSTRAINT items_texts_check;
ALTER TABLE path_steps VALIDATE CONSTRAINT path_steps_texts_check;
ALTER TABLE questions VALIDATE CONSTRAINT questions_texts_check;
ALTER TABLE message_chunks VALIDATE CONSTRAINT message_chunks_texts_check;
ALTER TABLE messages VALIDATE CONSTRAINT messages_texts_check;
ALTER TABLE learning_paths VALIDATE CONSTRAINT learning_paths_texts_check;
ALTER TABLE tutoring_sessions VALIDATE CONSTRAINT tutoring_sessions_texts_check;
ALTER TABLE skills VALIDATE CONSTRAINT skills_texts_check;
ALTER TABLE learning_insights VALIDATE CONSTRAINT learning_insights_texts_check;
ALTER TABLE skill_mastery VALIDATE CONSTRAINT skill_mastery_texts_check;
ALTER TABLE progress VALIDATE CONSTRAINT progress_texts_check;
ALTER TABLE student_profiles VALIDATE CONSTRAINT student_profiles_texts_check;
ALTER TABLE step_prerequisites VALIDATE CONSTRAINT step_prerequisites_texts_check;
ALTER TABLE assessment_items VALIDATE CONSTRAINT assessment_items_texts_check;
ALTER TABLE card_reviews VALIDATE CONSTRAINT card_reviews_texts_check;
ALTER TABLE requests VALIDATE CONSTRAINT requests_texts_check;
ALTER TABLE skill_attempts VALIDATE CONSTRAINT skill_attempts_texts_check;
