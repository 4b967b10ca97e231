DROP TABLE "notifications";
DROP TYPE "notification_type";
