-- Spaced review: cards of a student, and a log of reviews from which the state of a card follows by FSRS-6 with its default parameters.
-- Locks: none on existing tables.

SET LOCAL lock_timeout = '5s';

CREATE TYPE "card_state" AS ENUM ('new', 'learning', 'review', 'relearning');
CREATE TYPE "review_rating" AS ENUM ('again', 'hard', 'good', 'easy');

CREATE TABLE "cards" (
  "id" TEXT NOT NULL,
  "student_id" TEXT NOT NULL,
  "skill_id" TEXT,
  "front" TEXT NOT NULL,
  "back" TEXT NOT NULL,
  "state" "card_state" NOT NULL DEFAULT 'new',
  "step" SMALLINT NOT NULL DEFAULT 0,
  "stability" DOUBLE PRECISION NOT NULL DEFAULT 0
    CONSTRAINT "cards_stability_check" CHECK ("stability" BETWEEN 0 AND 36500),
  "difficulty" DOUBLE PRECISION NOT NULL DEFAULT 0
    CONSTRAINT "cards_difficulty_check" CHECK ("difficulty" BETWEEN 0 AND 10),
  "scheduled_days" INTEGER NOT NULL DEFAULT 0,
  "reviews" INTEGER NOT NULL DEFAULT 0,
  "lapses" INTEGER NOT NULL DEFAULT 0,
  "due_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "last_reviewed_at" TIMESTAMPTZ(6),
  "deleted_at" TIMESTAMPTZ(6),
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "cards_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "cards_skill_id_fkey" FOREIGN KEY ("skill_id") REFERENCES "skills" ("id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "cards_front_check" CHECK (btrim("front") <> ''),
  CONSTRAINT "cards_back_check" CHECK (btrim("back") <> ''),
  CONSTRAINT "cards_state_check" CHECK (CASE WHEN "state" = 'new' THEN "reviews" = 0 AND "stability" = 0 AND "difficulty" = 0
    AND "last_reviewed_at" IS NULL ELSE "reviews" > 0 AND "stability" BETWEEN 0.001 AND 36500 AND "difficulty" BETWEEN 1 AND 10
    AND "last_reviewed_at" IS NOT NULL END),
  CONSTRAINT "cards_counts_check" CHECK ("step" >= 0 AND "scheduled_days" BETWEEN 0 AND 36502 AND "lapses" BETWEEN 0 AND "reviews"),
  CONSTRAINT "cards_times_check" CHECK ("due_at" >= to_timestamp(-62135596800) AND "due_at" < to_timestamp(253402300800)
    AND "last_reviewed_at" >= to_timestamp(-62135596800) AND "last_reviewed_at" < to_timestamp(253402300800)
    AND "deleted_at" >= to_timestamp(-62135596800) AND "deleted_at" < to_timestamp(253402300800)
    AND "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)
    AND "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
CREATE INDEX "cards_student_id_created_at_id_idx" ON "cards" ("student_id", "created_at", "id");
CREATE INDEX "cards_due_idx" ON "cards" ("student_id", "due_at", "id") WHERE "deleted_at" IS NULL;
CREATE INDEX "cards_skill_id_idx" ON "cards" ("skill_id");

CREATE TABLE "card_reviews" (
  "id" TEXT NOT NULL DEFAULT gen_random_uuid()::text,
  "card_id" TEXT NOT NULL,
  "number" INTEGER NOT NULL,
  "rating" "review_rating" NOT NULL,
  "elapsed_days" INTEGER NOT NULL DEFAULT 0,
  "stability" DOUBLE PRECISION NOT NULL DEFAULT 0
    CONSTRAINT "card_reviews_stability_check" CHECK ("stability" BETWEEN 0 AND 36500),
  "difficulty" DOUBLE PRECISION NOT NULL DEFAULT 0
    CONSTRAINT "card_reviews_difficulty_check" CHECK ("difficulty" BETWEEN 0 AND 10),
  "due_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "reviewed_at" TIMESTAMPTZ(6) NOT NULL,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "card_reviews_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "card_reviews_card_id_fkey" FOREIGN KEY ("card_id") REFERENCES "cards" ("id") ON DELETE CASCADE ON UPDATE RESTRICT,
  CONSTRAINT "card_reviews_number_check" CHECK ("number" >= 1),
  CONSTRAINT "card_reviews_elapsed_days_check" CHECK ("elapsed_days" >= 0),
  CONSTRAINT "card_reviews_times_check" CHECK ("due_at" >= to_timestamp(-62135596800) AND "due_at" < to_timestamp(253402300800)
    AND "reviewed_at" >= to_timestamp(-62135596800) AND "reviewed_at" < to_timestamp(253402300800)
    AND "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
-- A review counts once, however many devices report it.
CREATE UNIQUE INDEX "card_reviews_card_id_number_key" ON "card_reviews" ("card_id", "number");

-- FSRS-6 --------------------------------------------------------------------------------------------------------------

-- The algorithm of FSRS-6 as ts-fsrs 5.4.2 computes it, with its default parameters: retention 0.9, learning steps of 1 and 10 minutes,
-- a relearning step of 10 minutes, no fuzz. Each rounding is to 8 decimals, half up, as there.
CREATE FUNCTION "fsrs_round"("p_value" double precision) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT pg_catalog.floor(p_value * 1e8::double precision + 0.5::double precision) / 1e8::double precision $$;

-- The probability of recalling a card after a number of days.
CREATE FUNCTION "fsrs_retrievability"("p_elapsed_days" double precision, "p_stability" double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT fsrs_round((1 + fsrs_round(exp(ln(0.9::double precision) / -0.1542::double precision) - 1) * p_elapsed_days / p_stability)
    ^ -0.1542::double precision)
$$;

-- Stability after a review, for a rating from 1 (again) to 4 (easy).
CREATE FUNCTION "fsrs_stability"("p_stability" double precision, "p_difficulty" double precision, "p_elapsed_days" integer, "p_rating" integer)
RETURNS double precision LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  s CONSTANT double precision := p_stability;
  r double precision;
  growth double precision;
BEGIN
  IF p_elapsed_days = 0 THEN
    growth := s ^ -0.0658::double precision * exp(0.5425::double precision * (p_rating - 3 + 0.0912::double precision));
    IF p_rating >= 2 THEN
      growth := greatest(growth, 1);
    END IF;
    RETURN fsrs_round(least(greatest(s * growth, 0.001), 36500));
  END IF;
  r := fsrs_retrievability(p_elapsed_days, s);
  IF p_rating = 1 THEN
    RETURN least(greatest(fsrs_round(s / exp(0.5425::double precision * 0.0912::double precision)), 0.001),
      fsrs_round(least(greatest(1.4835::double precision * p_difficulty ^ -0.0614::double precision
        * ((s + 1) ^ 0.2629::double precision - 1) * exp((1 - r) * 1.6483::double precision), 0.001), 36500)));
  END IF;
  RETURN fsrs_round(least(greatest(s * (1 + exp(1.8722::double precision) * (11 - p_difficulty) * s ^ -0.1666::double precision
    * (exp((1 - r) * 0.796::double precision) - 1)
    * CASE p_rating WHEN 2 THEN 0.6014::double precision WHEN 4 THEN 1.8729::double precision ELSE 1 END), 0.001), 36500));
END
$$;

-- The days until a card of this stability is recalled with a probability of 0.9.
CREATE FUNCTION "fsrs_interval"("p_stability" double precision) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT least(greatest(floor(p_stability * fsrs_round((0.9::double precision ^ (1 / -0.1542::double precision) - 1)
    / fsrs_round(exp(ln(0.9::double precision) / -0.1542::double precision) - 1)) + 0.5), 1), 36500)::integer
$$;

-- The state of a card after a review. A card goes through its steps in minutes, then through days.
CREATE FUNCTION "fsrs_next"(
  INOUT "p_state" card_state, INOUT "p_step" smallint, INOUT "p_stability" double precision, INOUT "p_difficulty" double precision,
  "p_elapsed_days" integer, "p_grade" review_rating, OUT "p_days" integer, OUT "p_minutes" integer
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  rating CONSTANT integer := array_position('{again,hard,good,easy}'::review_rating[], p_grade);
  s CONSTANT double precision := p_stability;
  d CONSTANT double precision := p_difficulty;
  days integer[];
BEGIN
  p_days := 0;
  p_minutes := 0;
  IF p_state = 'new' THEN
    p_stability := (ARRAY[0.212, 1.2931, 2.3065, 8.2956]::double precision[])[rating];
    p_difficulty := least(greatest(fsrs_round(6.4133::double precision - exp((rating - 1) * 0.8334::double precision) + 1), 1), 10);
  ELSE
    p_stability := fsrs_stability(s, d, p_elapsed_days, rating);
    p_difficulty := least(greatest(fsrs_round(
      0.001::double precision * fsrs_round(6.4133::double precision - exp(3 * 0.8334::double precision) + 1)
      + (1 - 0.001::double precision) * (d + fsrs_round(-3.0194::double precision * (rating - 3) * (10 - d) / 9))), 1), 10);
  END IF;
  IF p_state = 'review' AND rating > 1 THEN
    -- A better rating never comes back earlier.
    days[2] := fsrs_interval(fsrs_stability(s, d, p_elapsed_days, 2));
    days[3] := fsrs_interval(fsrs_stability(s, d, p_elapsed_days, 3));
    days[2] := least(days[2], days[3]);
    days[3] := greatest(days[3], days[2] + 1);
    days[4] := greatest(fsrs_interval(fsrs_stability(s, d, p_elapsed_days, 4)), days[3] + 1);
    p_days := days[rating];
    p_step := 0;
    RETURN;
  END IF;
  p_minutes := CASE
    WHEN p_state = 'review' THEN 10
    WHEN p_state = 'relearning' THEN (ARRAY[10, 15, 0, 0])[rating]
    WHEN p_step < 1 THEN (ARRAY[1, 6, 10, 0])[rating]
    WHEN p_step < 2 THEN (ARRAY[1, 6, 0, 0])[rating]
    ELSE 0
  END;
  IF p_minutes > 0 THEN
    p_step := CASE rating WHEN 1 THEN 0 WHEN 2 THEN p_step ELSE p_step + 1 END;
    p_state := CASE p_state WHEN 'new' THEN 'learning' WHEN 'review' THEN 'relearning' ELSE p_state END;
  ELSE
    p_step := 0;
    p_state := 'review';
    p_days := fsrs_interval(p_stability);
  END IF;
END
$$;

-- A review moves its card, whoever writes it. The row of the card orders the reviews.
CREATE FUNCTION "apply_review"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  card cards;
  next record;
BEGIN
  SELECT * INTO card FROM cards WHERE id = NEW.card_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    -- The foreign key rejects the row.
    RETURN NEW;
  ELSIF EXISTS (SELECT FROM card_reviews WHERE card_id = NEW.card_id AND number = NEW.number) THEN
    -- A unique index rejects the row, or ON CONFLICT skips it.
    RETURN NEW;
  ELSIF NEW.number IS DISTINCT FROM card.reviews + 1 OR NEW.reviewed_at < card.last_reviewed_at THEN
    PERFORM refuse('review_order', jsonb_build_object('cardId', card.id, 'next', card.reviews + 1));
  END IF;
  -- Days are those of the calendar in UTC.
  NEW.elapsed_days := coalesce((NEW.reviewed_at AT TIME ZONE 'UTC')::date - (card.last_reviewed_at AT TIME ZONE 'UTC')::date, 0);
  SELECT * INTO next FROM fsrs_next(card.state, card.step, card.stability, card.difficulty, NEW.elapsed_days, NEW.rating);
  NEW.stability := next.p_stability;
  NEW.difficulty := next.p_difficulty;
  NEW.due_at := NEW.reviewed_at + next.p_days * interval '24 hours' + next.p_minutes * interval '1 minute';
  UPDATE cards SET state = next.p_state, step = next.p_step, stability = next.p_stability, difficulty = next.p_difficulty,
    scheduled_days = next.p_days, reviews = NEW.number, lapses = lapses + (card.state = 'review' AND NEW.rating = 'again')::integer,
    due_at = NEW.due_at, last_reviewed_at = NEW.reviewed_at, updated_at = NEW.created_at
  WHERE id = card.id;
  RETURN NEW;
END
$$;
CREATE TRIGGER "card_reviews_applied" BEFORE INSERT ON "card_reviews" FOR EACH ROW EXECUTE FUNCTION "apply_review"();
CREATE TRIGGER "card_reviews_append_only" BEFORE UPDATE ON "card_reviews" FOR EACH ROW EXECUTE FUNCTION "refuse_log_change"();

-- The schedule of a card changes by a review only.
CREATE FUNCTION "check_schedule"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF pg_trigger_depth() < 2 THEN
    PERFORM refuse('schedule_fixed', jsonb_build_object('cardId', OLD.id));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "cards_schedule" BEFORE UPDATE ON "cards" FOR EACH ROW
  WHEN ((OLD."state", OLD."step", OLD."stability", OLD."difficulty", OLD."scheduled_days", OLD."reviews", OLD."lapses", OLD."due_at",
      OLD."last_reviewed_at")
    IS DISTINCT FROM (NEW."state", NEW."step", NEW."stability", NEW."difficulty", NEW."scheduled_days", NEW."reviews", NEW."lapses",
      NEW."due_at", NEW."last_reviewed_at"))
  EXECUTE FUNCTION "check_schedule"();

CREATE FUNCTION "add_card"(
  "p_key" text, "p_hash" text, "p_id" text, "p_student_id" text, "p_skill_id" text, "p_front" text, "p_back" text
) RETURNS SETOF cards LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'addCard', p_hash, p_id, p_student_id);
  at timestamptz;
BEGIN
  IF earlier IS NULL THEN
    IF p_skill_id IS NOT NULL THEN
      PERFORM require_skill(p_skill_id);
    END IF;
    PERFORM lock_student(p_student_id);
    at := database_time();
    INSERT INTO cards (id, student_id, skill_id, front, back, due_at, created_at, updated_at)
      VALUES (p_id, p_student_id, p_skill_id, p_front, p_back, at, at, at);
  END IF;
  RETURN QUERY SELECT * FROM cards WHERE id = coalesce(earlier, p_id);
END
$$;

CREATE FUNCTION "lock_card"("p_id" text) RETURNS cards LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target cards;
BEGIN
  PERFORM lock_known_student((SELECT student_id FROM cards WHERE id = p_id), 'card_not_found', jsonb_build_object('cardId', p_id));
  SELECT * INTO target FROM cards WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('card_not_found', jsonb_build_object('cardId', p_id));
  END IF;
  RETURN target;
END
$$;

-- Deletes or restores. The log of a deleted card is kept.
CREATE FUNCTION "set_card_deleted"("p_id" text, "p_is_deleted" boolean) RETURNS SETOF cards
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  card cards := lock_card(p_id);
  at timestamptz := database_time();
BEGIN
  IF (card.deleted_at IS NOT NULL) <> p_is_deleted THEN
    UPDATE cards SET deleted_at = CASE WHEN p_is_deleted THEN at END, updated_at = at WHERE id = p_id RETURNING * INTO card;
  END IF;
  RETURN NEXT card;
END
$$;

-- Records a review, which is named by its number: of two devices that review a card at once, the first one counts. The same rating with
-- the same number is a repeat, and returns the card as it is.
CREATE FUNCTION "review_card"("p_id" text, "p_number" integer, "p_rating" review_rating) RETURNS SETOF cards
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  card cards := lock_card(p_id);
  earlier card_reviews;
  at timestamptz;
BEGIN
  IF card.deleted_at IS NOT NULL THEN
    PERFORM refuse('card_not_found', jsonb_build_object('cardId', p_id));
  END IF;
  SELECT * INTO earlier FROM card_reviews WHERE card_id = p_id AND number = p_number;
  IF FOUND THEN
    IF earlier.rating <> p_rating THEN
      PERFORM refuse('already_reviewed', jsonb_build_object('cardId', p_id, 'number', p_number));
    END IF;
    RETURN NEXT card;
    RETURN;
  END IF;
  -- A later review has a later time, also when the clock of the server went back.
  at := greatest(database_time(), card.last_reviewed_at + interval '1 microsecond');
  INSERT INTO card_reviews (card_id, number, rating, reviewed_at, created_at) VALUES (p_id, p_number, p_rating, at, at);
  PERFORM touch_profile(card.student_id, at);
  RETURN QUERY SELECT * FROM cards WHERE id = p_id;
END
$$;
