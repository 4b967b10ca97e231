-- Reverts 20261130000002_search_paths.

SET LOCAL lock_timeout = '5s';

ALTER FUNCTION "check_contract_total"() RESET search_path;
ALTER FUNCTION "check_milestones_total"() RESET search_path;
