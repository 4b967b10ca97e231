DROP TABLE message_rag_contexts;
DROP TABLE messages;
DROP TABLE agent_executions;
DROP TABLE conversations;
DROP TABLE tasks;
DROP TABLE chat_messages;
DROP FUNCTION refuse_change();
DROP FUNCTION uuid_v7();
