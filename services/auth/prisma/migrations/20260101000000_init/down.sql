ALTER TABLE "users" DROP CONSTRAINT "users_org_id_fkey";

DROP TABLE "audit_log";
DROP TABLE "org_invitations";
DROP TABLE "organization_members";
DROP TABLE "organizations";
DROP TABLE "oauth_providers";
DROP TABLE "recovery_codes";
DROP TABLE "mfa_settings";
DROP TABLE "token_blacklist";
DROP TABLE "tokens";
DROP TABLE "sessions";
DROP TABLE "user_profiles";
DROP TABLE "users";

DROP FUNCTION "refuse_change"();
DROP FUNCTION "check_organization_owner"();

DROP TYPE "token_kind";
