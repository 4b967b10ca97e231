-- Reverts 20261207180001_text_rules.

SET LOCAL lock_timeout = '5s';

ALTER TABLE assessments DROP CONSTRAINT assessments_texts_check;
ALTER TABLE cards DROP CONSTRAINT cards_texts_check;
ALTER TABLE items DROP CONSTRAINT items_texts_check;
ALTER TABLE path_steps DROP CONSTRAINT path_steps_texts_check;
ALTER TABLE questions DROP CONSTRAINT questions_texts_check;
ALTER TABLE message_chunks DROP CONSTRAINT message_chunks_texts_check;
ALTER TABLE messages DROP CONSTRAINT messages_texts_check;
ALTER TABLE learning_paths DROP CONSTRAINT learning_paths_texts_check;
ALTER TABLE tutoring_sessions DROP CONSTRAINT tutoring_sessions_texts_check;
ALTER TABLE skills DROP CONSTRAINT skills_texts_check;
ALTER TABLE learning_insights DROP CONSTRAINT learning_insights_texts_check;
ALTER TABLE skill_mastery DROP CONSTRAINT skill_mastery_texts_check;
ALTER TABLE progress DROP CONSTRAINT progress_texts_check;
ALTER TABLE student_profiles DROP CONSTRAINT student_profiles_texts_check;
ALTER TABLE step_prerequisites DROP CONSTRAINT step_prerequisites_texts_check;
ALTER TABLE assessment_items DROP CONSTRAINT assessment_items_texts_check;
ALTER TABLE card_reviews DROP CONSTRAINT card_reviews_texts_check;
ALTER TABLE requests DROP CONSTRAINT requests_texts_check;
ALTER TABLE skill_attempts DROP CONSTRAINT skill_attempts_texts_check;
