DROP TABLE "logs";
DROP TABLE "workflow_plugins";
DROP TABLE "plugins";
DROP TABLE "workflows";
