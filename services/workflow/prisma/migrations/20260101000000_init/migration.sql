-- Why: the first schema of workflow.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "workflows" (
    "id" SERIAL NOT NULL,
    "name" VARCHAR(255) NOT NULL,
    "description" TEXT,
    "nodes" JSONB NOT NULL DEFAULT '[]',
    "connections" JSONB NOT NULL DEFAULT '[]',
    "settings" JSONB NOT NULL DEFAULT '{}',
    "status" VARCHAR(20) NOT NULL DEFAULT 'draft',
    "owner_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "workflows_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "plugins" (
    "id" SERIAL NOT NULL,
    "name" VARCHAR(255) NOT NULL,
    "description" TEXT,
    "version" VARCHAR(50) NOT NULL DEFAULT '1.0.0',
    "author" VARCHAR(255),
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "config_schema" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "plugins_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "workflow_plugins" (
    "workflow_id" INTEGER NOT NULL,
    "plugin_id" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "workflow_plugins_pkey" PRIMARY KEY ("workflow_id","plugin_id")
);

-- CreateTable
CREATE TABLE "logs" (
    "id" SERIAL NOT NULL,
    "workflow_id" INTEGER NOT NULL,
    "level" VARCHAR(10) NOT NULL DEFAULT 'info',
    "message" TEXT NOT NULL,
    "metadata" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "logs_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "workflows_name_owner_id_idx" ON "workflows"("name", "owner_id");

-- CreateIndex
CREATE INDEX "workflows_owner_id_updated_at_idx" ON "workflows"("owner_id", "updated_at");

-- CreateIndex
CREATE INDEX "workflows_status_idx" ON "workflows"("status");

-- CreateIndex
CREATE UNIQUE INDEX "plugins_name_key" ON "plugins"("name");

-- CreateIndex
CREATE INDEX "workflow_plugins_plugin_id_idx" ON "workflow_plugins"("plugin_id");

-- CreateIndex
CREATE INDEX "logs_workflow_id_created_at_idx" ON "logs"("workflow_id", "created_at");

-- CreateIndex
CREATE INDEX "logs_created_at_idx" ON "logs"("created_at");

-- AddForeignKey
ALTER TABLE "workflow_plugins" ADD CONSTRAINT "workflow_plugins_workflow_id_fkey" FOREIGN KEY ("workflow_id") REFERENCES "workflows"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "workflow_plugins" ADD CONSTRAINT "workflow_plugins_plugin_id_fkey" FOREIGN KEY ("plugin_id") REFERENCES "plugins"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "logs" ADD CONSTRAINT "logs_workflow_id_fkey" FOREIGN KEY ("workflow_id") REFERENCES "workflows"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "workflows"
  ADD CONSTRAINT "workflows_name_check" CHECK (btrim("name") <> ''),
  ADD CONSTRAINT "workflows_owner_id_check" CHECK (btrim("owner_id") <> ''),
  ADD CONSTRAINT "workflows_status_check" CHECK ("status" IN ('draft', 'published', 'archived')),
  ADD CONSTRAINT "workflows_version_check" CHECK ("version" >= 1),
  ADD CONSTRAINT "workflows_nodes_check" CHECK (jsonb_typeof("nodes") = 'array'),
  -- A list of edges, or the edges keyed by the node they start from: editors write both.
  ADD CONSTRAINT "workflows_connections_check" CHECK (jsonb_typeof("connections") IN ('array', 'object')),
  ADD CONSTRAINT "workflows_settings_check" CHECK (jsonb_typeof("settings") = 'object');

ALTER TABLE "plugins"
  ADD CONSTRAINT "plugins_name_check" CHECK (btrim("name") <> ''),
  ADD CONSTRAINT "plugins_version_check" CHECK (btrim("version") <> ''),
  ADD CONSTRAINT "plugins_config_schema_check" CHECK (jsonb_typeof("config_schema") = 'object');

ALTER TABLE "logs"
  ADD CONSTRAINT "logs_level_check" CHECK ("level" IN ('info', 'warn', 'error')),
  ADD CONSTRAINT "logs_message_check" CHECK (btrim("message") <> '');
