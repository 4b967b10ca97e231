-- Undoes 20261121000004_owner_stays.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "organization_members_owner_stays" ON "organization_members";
DROP FUNCTION "check_organization_owner_stays"();
