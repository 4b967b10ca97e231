-- Item banks, adaptive assessments by the two-parameter logistic model (2PL), and mastery by Bayesian knowledge tracing. The ability of
-- an assessment is a function of its answers, and the mastery of a skill is a function of its attempts, whoever writes them.
-- Locks: ACCESS EXCLUSIVE on assessments and assessment_items for the columns. Existing items get the location of their difficulty.

SET LOCAL lock_timeout = '5s';

CREATE TYPE "item_status" AS ENUM ('active', 'retired');
CREATE TYPE "stop_reason" AS ENUM ('precise', 'length', 'exhausted');
CREATE TYPE "attempt_source" AS ENUM ('practice', 'assessment');

CREATE TABLE "skills" (
  "id" TEXT NOT NULL,
  "slug" VARCHAR(100) NOT NULL,
  "name" TEXT NOT NULL,
  "topic" TEXT NOT NULL,
  "prior" DOUBLE PRECISION NOT NULL DEFAULT 0.3,
  "learn" DOUBLE PRECISION NOT NULL DEFAULT 0.1,
  "guess" DOUBLE PRECISION NOT NULL DEFAULT 0.2,
  "slip" DOUBLE PRECISION NOT NULL DEFAULT 0.1,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "skills_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "skills_slug_check" CHECK ("slug" ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  CONSTRAINT "skills_name_check" CHECK (btrim("name") <> ''),
  CONSTRAINT "skills_topic_check" CHECK (btrim("topic") <> ''),
  -- Below 1 and 0.5, so that a correct answer never lowers the mastery.
  CONSTRAINT "skills_parameters_check" CHECK ("prior" BETWEEN 0 AND 1 AND "learn" BETWEEN 0 AND 1
    AND "guess" >= 0 AND "slip" >= 0 AND "guess" + "slip" < 1 AND "guess" < 1 AND "slip" < 1),
  CONSTRAINT "skills_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)
    AND "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
CREATE UNIQUE INDEX "skills_slug_key" ON "skills" ("slug");
CREATE INDEX "skills_lower_topic_idx" ON "skills" (lower("topic"));

CREATE TABLE "items" (
  "id" TEXT NOT NULL,
  "skill_id" TEXT NOT NULL,
  "prompt" TEXT NOT NULL,
  "options" TEXT[] NOT NULL,
  "correct_option" INTEGER NOT NULL,
  "discrimination" DOUBLE PRECISION NOT NULL,
  "location" DOUBLE PRECISION NOT NULL,
  "status" "item_status" NOT NULL DEFAULT 'active',
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "items_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "items_skill_id_fkey" FOREIGN KEY ("skill_id") REFERENCES "skills" ("id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "items_prompt_check" CHECK (btrim("prompt") <> ''),
  CONSTRAINT "items_options_check" CHECK (cardinality("options") BETWEEN 2 AND 10),
  CONSTRAINT "items_correct_option_check" CHECK ("correct_option" >= 0 AND "correct_option" < cardinality("options")),
  CONSTRAINT "items_discrimination_check" CHECK ("discrimination" > 0 AND "discrimination" <= 4),
  CONSTRAINT "items_location_check" CHECK ("location" BETWEEN -6 AND 6),
  CONSTRAINT "items_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)
    AND "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
CREATE INDEX "items_skill_id_created_at_id_idx" ON "items" ("skill_id", "created_at", "id");
CREATE TRIGGER "items_transition" BEFORE UPDATE OF "status" ON "items" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status") EXECUTE FUNCTION "check_transition"('active>retired');

-- Item response theory ------------------------------------------------------------------------------------------------

-- The probability of a correct answer in the two-parameter logistic model.
CREATE FUNCTION "irt_probability"("p_theta" double precision, "p_a" double precision, "p_b" double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT 1 / (1 + exp(-p_a * (p_theta - p_b))) $$;

-- The expected a posteriori ability and its standard error, with a standard normal prior: the mean and the standard deviation of the
-- posterior on 121 equally spaced points from -6 to 6. The sums converge faster than any power of the distance of the points; the error
-- is below 1e-6 as long as the standard error is above the distance, 0.1. Without answers the result is the prior.
CREATE FUNCTION "irt_eap"(
  "p_a" double precision[], "p_b" double precision[], "p_correct" boolean[],
  OUT "ability" double precision, OUT "standard_error" double precision
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  grid double precision[];
  logs double precision[];
  peak double precision;
BEGIN
  IF coalesce(cardinality(p_correct), 0) = 0 THEN
    ability := 0;
    standard_error := 1;
    RETURN;
  END IF;
  SELECT array_agg(theta ORDER BY theta), array_agg(log_posterior ORDER BY theta), max(log_posterior) INTO grid, logs, peak
  FROM (
    SELECT theta, -theta * theta / 2 - sum(ln(1 + exp(CASE WHEN u THEN -1 ELSE 1 END * a * (theta - b))) ORDER BY n) AS log_posterior
    FROM (SELECT g / 10::double precision AS theta FROM generate_series(-60, 60) AS g) AS points,
      unnest(p_a, p_b, p_correct) WITH ORDINALITY AS answers (a, b, u, n)
    GROUP BY theta
  ) AS posterior;
  -- Points of no weight are kept from an underflow, which is an error.
  SELECT sum(weight * theta) / sum(weight) INTO ability
    FROM (SELECT theta, exp(greatest(l - peak, -600)) AS weight FROM unnest(grid, logs) AS p (theta, l)) AS w;
  SELECT sqrt(sum(weight * (theta - ability) ^ 2) / sum(weight)) INTO standard_error
    FROM (SELECT theta, exp(greatest(l - peak, -600)) AS weight FROM unnest(grid, logs) AS p (theta, l)) AS w;
END
$$;

ALTER TABLE "assessments"
  ADD COLUMN "ability" DOUBLE PRECISION NOT NULL DEFAULT 0 CONSTRAINT "assessments_ability_check" CHECK ("ability" BETWEEN -6 AND 6),
  ADD COLUMN "standard_error" DOUBLE PRECISION NOT NULL DEFAULT 1
    CONSTRAINT "assessments_standard_error_check" CHECK ("standard_error" > 0 AND "standard_error" <= 1.5),
  ADD COLUMN "target_standard_error" DOUBLE PRECISION NOT NULL DEFAULT 0.3
    CONSTRAINT "assessments_target_standard_error_check" CHECK ("target_standard_error" BETWEEN 0.1 AND 1),
  ADD COLUMN "stop_reason" "stop_reason";
-- lint-ignore constraint-missing-not-valid: the new columns have locked the table already
ALTER TABLE "assessments" ADD CONSTRAINT "assessments_stop_reason_check" CHECK ("stop_reason" IS NULL OR "status" = 'completed');

ALTER TABLE "assessment_items"
  ADD COLUMN "item_id" TEXT,
  ADD COLUMN "discrimination" DOUBLE PRECISION NOT NULL DEFAULT 1
    CONSTRAINT "assessment_items_discrimination_check" CHECK ("discrimination" > 0 AND "discrimination" <= 4),
  ADD COLUMN "location" DOUBLE PRECISION NOT NULL DEFAULT 0
    CONSTRAINT "assessment_items_location_check" CHECK ("location" BETWEEN -6 AND 6);
-- lint-ignore adding-foreign-key-constraint: the column is new and empty
ALTER TABLE "assessment_items" ADD CONSTRAINT "assessment_items_item_id_fkey" FOREIGN KEY ("item_id") REFERENCES "items" ("id")
  ON DELETE RESTRICT ON UPDATE RESTRICT;
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE INDEX "assessment_items_item_id_idx" ON "assessment_items" ("item_id");
-- An assessment asks an item once.
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE UNIQUE INDEX "assessment_items_assessment_id_item_id_key" ON "assessment_items" ("assessment_id", "item_id");

-- A difficulty from 0 to 1 is the probability that a student of average ability, 0, answers wrongly.
UPDATE "assessment_items" SET "location" = ln(d / (1 - d))
FROM (SELECT "id" AS key, least(greatest("difficulty", 0.0025), 0.9975) AS d FROM "assessment_items") AS clamped WHERE clamped.key = "id";

-- Ability and standard error follow from the answers; difficulty is the ability from 0 to 1, the difficulty of the item that fits best.
CREATE FUNCTION "derive_ability"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  SELECT e.ability, e.standard_error INTO NEW.ability, NEW.standard_error FROM (
    SELECT array_agg(discrimination ORDER BY position) AS a, array_agg(location ORDER BY position) AS b,
      array_agg(chosen_option = correct_option ORDER BY position) AS u
    FROM assessment_items WHERE assessment_id = NEW.id AND answered_at IS NOT NULL) AS answers, irt_eap(a, b, u) AS e;
  NEW.difficulty := irt_probability(NEW.ability, 1, 0);
  RETURN NEW;
END
$$;
CREATE TRIGGER "assessments_ability" BEFORE INSERT OR UPDATE OF "ability", "standard_error", "difficulty" ON "assessments" FOR EACH ROW
  EXECUTE FUNCTION "derive_ability"();
UPDATE "assessments" SET "ability" = 0;

CREATE FUNCTION "carry_ability"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE assessments SET ability = 0 WHERE id IN (
    coalesce(to_jsonb(NEW) ->> 'assessment_id', ''), coalesce(to_jsonb(OLD) ->> 'assessment_id', ''));
  RETURN NULL;
END
$$;
CREATE TRIGGER "assessment_items_ability_new" AFTER INSERT ON "assessment_items" FOR EACH ROW WHEN (NEW."answered_at" IS NOT NULL)
  EXECUTE FUNCTION "carry_ability"();
CREATE TRIGGER "assessment_items_ability_changed" AFTER UPDATE OR DELETE ON "assessment_items" FOR EACH ROW EXECUTE FUNCTION "carry_ability"();

-- An item stays as the student saw it, and an answer stays as it was given.
CREATE FUNCTION "check_answer"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF to_jsonb(NEW) - '{chosen_option,answered_at,updated_at}'::text[] <> to_jsonb(OLD) - '{chosen_option,answered_at,updated_at}'::text[]
    OR OLD.answered_at IS NOT NULL
  THEN
    PERFORM refuse('answer_fixed', jsonb_build_object('assessmentId', OLD.assessment_id, 'position', OLD.position));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "assessment_items_fixed" BEFORE UPDATE ON "assessment_items" FOR EACH ROW EXECUTE FUNCTION "check_answer"();

CREATE TRIGGER "assessments_transition" BEFORE UPDATE OF "status" ON "assessments" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status") EXECUTE FUNCTION "check_transition"('in_progress>completed', 'in_progress>abandoned');

-- Mastery -------------------------------------------------------------------------------------------------------------

CREATE TABLE "skill_mastery" (
  "id" TEXT NOT NULL DEFAULT gen_random_uuid()::text,
  "student_id" TEXT NOT NULL,
  "skill_id" TEXT NOT NULL,
  "probability" DOUBLE PRECISION NOT NULL,
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "correct" INTEGER NOT NULL DEFAULT 0,
  "mastered_at" TIMESTAMPTZ(6),
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "skill_mastery_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "skill_mastery_skill_id_fkey" FOREIGN KEY ("skill_id") REFERENCES "skills" ("id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "skill_mastery_probability_check" CHECK ("probability" BETWEEN 0 AND 1),
  CONSTRAINT "skill_mastery_attempts_check" CHECK ("attempts" >= 0 AND "correct" BETWEEN 0 AND "attempts"),
  CONSTRAINT "skill_mastery_times_check" CHECK ("mastered_at" >= to_timestamp(-62135596800) AND "mastered_at" < to_timestamp(253402300800)
    AND "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)
    AND "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
CREATE UNIQUE INDEX "skill_mastery_student_id_skill_id_key" ON "skill_mastery" ("student_id", "skill_id");
CREATE INDEX "skill_mastery_skill_id_idx" ON "skill_mastery" ("skill_id");

CREATE TABLE "skill_attempts" (
  "id" TEXT NOT NULL,
  "student_id" TEXT NOT NULL,
  "skill_id" TEXT NOT NULL,
  "number" INTEGER NOT NULL,
  "is_correct" BOOLEAN NOT NULL,
  "source" "attempt_source" NOT NULL,
  "assessment_item_id" TEXT,
  "probability" DOUBLE PRECISION NOT NULL,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "skill_attempts_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "skill_attempts_skill_id_fkey" FOREIGN KEY ("skill_id") REFERENCES "skills" ("id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "skill_attempts_assessment_item_id_fkey" FOREIGN KEY ("assessment_item_id") REFERENCES "assessment_items" ("id")
    ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "skill_attempts_number_check" CHECK ("number" >= 1),
  CONSTRAINT "skill_attempts_source_check" CHECK (("source" = 'assessment') = ("assessment_item_id" IS NOT NULL)),
  CONSTRAINT "skill_attempts_probability_check" CHECK ("probability" BETWEEN 0 AND 1),
  CONSTRAINT "skill_attempts_times_check"
    CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE UNIQUE INDEX "skill_attempts_student_id_skill_id_number_key" ON "skill_attempts" ("student_id", "skill_id", "number");
CREATE UNIQUE INDEX "skill_attempts_assessment_item_id_key" ON "skill_attempts" ("assessment_item_id");
CREATE INDEX "skill_attempts_skill_id_idx" ON "skill_attempts" ("skill_id");

-- Bayesian knowledge tracing without forgetting (Corbett and Anderson, 1995): the posterior of an answer, then the chance to learn.
CREATE FUNCTION "bkt_next"(
  "p_known" double precision, "p_is_correct" boolean, "p_learn" double precision, "p_guess" double precision, "p_slip" double precision
) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  -- An observation that the parameters exclude says nothing.
  SELECT least(1, posterior + (1 - posterior) * p_learn) FROM (SELECT coalesce(CASE
    WHEN p_is_correct THEN p_known * (1 - p_slip) / nullif(p_known * (1 - p_slip) + (1 - p_known) * p_guess, 0)
    ELSE p_known * p_slip / nullif(p_known * p_slip + (1 - p_known) * (1 - p_guess), 0)
  END, p_known) AS posterior) AS p
$$;

-- An attempt moves the mastery. The row of the mastery orders the attempts.
CREATE FUNCTION "apply_attempt"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  skill skills;
  mastery skill_mastery;
BEGIN
  SELECT * INTO skill FROM skills WHERE id = NEW.skill_id;
  IF NOT FOUND THEN
    -- The foreign key rejects the row.
    NEW.probability := 0;
    RETURN NEW;
  END IF;
  INSERT INTO skill_mastery (student_id, skill_id, probability, created_at, updated_at)
    VALUES (NEW.student_id, NEW.skill_id, skill.prior, NEW.created_at, NEW.created_at) ON CONFLICT (student_id, skill_id) DO NOTHING;
  SELECT * INTO STRICT mastery FROM skill_mastery WHERE student_id = NEW.student_id AND skill_id = NEW.skill_id FOR NO KEY UPDATE;
  NEW.number := mastery.attempts + 1;
  IF EXISTS (SELECT FROM skill_attempts WHERE id = NEW.id) THEN
    -- The primary key rejects the row, or ON CONFLICT skips it.
    NEW.probability := 0;
    RETURN NEW;
  END IF;
  NEW.probability := bkt_next(mastery.probability, NEW.is_correct, skill.learn, skill.guess, skill.slip);
  UPDATE skill_mastery SET probability = NEW.probability, attempts = NEW.number, correct = correct + NEW.is_correct::integer,
    mastered_at = CASE WHEN NEW.probability >= 0.95 THEN coalesce(mastered_at, NEW.created_at) ELSE mastered_at END,
    updated_at = NEW.created_at
  WHERE id = mastery.id;
  RETURN NEW;
END
$$;
CREATE TRIGGER "skill_attempts_applied" BEFORE INSERT ON "skill_attempts" FOR EACH ROW EXECUTE FUNCTION "apply_attempt"();

-- Logs are append-only: a state that follows from them could not follow from changed ones.
CREATE FUNCTION "refuse_log_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('log_fixed', jsonb_build_object('table', TG_TABLE_NAME));
  RETURN NULL;
END
$$;
CREATE TRIGGER "skill_attempts_append_only" BEFORE UPDATE ON "skill_attempts" FOR EACH ROW EXECUTE FUNCTION "refuse_log_change"();

CREATE FUNCTION "create_skill"("p_id" text, "p_slug" text, "p_fields" jsonb) RETURNS SETOF skills
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
BEGIN
  RETURN QUERY INSERT INTO skills (id, slug, name, topic, prior, learn, guess, slip, created_at, updated_at)
    VALUES (p_id, p_slug, p_fields ->> 'name', p_fields ->> 'topic', coalesce((p_fields ->> 'prior')::double precision, 0.3),
      coalesce((p_fields ->> 'learn')::double precision, 0.1), coalesce((p_fields ->> 'guess')::double precision, 0.2),
      coalesce((p_fields ->> 'slip')::double precision, 0.1), at, at)
    RETURNING *;
END
$$;

CREATE FUNCTION "require_skill"("p_id" text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM skills WHERE id = p_id) THEN
    PERFORM refuse('skill_not_found', jsonb_build_object('skillId', p_id));
  END IF;
END
$$;

CREATE FUNCTION "add_item"(
  "p_key" text, "p_hash" text, "p_id" text, "p_skill_id" text, "p_prompt" text, "p_options" text[], "p_correct_option" integer,
  "p_discrimination" double precision, "p_location" double precision
) RETURNS SETOF items LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'addItem', p_hash, p_id, NULL);
  at timestamptz := database_time();
BEGIN
  IF earlier IS NULL THEN
    PERFORM require_skill(p_skill_id);
    INSERT INTO items (id, skill_id, prompt, options, correct_option, discrimination, location, created_at, updated_at)
      VALUES (p_id, p_skill_id, p_prompt, p_options, p_correct_option, p_discrimination, p_location, at, at);
  END IF;
  RETURN QUERY SELECT * FROM items WHERE id = coalesce(earlier, p_id);
END
$$;

CREATE FUNCTION "retire_item"("p_id" text) RETURNS SETOF items
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE items SET status = 'retired', updated_at = database_time() WHERE id = p_id AND status = 'active';
  IF NOT EXISTS (SELECT FROM items WHERE id = p_id) THEN
    PERFORM refuse('item_not_found', jsonb_build_object('itemId', p_id));
  END IF;
  RETURN QUERY SELECT * FROM items WHERE id = p_id;
END
$$;

-- Records an attempt and publishes the moment at which the skill is mastered.
CREATE FUNCTION "add_attempt"(
  "p_id" text, "p_student_id" text, "p_skill_id" text, "p_is_correct" boolean, "p_item_id" text, "p_at" timestamptz
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := greatest(p_at,
    (SELECT updated_at + interval '1 microsecond' FROM skill_mastery WHERE student_id = p_student_id AND skill_id = p_skill_id));
  was_mastered boolean := EXISTS (SELECT FROM skill_mastery
    WHERE student_id = p_student_id AND skill_id = p_skill_id AND mastered_at IS NOT NULL);
BEGIN
  INSERT INTO skill_attempts (id, student_id, skill_id, is_correct, source, assessment_item_id, created_at)
    VALUES (p_id, p_student_id, p_skill_id, p_is_correct,
      CASE WHEN p_item_id IS NULL THEN 'practice' ELSE 'assessment' END::attempt_source, p_item_id, at);
  IF NOT was_mastered AND EXISTS (SELECT FROM skill_mastery
      WHERE student_id = p_student_id AND skill_id = p_skill_id AND mastered_at IS NOT NULL) THEN
    PERFORM emit('skill-mastered', p_student_id, jsonb_build_object('skillId', p_skill_id), at);
  END IF;
END
$$;

CREATE FUNCTION "record_practice"(
  "p_key" text, "p_hash" text, "p_id" text, "p_student_id" text, "p_skill_id" text, "p_is_correct" boolean
) RETURNS SETOF skill_mastery LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'recordPractice', p_hash, p_id, p_student_id);
  at timestamptz;
BEGIN
  IF earlier IS NULL THEN
    PERFORM require_skill(p_skill_id);
    PERFORM lock_student(p_student_id);
    at := database_time();
    PERFORM add_attempt(p_id, p_student_id, p_skill_id, p_is_correct, NULL, at);
    PERFORM refresh_profile(p_student_id, at);
  END IF;
  RETURN QUERY SELECT * FROM skill_mastery WHERE student_id = p_student_id AND skill_id = p_skill_id;
END
$$;

-- Assessments ---------------------------------------------------------------------------------------------------------

-- Asks the item of the topic that tells most about the current ability: information is a² p (1 - p). Returns whether there was one.
CREATE FUNCTION "ask_next_item"("p_assessment" assessments, "p_at" timestamptz) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO assessment_items (id, assessment_id, item_id, position, prompt, options, correct_option, discrimination, location, difficulty,
      created_at, updated_at)
    SELECT gen_random_uuid()::text, (p_assessment).id, i.id,
      1 + (SELECT count(*) FROM assessment_items AS asked WHERE asked.assessment_id = (p_assessment).id),
      i.prompt, i.options, i.correct_option, i.discrimination, i.location, irt_probability(i.location, 1, 0), p_at, p_at
    FROM items AS i JOIN skills AS s ON s.id = i.skill_id
      CROSS JOIN LATERAL irt_probability((p_assessment).ability, i.discrimination, i.location) AS p
    WHERE lower(s.topic) = lower((p_assessment).topic) AND i.status = 'active'
      AND NOT EXISTS (SELECT FROM assessment_items AS asked WHERE asked.assessment_id = (p_assessment).id AND asked.item_id = i.id)
    ORDER BY i.discrimination ^ 2 * p * (1 - p) DESC, i.id LIMIT 1;
  RETURN FOUND;
END
$$;

CREATE FUNCTION "start_assessment"(
  "p_key" text, "p_hash" text, "p_id" text, "p_student_id" text, "p_topic" text, "p_course_id" text, "p_max_items" integer,
  "p_target" double precision
) RETURNS SETOF assessments LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'startAssessment', p_hash, p_id, p_student_id);
  other text;
  made assessments;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM assessments WHERE id = earlier;
    RETURN;
  END IF;
  PERFORM lock_student(p_student_id);
  other := (SELECT id FROM assessments WHERE student_id = p_student_id AND lower(topic) = lower(p_topic) AND status = 'in_progress');
  IF other IS NOT NULL THEN
    PERFORM refuse('assessment_running', jsonb_build_object('assessmentId', other));
  END IF;
  at := database_time();
  INSERT INTO assessments (id, student_id, course_id, topic, max_items, target_standard_error, started_at, created_at, updated_at)
    VALUES (p_id, p_student_id, p_course_id, p_topic, p_max_items, p_target, at, at, at) RETURNING * INTO made;
  IF NOT ask_next_item(made, at) THEN
    PERFORM refuse('bank_empty', jsonb_build_object('topic', p_topic));
  END IF;
  PERFORM touch_profile(p_student_id, at);
  PERFORM emit('assessment-started', p_student_id, jsonb_build_object('assessmentId', p_id), at);
  RETURN NEXT made;
END
$$;

CREATE FUNCTION "lock_assessment"("p_id" text) RETURNS assessments LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target assessments;
BEGIN
  PERFORM lock_known_student((SELECT student_id FROM assessments WHERE id = p_id), 'assessment_not_found',
    jsonb_build_object('assessmentId', p_id));
  SELECT * INTO target FROM assessments WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('assessment_not_found', jsonb_build_object('assessmentId', p_id));
  END IF;
  RETURN target;
END
$$;

-- Takes the answer to the open item, once, and asks the next one, or completes the assessment: when it is precise enough, when it is as
-- long as allowed, or when the bank has no more items. The first device to answer wins.
CREATE FUNCTION "answer_item"("p_id" text, "p_position" integer, "p_chosen_option" integer) RETURNS SETOF assessments
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  assessment assessments := lock_assessment(p_id);
  item assessment_items;
  skill text;
  reason stop_reason;
  at timestamptz;
BEGIN
  SELECT * INTO item FROM assessment_items WHERE assessment_id = p_id AND position = p_position;
  IF NOT FOUND THEN
    PERFORM refuse('answer_order', jsonb_build_object('assessmentId', p_id, 'position', p_position));
  ELSIF item.answered_at IS NOT NULL THEN
    IF item.chosen_option <> p_chosen_option THEN
      PERFORM refuse('item_answered', jsonb_build_object('assessmentId', p_id, 'position', p_position));
    END IF;
    RETURN NEXT assessment;
    RETURN;
  ELSIF assessment.status <> 'in_progress' THEN
    PERFORM refuse('assessment_ended', jsonb_build_object('assessmentId', p_id, 'status', assessment.status));
  END IF;
  at := greatest(database_time(), item.created_at);
  UPDATE assessment_items SET chosen_option = p_chosen_option, answered_at = at, updated_at = at WHERE id = item.id;
  SELECT skill_id INTO skill FROM items WHERE id = item.item_id;
  IF skill IS NOT NULL THEN
    PERFORM add_attempt(gen_random_uuid()::text, assessment.student_id, skill, p_chosen_option = item.correct_option, item.id, at);
  END IF;
  SELECT * INTO assessment FROM assessments WHERE id = p_id;
  reason := CASE
    WHEN assessment.standard_error <= assessment.target_standard_error THEN 'precise'
    WHEN p_position >= assessment.max_items THEN 'length'
    WHEN NOT ask_next_item(assessment, at) THEN 'exhausted'
  END;
  IF reason IS NOT NULL THEN
    UPDATE assessments SET status = 'completed', stop_reason = reason, ended_at = greatest(at, started_at), updated_at = at,
      score = (SELECT avg((chosen_option = correct_option)::integer) FROM assessment_items WHERE assessment_id = p_id)
    WHERE id = p_id RETURNING * INTO assessment;
    PERFORM emit('assessment-completed', assessment.student_id, jsonb_build_object('assessmentId', p_id, 'score', assessment.score,
      'ability', assessment.ability, 'standardError', assessment.standard_error, 'stopReason', reason), at);
  END IF;
  PERFORM refresh_profile(assessment.student_id, at);
  RETURN NEXT assessment;
END
$$;

CREATE FUNCTION "abandon_assessment"("p_id" text) RETURNS SETOF assessments
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  assessment assessments := lock_assessment(p_id);
  at timestamptz := greatest(database_time(), assessment.started_at);
BEGIN
  IF assessment.status <> 'abandoned' THEN
    UPDATE assessments SET status = 'abandoned', ended_at = at, updated_at = at WHERE id = p_id RETURNING * INTO assessment;
    PERFORM emit('assessment-abandoned', assessment.student_id, jsonb_build_object('assessmentId', p_id), at);
  END IF;
  RETURN NEXT assessment;
END
$$;
