-- What every function of the store needs: the clock of the rules, the error of a rule, idempotency keys, the rule of statuses, and the
-- lock of a student. From here on only functions write the tables, because the app role loses its rights to write them.
-- Locks: none on existing tables.

SET LOCAL lock_timeout = '5s';

-- Tells the time of every rule of this database, so that no client's clock counts. Only the administrator can replace it.
CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- Raises the error of a rule: the store reads the name and the facts of the rule from it.
CREATE FUNCTION "refuse"("p_rule" text, "p_facts" jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = p_rule, DETAIL = p_facts::text;
END
$$;

-- A status changes only as the arguments of the trigger list it, 'from>to', whoever changes it.
CREATE FUNCTION "check_transition"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT (OLD.status::text || '>' || NEW.status::text = ANY (TG_ARGV)) THEN
    PERFORM refuse('status_transition', jsonb_build_object('table', TG_TABLE_NAME, 'id', NEW.id, 'from', OLD.status,
      'to', NEW.status));
  END IF;
  RETURN NEW;
END
$$;

CREATE TABLE "requests" (
  "key" VARCHAR(200) NOT NULL,
  "operation" VARCHAR(50) NOT NULL,
  "body_hash" CHAR(64) NOT NULL,
  "answer_id" TEXT NOT NULL,
  "student_id" TEXT,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "requests_pkey" PRIMARY KEY ("key"),
  CONSTRAINT "requests_key_check" CHECK (btrim("key") <> ''),
  CONSTRAINT "requests_body_hash_check" CHECK ("body_hash" ~ '^[0-9a-f]{64}$'),
  CONSTRAINT "requests_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE INDEX "requests_student_id_idx" ON "requests" ("student_id");

-- Records a request under its key. Returns null for a new request, and the id of the first answer for a repeated one. A concurrent
-- request with the same key waits here until the first one commits.
CREATE FUNCTION "begin_request"("p_key" text, "p_operation" text, "p_hash" text, "p_answer_id" text, "p_student_id" text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier requests;
BEGIN
  INSERT INTO requests (key, operation, body_hash, answer_id, student_id, created_at)
    VALUES (p_key, p_operation, p_hash, p_answer_id, p_student_id, database_time()) ON CONFLICT (key) DO NOTHING;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  SELECT * INTO STRICT earlier FROM requests WHERE key = p_key;
  IF earlier.operation <> p_operation OR earlier.body_hash <> p_hash THEN
    PERFORM refuse('key_reused', jsonb_build_object('operation', earlier.operation, 'asked', p_operation));
  END IF;
  RETURN earlier.answer_id;
END
$$;

-- Writes an event in the transaction of its change. Called by functions that hold the locks of the change.
CREATE FUNCTION "emit"("p_name" text, "p_student_id" text, "p_payload" jsonb, "p_at" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES ('sapiens.' || p_name || '.v1', left(p_student_id, 200), p_payload || jsonb_build_object('studentId', p_student_id), p_at)
$$;

-- The lock of a student orders everything that happens to the student. It is the row of the profile, which the first call creates, and
-- the first lock of every function that changes a student's rows.
CREATE FUNCTION "lock_student"("p_student_id" text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz;
BEGIN
  LOOP
    PERFORM FROM student_profiles WHERE student_id = p_student_id FOR NO KEY UPDATE;
    EXIT WHEN FOUND;
    at := database_time();
    INSERT INTO student_profiles (id, student_id, created_at, updated_at) VALUES (gen_random_uuid()::text, p_student_id, at, at)
      ON CONFLICT (student_id) DO NOTHING;
  END LOOP;
END
$$;

-- Locks the student of a row that may vanish: an erasure can run between the read and the lock.
CREATE FUNCTION "lock_known_student"("p_student_id" text, "p_rule" text, "p_facts" jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_student_id IS NULL THEN
    PERFORM refuse(p_rule, p_facts);
  END IF;
  PERFORM FROM student_profiles WHERE student_id = p_student_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    -- Rows from before this release may have no profile.
    PERFORM lock_student(p_student_id);
  END IF;
END
$$;
