-- Reverts 20261202000006_questions_and_profiles. Profiles keep what was derived last.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "erase_person"(text);
DROP FUNCTION "export_person"(text);
DROP FUNCTION "save_profile"(text, jsonb);
DROP FUNCTION "refresh_profile"(text, timestamptz);
DROP FUNCTION "derive_profile"(text);
DROP FUNCTION "rate_answer"(text, boolean);
DROP FUNCTION "answer_question"(text, text, double precision);
DROP FUNCTION "lock_question"(text);
DROP FUNCTION "ask_question"(text, text, text, text, text, text, double precision);
