-- loses: certificates
-- Reverts 20261201000014_certificates. All certificates are lost.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "revoke_certificate"(text, certificate_revocation, text);
DROP FUNCTION "complete_enrollment"(text, text);
DROP TABLE "certificates";
DROP FUNCTION "check_certificate_change"();
DROP SEQUENCE "certificate_numbers";
DROP TYPE "certificate_revocation";
