-- Why: the first schema of rag.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

CREATE EXTENSION IF NOT EXISTS vector;

-- PostgreSQL 18 has uuidv7(); this makes the same on 15 to 17 too: 48 bits of milliseconds, version 7, random bits.
CREATE FUNCTION uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN encode(
  set_bit(
    set_bit(
      overlay(
        uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6
      ),
      52, 1
    ),
    53, 1
  ),
  'hex'
)::uuid;

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "rag_chunks" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "content_id" VARCHAR(500) NOT NULL,
    "chunk_index" INTEGER NOT NULL,
    "content" TEXT NOT NULL,
    "embedding" vector NOT NULL,
    "embedding_dimension" INTEGER NOT NULL DEFAULT 1536,
    "embedding_model" VARCHAR(100) NOT NULL DEFAULT 'text-embedding-ada-002',
    "source_path" VARCHAR(1000),
    "content_type" VARCHAR(50),
    "title" VARCHAR(500),
    "workspace_path" VARCHAR(1000),
    "metadata" JSONB,
    "search_vector" tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', coalesce("title", '')), 'A')
        || setweight(to_tsvector('simple', left("content", 100000)), 'B')
    ) STORED,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "rag_chunks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "code_nodes" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "name" VARCHAR(500) NOT NULL,
    "fully_qualified_name" VARCHAR(1000) NOT NULL,
    "node_type" VARCHAR(50) NOT NULL,
    "file_path" VARCHAR(1000),
    "start_line" INTEGER,
    "end_line" INTEGER,
    "signature" TEXT,
    "documentation" TEXT,
    "repository_path" VARCHAR(1000),
    "metadata" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "code_nodes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "code_edges" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "source_node_id" UUID NOT NULL,
    "target_node_id" UUID NOT NULL,
    "edge_type" VARCHAR(50) NOT NULL,
    "metadata" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "code_edges_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "workspaces" (
    "id" VARCHAR(100) NOT NULL,
    "name" VARCHAR(500) NOT NULL,
    "path" VARCHAR(1000) NOT NULL,
    "is_git_repository" BOOLEAN NOT NULL DEFAULT false,
    "current_commit_sha" VARCHAR(40),
    "rag_indexed_at" TIMESTAMPTZ(6),
    "rag_indexed_commit_sha" VARCHAR(40),
    "graph_indexed_at" TIMESTAMPTZ(6),
    "graph_indexed_commit_sha" VARCHAR(40),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "workspaces_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "index_metadata" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "file_path" VARCHAR(1000) NOT NULL,
    "workspace_path" VARCHAR(1000) NOT NULL,
    "content_hash" VARCHAR(64) NOT NULL,
    "indexed_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "index_type" VARCHAR(50) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "index_metadata_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "corpus_entries" (
    "id" SERIAL NOT NULL,
    "legacy_id" VARCHAR(64),
    "func_name" VARCHAR(255) NOT NULL,
    "func_signature" TEXT NOT NULL,
    "snippet" TEXT,
    "score" DOUBLE PRECISION,
    "passed" INTEGER,
    "total" INTEGER,
    "complexity" INTEGER,
    "iteration" INTEGER,
    "spec_hash" VARCHAR(64),
    "spec_id" VARCHAR(64),
    "sig_key" TEXT,
    "timestamp" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "metadata" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "corpus_entries_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "ix_rag_chunks_content_id" ON "rag_chunks"("content_id");

-- CreateIndex
CREATE INDEX "ix_rag_chunks_workspace_path" ON "rag_chunks"("workspace_path");

-- CreateIndex
CREATE INDEX "ix_rag_chunks_content_type" ON "rag_chunks"("content_type");

-- CreateIndex
CREATE INDEX "rag_chunks_search_vector_idx" ON "rag_chunks" USING GIN ("search_vector");

-- CreateIndex
CREATE UNIQUE INDEX "rag_chunks_content_id_chunk_index_embedding_model_key" ON "rag_chunks"("content_id", "chunk_index", "embedding_model");

-- CreateIndex
CREATE INDEX "ix_code_nodes_name" ON "code_nodes"("name");

-- CreateIndex
CREATE INDEX "ix_code_nodes_fqn" ON "code_nodes"("fully_qualified_name");

-- CreateIndex
CREATE INDEX "ix_code_nodes_type" ON "code_nodes"("node_type");

-- CreateIndex
CREATE INDEX "ix_code_nodes_repository" ON "code_nodes"("repository_path");

-- CreateIndex
CREATE INDEX "ix_code_edges_source" ON "code_edges"("source_node_id");

-- CreateIndex
CREATE INDEX "ix_code_edges_target" ON "code_edges"("target_node_id");

-- CreateIndex
CREATE INDEX "ix_code_edges_type" ON "code_edges"("edge_type");

-- CreateIndex
CREATE UNIQUE INDEX "code_edges_source_node_id_target_node_id_edge_type_key" ON "code_edges"("source_node_id", "target_node_id", "edge_type");

-- CreateIndex
CREATE UNIQUE INDEX "ix_workspaces_path" ON "workspaces"("path");

-- CreateIndex
CREATE UNIQUE INDEX "ix_index_metadata_file_workspace_type" ON "index_metadata"("file_path", "workspace_path", "index_type");

-- CreateIndex
CREATE UNIQUE INDEX "corpus_entries_legacy_id_key" ON "corpus_entries"("legacy_id");

-- CreateIndex
CREATE INDEX "idx_func_name" ON "corpus_entries"("func_name");

-- CreateIndex
CREATE INDEX "idx_score" ON "corpus_entries"("score");

-- CreateIndex
CREATE INDEX "idx_timestamp" ON "corpus_entries"("timestamp");

-- AddForeignKey
ALTER TABLE "code_edges" ADD CONSTRAINT "code_edges_source_node_id_fkey" FOREIGN KEY ("source_node_id") REFERENCES "code_nodes"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "code_edges" ADD CONSTRAINT "code_edges_target_node_id_fkey" FOREIGN KEY ("target_node_id") REFERENCES "code_nodes"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Chunks

ALTER TABLE rag_chunks
  ADD CONSTRAINT rag_chunks_content_id_check CHECK (btrim(content_id) <> ''),
  ADD CONSTRAINT rag_chunks_chunk_index_check CHECK (chunk_index >= 0),
  ADD CONSTRAINT rag_chunks_embedding_dimension_check CHECK (embedding_dimension = vector_dims(embedding)),
  -- A vector of zeros has no direction: its cosine distance is NaN, and HNSW indexes leave it out.
  ADD CONSTRAINT rag_chunks_embedding_check CHECK (vector_norm(embedding) > 0),
  ADD CONSTRAINT rag_chunks_embedding_model_check CHECK (btrim(embedding_model) <> '');

-- An HNSW index needs one dimension, the column has many: one index for each dimension that is searched often. Chunks
-- of another dimension are scanned one by one.
CREATE INDEX ix_rag_chunks_embedding ON rag_chunks
  USING hnsw ((embedding::vector(1536)) vector_cosine_ops)
  WHERE embedding_dimension = 1536;
CREATE INDEX rag_chunks_embedding_768_idx ON rag_chunks
  USING hnsw ((embedding::vector(768)) vector_cosine_ops)
  WHERE embedding_dimension = 768;

-- The code graph

ALTER TABLE code_nodes
  ADD CONSTRAINT code_nodes_name_check CHECK (btrim(name) <> ''),
  ADD CONSTRAINT code_nodes_node_type_check CHECK (
    node_type IN (
      'Project', 'Namespace', 'Class', 'Interface', 'Struct', 'Record', 'Enum', 'Method', 'Property', 'Field',
      'Event', 'Delegate', 'Constructor', 'Function', 'Module'
    )
  ),
  ADD CONSTRAINT code_nodes_lines_check CHECK (start_line > 0 AND end_line >= start_line);

ALTER TABLE code_edges
  ADD CONSTRAINT code_edges_edge_type_check CHECK (
    edge_type IN ('Contains', 'Implements', 'Inherits', 'Calls', 'References', 'Returns', 'Overrides')
  ),
  -- A function may call or mention itself; nothing contains or inherits itself.
  ADD CONSTRAINT code_edges_self_check
    CHECK (source_node_id <> target_node_id OR edge_type IN ('Calls', 'References', 'Returns'));

-- Workspaces and what is indexed of them

ALTER TABLE workspaces
  ADD CONSTRAINT workspaces_id_check CHECK (id ~ '^[0-9a-f]{16}$'),
  ADD CONSTRAINT workspaces_name_check CHECK (btrim(name) <> ''),
  ADD CONSTRAINT workspaces_path_check CHECK (btrim(path) <> ''),
  ADD CONSTRAINT workspaces_current_commit_sha_check CHECK (current_commit_sha ~* '^[0-9a-f]{40}$'),
  ADD CONSTRAINT workspaces_rag_indexed_commit_sha_check CHECK (
      rag_indexed_commit_sha IS NULL
      OR rag_indexed_commit_sha ~* '^[0-9a-f]{40}$' AND rag_indexed_at IS NOT NULL
    ),
  ADD CONSTRAINT workspaces_graph_indexed_commit_sha_check CHECK (
      graph_indexed_commit_sha IS NULL
      OR graph_indexed_commit_sha ~* '^[0-9a-f]{40}$' AND graph_indexed_at IS NOT NULL
    );

ALTER TABLE index_metadata
  ADD CONSTRAINT index_metadata_file_path_check CHECK (btrim(file_path) <> ''),
  ADD CONSTRAINT index_metadata_content_hash_check CHECK (content_hash ~* '^[0-9a-f]{64}$'),
  ADD CONSTRAINT index_metadata_index_type_check CHECK (index_type IN ('rag', 'graph'));

-- The corpus

ALTER TABLE corpus_entries
  ADD CONSTRAINT corpus_entries_func_name_check CHECK (btrim(func_name) <> ''),
  ADD CONSTRAINT corpus_entries_score_check CHECK (score BETWEEN 0 AND 1),
  ADD CONSTRAINT corpus_entries_passed_check CHECK (passed >= 0 AND passed <= total),
  ADD CONSTRAINT corpus_entries_complexity_check CHECK (complexity >= 0),
  ADD CONSTRAINT corpus_entries_iteration_check CHECK (iteration >= 0);
