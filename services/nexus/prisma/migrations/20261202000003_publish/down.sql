-- Reverts 20261202000003_publish. Events that were published stay in the outbox.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "zz_recommendations_publish_answered" ON "recommendations";
DROP TRIGGER "zz_recommendations_publish_posted" ON "recommendations";
DROP TRIGGER "zz_profiles_publish_erased" ON "user_profiles";
DROP TRIGGER "zz_profiles_publish_changed" ON "user_profiles";
DROP TRIGGER "zz_profiles_publish_posted" ON "user_profiles";
DROP FUNCTION "publish_recommendations"();
DROP FUNCTION "publish_profiles"();
