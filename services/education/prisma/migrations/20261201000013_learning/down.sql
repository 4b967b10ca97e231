-- loses: assessments, grades
-- Reverts 20261201000013_learning. The terms of assessments and the earlier grades of regraded submissions are lost.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "unpassed_modules"(text, text);
DROP FUNCTION "grade_submission"(text, numeric, text, text, boolean);
DROP FUNCTION "submit_assessment"(text, text, text, text, text, jsonb);
DROP FUNCTION "publish_grade"(assessment_submissions);
DROP TRIGGER "assessment_submissions_fixed" ON "assessment_submissions";
DROP FUNCTION "check_submission_change"();
DROP TRIGGER "assessment_submissions_transition" ON "assessment_submissions";
DROP TRIGGER "assessment_submissions_grade_changed" ON "assessment_submissions";
DROP TRIGGER "assessment_submissions_grade_new" ON "assessment_submissions";
DROP FUNCTION "keep_grades"();
DROP TABLE "grades";
DROP FUNCTION "refuse_grade_change"();
DROP FUNCTION "remove_assessment"(text);
DROP FUNCTION "set_assessment"(text, text, jsonb);
DROP FUNCTION "points_of"(jsonb, jsonb);
DROP TABLE "assessments";
DROP FUNCTION "record_progress"(text, text, integer, integer);
DROP TRIGGER "enrollments_progress_changed" ON "enrollments";
DROP TRIGGER "enrollments_progress_new" ON "enrollments";
DROP FUNCTION "derive_course_progress"();
DROP TRIGGER "learning_progress_carried_gone" ON "learning_progress";
DROP TRIGGER "learning_progress_carried_changed" ON "learning_progress";
DROP TRIGGER "learning_progress_carried_new" ON "learning_progress";
DROP FUNCTION "carry_progress"();
DROP TRIGGER "learning_progress_derived" ON "learning_progress";
DROP FUNCTION "derive_module_progress"();
DROP FUNCTION "course_progress"(text, text);
DROP FUNCTION "percent_of"(integer, integer);
