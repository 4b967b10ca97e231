-- Reverts 20261201000013_publish. Events that were published stay in the outbox.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "zz_ratings_publish" ON "ratings";
DROP TRIGGER "zz_disputes_publish_moved" ON "disputes";
DROP TRIGGER "zz_disputes_publish_opened" ON "disputes";
DROP TRIGGER "zz_escrows_publish_moved" ON "escrows";
DROP TRIGGER "zz_escrows_publish_requested" ON "escrows";
DROP TRIGGER "zz_milestones_publish" ON "milestones";
DROP TRIGGER "zz_contracts_publish_moved" ON "contracts";
DROP TRIGGER "zz_contracts_publish_born" ON "contracts";
DROP TRIGGER "zz_applications_publish_moved" ON "applications";
DROP TRIGGER "zz_applications_publish_posted" ON "applications";
DROP TRIGGER "zz_jobs_publish_moved" ON "jobs";
DROP TRIGGER "zz_jobs_publish_posted" ON "jobs";
DROP FUNCTION "publish_rating"();
DROP FUNCTION "publish_dispute"();
DROP FUNCTION "publish_escrow"();
DROP FUNCTION "publish_milestone"();
DROP FUNCTION "publish_contract"();
DROP FUNCTION "publish_applications"();
DROP FUNCTION "publish_jobs"();
