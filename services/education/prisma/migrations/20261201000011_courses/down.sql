-- loses: course_prerequisites, courses.capacity, courses.refund_days, courses.refund_max_progress
-- Reverts 20261201000011_courses. Capacities, terms of refunds and prerequisites are lost.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "reorder_modules"(text, text[]);
DROP FUNCTION "remove_module"(text);
DROP FUNCTION "update_module"(text, jsonb);
DROP FUNCTION "course_of_module"(text);
DROP FUNCTION "add_module"(text, text, jsonb, integer);
DROP FUNCTION "module_ids"(text);
DROP FUNCTION "place_modules"(text, text[]);
DROP FUNCTION "set_prerequisites"(text, text[]);
DROP FUNCTION "restore_course"(text);
DROP FUNCTION "archive_course"(text);
DROP FUNCTION "publish_course"(text);
DROP FUNCTION "update_course"(text, jsonb);
DROP FUNCTION "require_complete"(courses);
DROP FUNCTION "create_course"(text, text, text, jsonb);
DROP FUNCTION "restore_student"(text);
DROP FUNCTION "change_student_status"(text, student_status);
DROP FUNCTION "update_student"(text, jsonb);
DROP FUNCTION "register_student"(text, text, jsonb);
DROP FUNCTION "lock_course_content"(text, boolean);
DROP FUNCTION "lock_course"(text);
DROP FUNCTION "lock_student"(text);
DROP TRIGGER "courses_transition" ON "courses";
DROP TRIGGER "students_transition" ON "students";
DROP TRIGGER "modules_positions" ON "modules";
DROP FUNCTION "check_module_positions"();
DROP TABLE "course_prerequisites";
ALTER TABLE "courses" DROP COLUMN "capacity", DROP COLUMN "refund_days", DROP COLUMN "refund_max_progress";
