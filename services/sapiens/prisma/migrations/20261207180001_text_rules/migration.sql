-- Why: the app role could call a function with texts that the store refuses: an empty id, a text that is longer than the store allows,
-- a list with NULL as an element. Every text and every list gets the bounds of the store. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE assessments ADD CONSTRAINT assessments_texts_check CHECK (
    btrim(id) <> '' AND btrim(student_id) <> '' AND btrim(course_id) <> '' AND char_length(topic) <= 200 AND
    char_length(feedback) <= 20000) NOT VALID;
ALTER TABLE cards ADD CONSTRAINT cards_texts_check CHECK (
    btrim(id) <> '' AND btrim(student_id) <> '' AND btrim(skill_id) <> '' AND char_length(front) <= 20000 AND
    char_length(back) <= 20000) NOT VALID;
ALTER TABLE items ADD CONSTRAINT items_texts_check CHECK (
    btrim(id) <> '' AND btrim(skill_id) <> '' AND char_length(prompt) <= 20000 AND array_position(options, NULL) IS NULL AND
    array_position(options, '') IS NULL AND char_length(array_to_string(options, '')) <= 20000) NOT VALID;
ALTER TABLE path_steps ADD CONSTRAINT path_steps_texts_check CHECK (
    btrim(id) <> '' AND btrim(path_id) <> '' AND char_length(title) <= 200 AND char_length(description) <= 20000) NOT VALID;
ALTER TABLE questions ADD CONSTRAINT questions_texts_check CHECK (
    btrim(id) <> '' AND btrim(student_id) <> '' AND char_length(topic) <= 200 AND char_length(question) <= 20000 AND
    char_length(answer) <= 20000) NOT VALID;
ALTER TABLE message_chunks ADD CONSTRAINT message_chunks_texts_check CHECK (
    btrim(message_id) <> '' AND char_length(content) <= 10000) NOT VALID;
ALTER TABLE messages ADD CONSTRAINT messages_texts_check CHECK (
    btrim(id) <> '' AND btrim(session_id) <> '') NOT VALID;
ALTER TABLE learning_paths ADD CONSTRAINT learning_paths_texts_check CHECK (
    btrim(id) <> '' AND btrim(student_id) <> '' AND btrim(course_id) <> '' AND char_length(title) <= 200 AND
    char_length(subject) <= 200 AND char_length(description) <= 20000) NOT VALID;
ALTER TABLE tutoring_sessions ADD CONSTRAINT tutoring_sessions_texts_check CHECK (
    btrim(id) <> '' AND btrim(student_id) <> '' AND btrim(course_id) <> '' AND char_length(topic) <= 200 AND
    char_length(summary) <= 20000) NOT VALID;
ALTER TABLE skills ADD CONSTRAINT skills_texts_check CHECK (
    btrim(id) <> '' AND char_length(name) <= 200 AND char_length(topic) <= 200) NOT VALID;
ALTER TABLE learning_insights ADD CONSTRAINT learning_insights_texts_check CHECK (
    btrim(id) <> '' AND btrim(session_id) <> '' AND char_length(topic) <= 200 AND char_length(content) <= 20000) NOT VALID;
ALTER TABLE skill_mastery ADD CONSTRAINT skill_mastery_texts_check CHECK (
    btrim(id) <> '' AND btrim(student_id) <> '' AND btrim(skill_id) <> '') NOT VALID;
ALTER TABLE progress ADD CONSTRAINT progress_texts_check CHECK (
    btrim(id) <> '' AND btrim(path_id) <> '' AND btrim(step_id) <> '') NOT VALID;
ALTER TABLE student_profiles ADD CONSTRAINT student_profiles_texts_check CHECK (
    btrim(id) <> '' AND char_length(preferred_language) <= 35 AND char_length(goals) <= 20000 AND
    array_position(interests, NULL) IS NULL AND array_position(interests, '') IS NULL AND cardinality(interests) <= 50 AND
    char_length(array_to_string(interests, '')) <= 10000 AND array_position(strengths, NULL) IS NULL AND
    array_position(strengths, '') IS NULL AND array_position(weaknesses, NULL) IS NULL AND
    array_position(weaknesses, '') IS NULL) NOT VALID;
ALTER TABLE step_prerequisites ADD CONSTRAINT step_prerequisites_texts_check CHECK (
    btrim(path_id) <> '' AND btrim(step_id) <> '' AND btrim(prerequisite_id) <> '') NOT VALID;
ALTER TABLE assessment_items ADD CONSTRAINT assessment_items_texts_check CHECK (
    btrim(id) <> '' AND btrim(assessment_id) <> '' AND btrim(item_id) <> '' AND char_length(prompt) <= 20000 AND
    array_position(options, NULL) IS NULL AND array_position(options, '') IS NULL AND
    char_length(array_to_string(options, '')) <= 20000) NOT VALID;
ALTER TABLE card_reviews ADD CONSTRAINT card_reviews_texts_check CHECK (
    btrim(id) <> '' AND btrim(card_id) <> '') NOT VALID;
ALTER TABLE requests ADD CONSTRAINT requests_texts_check CHECK (
    btrim(answer_id) <> '' AND btrim(student_id) <> '') NOT VALID;
ALTER TABLE skill_attempts ADD CONSTRAINT skill_attempts_texts_check CHECK (
    btrim(id) <> '' AND btrim(student_id) <> '' AND btrim(skill_id) <> '' AND btrim(assessment_item_id) <> '') NOT VALID;
