-- Reverts 20261202000002_operations. No data is lost.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "erase_person"(text, text);
DROP FUNCTION "export_person"(text);
DROP FUNCTION "prune_history"(integer);
DROP FUNCTION "expire_recommendations"(integer);
DROP FUNCTION "answer_recommendation"(text, text, "recommendation_status", text);
DROP FUNCTION "show_recommendations"(text, text[]);
DROP FUNCTION "similar_items"(text, text, text[], integer);
DROP FUNCTION "recommend_items"(text, text, text[], jsonb, interval);
DROP FUNCTION "track_interactions"(jsonb, jsonb);
DROP FUNCTION "save_items"(jsonb);
DROP FUNCTION "save_profile"(text, text, jsonb, text);
DROP FUNCTION "refresh_profiles"(integer);
DROP FUNCTION "count_profiles"(text[]);
DROP FUNCTION "lock_profiles"(jsonb, timestamptz);
DROP FUNCTION "log_change"(text, text, text, text, text, jsonb, timestamptz);
DROP FUNCTION "topics_of"(jsonb);
