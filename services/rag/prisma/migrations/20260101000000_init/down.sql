DROP TABLE code_edges;
DROP TABLE code_nodes;
DROP TABLE rag_chunks;
DROP TABLE workspaces;
DROP TABLE index_metadata;
DROP TABLE corpus_entries;
DROP FUNCTION uuid_v7();
DROP EXTENSION vector;
