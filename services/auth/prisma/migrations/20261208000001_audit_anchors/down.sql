-- Reverts 20261208000001_audit_anchors. The copies outside of the database stay.
-- loses: audit_anchors

DROP FUNCTION "audit_log_faults"(bigint);
DROP FUNCTION "prune_audit_log"(bigint, integer);
DROP FUNCTION "audit_anchor_digest"(bigint);
DROP FUNCTION "anchor_audit_log"(bigint, interval);
DROP TABLE "audit_anchors";
