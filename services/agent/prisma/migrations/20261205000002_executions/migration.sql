-- Why: an execution is recorded when it starts, so that one whose process died is seen; its cost follows from the prices of models.
-- Locks: ACCESS EXCLUSIVE on agent_executions until the end, while its rows get their status: about 10 s for a million executions.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- CreateEnum
CREATE TYPE "execution_status" AS ENUM ('running', 'succeeded', 'failed');

ALTER TABLE "agent_executions"
  ADD COLUMN "status" "execution_status",
  ADD COLUMN "prompt_tokens" INTEGER,
  ADD COLUMN "completion_tokens" INTEGER,
  ADD COLUMN "finished_at" TIMESTAMPTZ(6);
UPDATE "agent_executions" SET
  "status" = (CASE WHEN "success" THEN 'succeeded' ELSE 'failed' END)::"execution_status",
  "finished_at" = "created_at" + coalesce("duration_ms", 0) * interval '1 millisecond';
-- lint-ignore adding-not-nullable-field: the table is locked by this migration already, and every row has a status
-- lint-ignore constraint-missing-not-valid: the table is locked by this migration already
ALTER TABLE "agent_executions"
  ALTER COLUMN "status" SET NOT NULL,
  DROP CONSTRAINT "agent_executions_times_check",
  ADD CONSTRAINT "agent_executions_times_check" CHECK (
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "finished_at" >= to_timestamp(-62135596800) AND "finished_at" < to_timestamp(253402300800)
  ),
  ADD CONSTRAINT "agent_executions_success_check" CHECK ("success" = ("status" = 'succeeded')),
  ADD CONSTRAINT "agent_executions_finished_at_check" CHECK (("status" = 'running') = ("finished_at" IS NULL)),
  ADD CONSTRAINT "agent_executions_prompt_tokens_check" CHECK ("prompt_tokens" >= 0),
  ADD CONSTRAINT "agent_executions_completion_tokens_check" CHECK ("completion_tokens" >= 0),
  ADD CONSTRAINT "agent_executions_token_parts_check" CHECK (
    num_nonnulls("prompt_tokens", "completion_tokens") = 0
    OR (num_nonnulls("prompt_tokens", "completion_tokens", "tokens_used") = 3 AND "prompt_tokens" + "completion_tokens" = "tokens_used")
  );
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "agent_executions_agent_id_created_at_id_idx" ON "agent_executions"("agent_id", "created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "agent_executions_user_id_created_at_id_idx" ON "agent_executions"("user_id", "created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "agent_executions_created_at_id_idx" ON "agent_executions"("created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "agent_executions_running_idx" ON "agent_executions"("created_at") WHERE "status" = 'running';

-- SQL that was written before executions had a status inserts finished ones.
CREATE FUNCTION "set_outcome"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  NEW.status := CASE WHEN NEW.success THEN 'succeeded' ELSE 'failed' END;
  NEW.finished_at := coalesce(NEW.finished_at, NEW.created_at + coalesce(NEW.duration_ms, 0) * interval '1 millisecond');
  RETURN NEW;
END
$$;
CREATE TRIGGER "agent_executions_outcome" BEFORE INSERT ON "agent_executions" FOR EACH ROW WHEN (NEW."status" IS NULL)
  EXECUTE FUNCTION "set_outcome"();
CREATE TRIGGER "agent_executions_transition" AFTER UPDATE ON "agent_executions" FOR EACH ROW
  WHEN (OLD."status" <> NEW."status") EXECUTE FUNCTION "check_transition"('execution', 'running>succeeded running>failed');

-- CreateTable
CREATE TABLE "model_prices" (
    "model" VARCHAR(100) NOT NULL,
    "valid_from" TIMESTAMPTZ(6) NOT NULL,
    "prompt_price" DECIMAL(18,8) NOT NULL,
    "completion_price" DECIMAL(18,8) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "model_prices_pkey" PRIMARY KEY ("model", "valid_from"),
    CONSTRAINT "model_prices_model_check" CHECK (btrim("model") <> ''),
    CONSTRAINT "model_prices_prompt_price_check" CHECK ("prompt_price" >= 0 AND "prompt_price" <> 'NaN'),
    CONSTRAINT "model_prices_completion_price_check" CHECK ("completion_price" >= 0 AND "completion_price" <> 'NaN'),
    CONSTRAINT "model_prices_times_check" CHECK (
      "valid_from" >= to_timestamp(-62135596800) AND "valid_from" < to_timestamp(253402300800) AND
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)
    )
);

-- A price that a cost was computed with stays.
CREATE FUNCTION "keep_price"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('price_fixed', jsonb_build_object('model', OLD.model, 'validFrom', OLD.valid_from));
  RETURN NULL;
END
$$;
CREATE TRIGGER "model_prices_fixed" BEFORE UPDATE ON "model_prices" FOR EACH ROW EXECUTE FUNCTION "keep_price"();

-- The executions that started in a period, by agent and model. The cost is that of the finished ones whose model had a price when they
-- started and whose tokens are known by kind; "unpriced" counts the other finished ones. A price is for a million tokens, and
-- multiplication by 0.000001 is exact, so the only rounding is that of each sum to 8 decimals.
CREATE FUNCTION "execution_statistics"("p_since" timestamptz, "p_until" timestamptz, "p_agent" text, "p_model" text)
RETURNS TABLE (
  "agent_id" text, "model" text, "executions" bigint, "running" bigint, "succeeded" bigint, "failed" bigint, "tokens_used" bigint,
  "prompt_tokens" bigint, "completion_tokens" bigint, "mean_ms" double precision, "p50_ms" double precision, "p95_ms" double precision,
  "cost" numeric, "unpriced" bigint
) LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT e.agent_id::text, e.model::text, count(*),
    count(*) FILTER (WHERE e.status = 'running'), count(*) FILTER (WHERE e.status = 'succeeded'),
    count(*) FILTER (WHERE e.status = 'failed'),
    coalesce(sum(e.tokens_used), 0), coalesce(sum(e.prompt_tokens), 0), coalesce(sum(e.completion_tokens), 0),
    avg(e.duration_ms)::double precision,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY e.duration_ms), percentile_cont(0.95) WITHIN GROUP (ORDER BY e.duration_ms),
    round(coalesce(sum((e.prompt_tokens * price.prompt_price + e.completion_tokens * price.completion_price) * 0.000001)
      FILTER (WHERE e.status <> 'running'), 0), 8),
    count(*) FILTER (WHERE e.status <> 'running' AND (price.prompt_price IS NULL OR e.prompt_tokens IS NULL))
  FROM agent_executions AS e
  LEFT JOIN LATERAL (
    SELECT p.prompt_price, p.completion_price FROM model_prices AS p
    WHERE p.model = e.model AND p.valid_from <= e.created_at ORDER BY p.valid_from DESC LIMIT 1
  ) AS price ON true
  WHERE e.created_at >= p_since AND e.created_at < p_until
    AND (p_agent IS NULL OR e.agent_id = p_agent) AND (p_model IS NULL OR e.model = p_model)
  GROUP BY e.agent_id, e.model ORDER BY e.agent_id, e.model NULLS LAST
$$;
