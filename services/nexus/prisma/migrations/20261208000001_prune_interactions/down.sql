-- Reverts 20261208000001_prune_interactions.

DROP FUNCTION "prune_interactions"(interval, integer);
