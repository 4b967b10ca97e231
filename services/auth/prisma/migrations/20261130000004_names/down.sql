-- Reverts 20261130000004_names. Usernames that it removed or changed stay as they are.

SET LOCAL lock_timeout = '5s';

DROP INDEX "users_username_skeleton_key";

ALTER TABLE "users" DROP CONSTRAINT "users_name_check", DROP CONSTRAINT "users_username_check",
  ADD CONSTRAINT "users_username_check" CHECK ("username" <> '' AND "username" = btrim("username"));
ALTER TABLE "organizations" DROP CONSTRAINT "organizations_name_check",
  ADD CONSTRAINT "organizations_name_check" CHECK (btrim("name") <> '');
ALTER TABLE "user_profiles" DROP CONSTRAINT "user_profiles_city_check",
  ADD CONSTRAINT "user_profiles_city_check" CHECK (btrim("city") <> '');

DROP FUNCTION "is_username"(text);
DROP FUNCTION "without_hidden"(text);
DROP FUNCTION "username_skeleton"(text);
