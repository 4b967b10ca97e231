-- Why: the first schema of health.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "log_level" AS ENUM ('DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL');

-- CreateEnum
CREATE TYPE "verdict" AS ENUM ('compliant', 'warning', 'violation');

-- CreateTable
CREATE TABLE "logs" (
    "id" TEXT NOT NULL,
    "level" "log_level" NOT NULL DEFAULT 'INFO',
    "service" VARCHAR(100) NOT NULL,
    "message" TEXT NOT NULL,
    "user_id" TEXT,
    "request_id" VARCHAR(100),
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "logs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "constitutional_logs" (
    "id" TEXT NOT NULL,
    "service" VARCHAR(100) NOT NULL,
    "action" VARCHAR(100) NOT NULL,
    "article" VARCHAR(100) NOT NULL,
    "verdict" "verdict" NOT NULL,
    "compliance_score" DOUBLE PRECISION NOT NULL,
    "reasoning" TEXT NOT NULL,
    "user_id" TEXT,
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "constitutional_logs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "service_health" (
    "id" SERIAL NOT NULL,
    "service_name" VARCHAR(100) NOT NULL,
    "port" INTEGER NOT NULL,
    "status" VARCHAR(50) NOT NULL,
    "last_check" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "response_time_ms" INTEGER,
    "error_message" TEXT,
    "metadata" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "service_health_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "logs_service_created_at_idx" ON "logs"("service", "created_at");

-- CreateIndex
CREATE INDEX "logs_user_id_idx" ON "logs"("user_id");

-- CreateIndex
CREATE INDEX "logs_request_id_idx" ON "logs"("request_id");

-- CreateIndex
CREATE INDEX "logs_created_at_idx" ON "logs"("created_at");

-- CreateIndex
CREATE INDEX "constitutional_logs_service_created_at_idx" ON "constitutional_logs"("service", "created_at");

-- CreateIndex
CREATE INDEX "constitutional_logs_verdict_idx" ON "constitutional_logs"("verdict");

-- CreateIndex
CREATE INDEX "constitutional_logs_user_id_idx" ON "constitutional_logs"("user_id");

-- CreateIndex
CREATE INDEX "service_health_status_idx" ON "service_health"("status");

-- CreateIndex
CREATE UNIQUE INDEX "service_health_service_name_port_key" ON "service_health"("service_name", "port");

ALTER TABLE "logs"
  ADD CONSTRAINT "logs_service_check" CHECK (btrim("service") <> ''),
  ADD CONSTRAINT "logs_message_check" CHECK (btrim("message") <> ''),
  ADD CONSTRAINT "logs_metadata_check" CHECK (jsonb_typeof("metadata") = 'object');

ALTER TABLE "constitutional_logs"
  ADD CONSTRAINT "constitutional_logs_service_check" CHECK (btrim("service") <> ''),
  ADD CONSTRAINT "constitutional_logs_action_check" CHECK (btrim("action") <> ''),
  ADD CONSTRAINT "constitutional_logs_article_check" CHECK (btrim("article") <> ''),
  ADD CONSTRAINT "constitutional_logs_reasoning_check" CHECK (btrim("reasoning") <> ''),
  ADD CONSTRAINT "constitutional_logs_compliance_score_check" CHECK ("compliance_score" BETWEEN 0 AND 1),
  ADD CONSTRAINT "constitutional_logs_metadata_check" CHECK (jsonb_typeof("metadata") = 'object');

ALTER TABLE "service_health"
  ADD CONSTRAINT "service_health_service_name_check" CHECK (btrim("service_name") <> ''),
  ADD CONSTRAINT "service_health_port_check" CHECK ("port" BETWEEN 1 AND 65535),
  ADD CONSTRAINT "service_health_status_check" CHECK ("status" IN ('running', 'stopped', 'degraded', 'error')),
  ADD CONSTRAINT "service_health_response_time_ms_check" CHECK ("response_time_ms" >= 0),
  ADD CONSTRAINT "service_health_error_check" CHECK ("status" <> 'error' OR btrim("error_message") <> '');

-- What an operator looks for, among the many lines that say that all is well.
CREATE INDEX "logs_failures_idx" ON "logs" ("created_at" DESC) WHERE "level" IN ('ERROR', 'FATAL');

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'Table % is append-only: % is refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END
$$;

CREATE TRIGGER "constitutional_logs_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "constitutional_logs"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
