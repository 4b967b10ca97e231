-- Reverts 20261207180001_text_rules.

SET LOCAL lock_timeout = '5s';

ALTER TABLE hashing_models DROP CONSTRAINT hashing_models_texts_check;
