DROP TABLE "transactions";
DROP TABLE "wallets";
DROP TABLE "assessment_submissions";
DROP TABLE "learning_progress";
DROP TABLE "enrollments";
DROP TABLE "modules";
DROP TABLE "courses";
DROP TABLE "students";

DROP FUNCTION "refuse_change"();

DROP TYPE "transaction_direction";
DROP TYPE "transaction_type";
DROP TYPE "submission_status";
DROP TYPE "enrollment_status";
DROP TYPE "course_status";
DROP TYPE "course_level";
DROP TYPE "student_status";
