DROP TABLE story_tasks;
DROP TABLE story_steps;
DROP TABLE stories;
DROP FUNCTION uuid_v7();
