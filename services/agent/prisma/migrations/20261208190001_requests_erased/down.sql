-- Reverts 20261208190001_requests_erased.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "begin_request"("p_key" text, "p_operation" text, "p_input" jsonb, "p_answer" text, "p_user" text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  hash text := encode(sha256(convert_to(p_input::text, 'UTF8')), 'hex');
  earlier requests;
BEGIN
  INSERT INTO requests (key, operation, body_hash, answer_id, user_id, created_at)
  VALUES (p_key, p_operation, hash, p_answer, p_user, database_time()) ON CONFLICT (key) DO NOTHING;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  SELECT * INTO earlier FROM requests WHERE key = p_key;
  IF (earlier.operation, earlier.body_hash) IS DISTINCT FROM (p_operation::varchar, hash::char(64)) THEN
    PERFORM refuse('key_reused', jsonb_build_object('operation', earlier.operation, 'asked', p_operation));
  END IF;
  RETURN earlier.answer_id;
END
$$;
