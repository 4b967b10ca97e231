-- Reverts 20261207180001_text_rules.

SET LOCAL lock_timeout = '5s';

ALTER TABLE run_steps DROP CONSTRAINT run_steps_texts_check;
