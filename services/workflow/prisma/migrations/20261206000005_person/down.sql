-- Reverts 20261206000005_person.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "erase_person"(text);
DROP FUNCTION "export_person"(text);
