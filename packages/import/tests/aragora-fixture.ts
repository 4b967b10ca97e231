import path from 'node:path';
import { Database } from 'node-sqlite3-wasm';

/** The tables of `aragora_users.db`, as the legacy system creates them. */
const USERS = `
  CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT UNIQUE NOT NULL, password_hash TEXT NOT NULL, password_salt TEXT NOT NULL,
    name TEXT DEFAULT '', org_id TEXT, role TEXT DEFAULT 'member', created_at TEXT DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT DEFAULT CURRENT_TIMESTAMP, last_login_at TEXT, is_active INTEGER DEFAULT 1, email_verified INTEGER DEFAULT 0,
    avatar_url TEXT, preferences TEXT DEFAULT '{}', locked_until TEXT, failed_login_count INTEGER DEFAULT 0, lockout_reason TEXT,
    last_activity_at TEXT, last_debate_at TEXT);
  CREATE TABLE organizations (id TEXT PRIMARY KEY, name TEXT NOT NULL, slug TEXT UNIQUE NOT NULL, tier TEXT DEFAULT 'free',
    owner_id TEXT REFERENCES users(id), stripe_customer_id TEXT, stripe_subscription_id TEXT,
    created_at TEXT DEFAULT CURRENT_TIMESTAMP, updated_at TEXT DEFAULT CURRENT_TIMESTAMP, settings TEXT DEFAULT '{}');
  CREATE TABLE audit_log (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT NOT NULL, user_id TEXT, org_id TEXT, action TEXT NOT NULL,
    resource_type TEXT, resource_id TEXT, details TEXT DEFAULT '{}', ip_address TEXT, user_agent TEXT);
  CREATE TABLE usage_events (id INTEGER PRIMARY KEY AUTOINCREMENT, org_id TEXT NOT NULL REFERENCES organizations(id),
    event_type TEXT NOT NULL, count INTEGER DEFAULT 1, metadata TEXT DEFAULT '{}', timestamp TEXT DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE oauth_providers (user_id TEXT, provider TEXT, provider_user_id TEXT, email TEXT, access_token TEXT, refresh_token TEXT,
    UNIQUE (provider, provider_user_id));
  CREATE TABLE org_invitations (id TEXT, org_id TEXT, email TEXT, role TEXT, token TEXT UNIQUE, invited_by TEXT, created_at TEXT,
    expires_at TEXT, accepted_at TEXT);
  CREATE TABLE schema_version (version INTEGER);
  INSERT INTO users (id, email, password_hash, password_salt, name, org_id, role, created_at, updated_at, locked_until) VALUES
    ('u-ann', 'ann@example.com', 'old-hash', 'old-salt', 'Ann', 'o-acme', 'owner', '2025-01-01 10:00:00', '2025-02-01 10:00:00', '2999-01-01'),
    ('u-bob', 'bob@example.com', 'old-hash', 'old-salt', 'Bob', 'o-acme', 'owner', '2025-01-02T10:00:00', '2025-02-01T10:00:00', NULL),
    ('u-cid', 'cid@example.com', 'old-hash', 'old-salt', '', NULL, 'member', '2025-01-03T10:00:00+02:00', NULL, NULL),
    ('u-bad', 'no address', 'old-hash', 'old-salt', 'Bad', NULL, 'member', '2025-01-01', '2025-01-01', NULL),
    ('u-day', 'day@example.com', 'old-hash', 'old-salt', 'Day', NULL, 'member', '2025-02-30', '2025-01-01', NULL),
    ('u-two', 'ANN@example.com', 'old-hash', 'old-salt', 'Two', NULL, 'member', '2025-01-01', '2025-01-01', NULL);
  INSERT INTO organizations (id, name, slug, owner_id, created_at, updated_at) VALUES
    ('o-acme', 'Acme', 'acme', 'u-ann', '2025-01-01', '2025-01-01'), ('o-lost', 'Lost', 'lost', 'u-gone', '2025-01-01', '2025-01-01');
  INSERT INTO audit_log VALUES (1, '2025-01-05 08:00:00', 'u-ann', 'o-acme', 'login', 'user', 'u-ann', '{"ok":true}', '192.0.2.1', 'x');
  INSERT INTO usage_events VALUES (1, 'o-acme', 'debate', 3, '{}', '2025-01-05 08:00:00'), (2, 'o-acme', 'debate', -1, '{}', '2025-01-05');
  INSERT INTO oauth_providers VALUES ('u-ann', 'github', '42', 'ann@example.com', 'secret-access', 'secret-refresh');
  INSERT INTO org_invitations VALUES ('i-1', 'o-acme', 'eve@example.com', 'member', 'secret-token', 'u-ann', '2025-01-01', '2025-01-05', NULL);
  INSERT INTO schema_version VALUES (3)`;

const NOMIC = `
  CREATE TABLE nomic_cycles (loop_id TEXT, cycle_number INTEGER, phase TEXT, stage TEXT, started_at TEXT, completed_at TEXT, success INTEGER,
    git_commit TEXT, task_description TEXT, total_tasks INTEGER, completed_tasks INTEGER, error_message TEXT, created_at TEXT,
    UNIQUE (loop_id, cycle_number, phase));
  CREATE TABLE debate_artifacts (loop_id TEXT, cycle_number INTEGER, phase TEXT, task TEXT, agents TEXT, transcript TEXT,
    consensus_reached INTEGER, confidence REAL, winning_proposal TEXT, vote_tally TEXT, created_at TEXT, view_count INTEGER);
  CREATE TABLE stream_events (loop_id TEXT, cycle INTEGER, event_type TEXT, event_data TEXT, agent TEXT, timestamp REAL);
  CREATE TABLE nomic_rollbacks (id TEXT, loop_id TEXT, cycle_number INTEGER, phase TEXT, reason TEXT, severity TEXT, rolled_back_commit TEXT,
    preserved_branch TEXT, files_affected TEXT, diff_summary TEXT, error_message TEXT, created_at TEXT);
  CREATE TABLE cycle_evolution (id TEXT, loop_id TEXT, cycle_number INTEGER, debate_artifact_id INTEGER, winning_proposal_summary TEXT,
    files_changed TEXT, git_commit TEXT, rollback_id TEXT, created_at TEXT);
  CREATE TABLE cycle_file_changes (loop_id TEXT, cycle_number INTEGER, file_path TEXT, change_type TEXT, insertions INTEGER, deletions INTEGER);
  CREATE TABLE agent_metrics (loop_id TEXT, cycle INTEGER, agent_name TEXT, model TEXT, phase TEXT, messages_sent INTEGER,
    proposals_made INTEGER, critiques_given INTEGER, votes_won INTEGER, votes_received INTEGER, consensus_contributions INTEGER,
    avg_response_time_ms REAL, timestamp TEXT);
  INSERT INTO nomic_cycles VALUES ('loop', 1, 'debate', 'voting', '2025-01-01', '2025-01-02', 1, 'abc', 'Do', 2, 2, NULL, '2025-01-01'),
    ('loop', 1, 'design', 'voting', '2025-01-03', '2025-01-02', 1, 'abc', 'Ends before it begins', 2, 2, NULL, '2025-01-01');
  INSERT INTO debate_artifacts VALUES ('loop', 1, 'debate', 'Which way', '["a","b"]', '[{"agent":"a","text":"hi"}]', 1, 0.75, 'Left', '{"a":1}', '2025-01-01', 4),
    ('loop', 1, 'debate', 'Broken JSON', '["a"', '[]', 1, 0.75, 'Left', NULL, '2025-01-01', 4);
  INSERT INTO stream_events VALUES ('loop', 1, 'cycle_start', '{}', NULL, 1735689600.25), ('loop', 1, 'unknown', '{}', NULL, 1735689601),
    ('loop', 1, 'error', '{"n":12345678901234567890}', 'a', 1735689602), ('loop', 2, 'cycle_start', '{}', NULL, 1735689603);
  INSERT INTO nomic_rollbacks VALUES ('r-1', 'loop', 1, 'verify', 'timeout', 'low', NULL, NULL, '["a.py"]', NULL, NULL, '2025-01-01');
  INSERT INTO cycle_evolution VALUES ('e-1', 'loop', 1, 1, 'Left', '[]', 'abc', 'r-1', '2025-01-01'),
    ('e-2', 'loop', 2, 99, 'No such debate', '[]', 'abc', NULL, '2025-01-01');
  INSERT INTO cycle_file_changes VALUES ('loop', 1, 'a.py', 'modified', 3, 1);
  INSERT INTO agent_metrics VALUES ('loop', 1, 'a', 'model', 'debate', 1, 1, 0, 1, 1, 1, 12.5, '2025-01-01'),
    ('loop', 'one', 'a', 'A text in a column of numbers', 'debate', 1, 1, 0, 1, 1, 1, 12.5, '2025-01-01')`;

const AGENTS = `
  CREATE TABLE ratings (agent_name TEXT PRIMARY KEY, elo REAL DEFAULT 1500, domain_elos TEXT, wins INTEGER, losses INTEGER, draws INTEGER,
    debates_count INTEGER, updated_at TEXT);
  CREATE TABLE matches (debate_id TEXT UNIQUE, winner TEXT, participants TEXT, domain TEXT, scores TEXT, elo_changes TEXT, created_at TEXT);
  CREATE TABLE elo_history (agent_name TEXT, elo REAL, debate_id TEXT, created_at TEXT);
  INSERT INTO ratings VALUES ('a', 1516, '{}', 1, 0, 0, 1, '2025-01-01'), ('b', 1484, NULL, 0, 1, 0, 1, '2025-01-01');
  INSERT INTO matches VALUES ('d-1', 'a', '["a","b"]', NULL, '{"a":1,"b":0}', '{"a":16,"b":-16}', '2025-01-01'),
    ('d-2', 'nobody', '["a","nobody"]', NULL, '{}', '{}', '2025-01-01');
  INSERT INTO elo_history VALUES ('a', 1516, 'd-1', '2025-01-01'), ('b', 1484, 'd-1', '2025-01-01')`;

const MEMORY = `
  CREATE TABLE continuum_memory (id TEXT PRIMARY KEY, tier TEXT DEFAULT 'slow', content TEXT, importance REAL, surprise_score REAL,
    consolidation_score REAL, update_count INTEGER, success_count INTEGER, failure_count INTEGER, semantic_centroid BLOB,
    last_promotion_at TEXT, expires_at TEXT, metadata TEXT, created_at TEXT, updated_at TEXT, embedding_model TEXT);
  CREATE TABLE tier_transitions (id INTEGER PRIMARY KEY, memory_id TEXT, from_tier TEXT, to_tier TEXT, reason TEXT, surprise_score REAL, created_at TEXT);
  CREATE TABLE positions (id TEXT, agent_name TEXT, claim TEXT, confidence REAL, debate_id TEXT, round_num INTEGER, outcome TEXT,
    reversed INTEGER, reversal_debate_id TEXT, domain TEXT, created_at TEXT, resolved_at TEXT);
  CREATE TABLE traces (trace_id TEXT, debate_id TEXT, task TEXT, agents TEXT, random_seed INTEGER, checksum TEXT, trace_json TEXT,
    started_at TEXT, completed_at TEXT);
  INSERT INTO continuum_memory VALUES ('m-1', 'fast', 'Left is right', 0.9, 0.1, 0.2, 1, 1, 0, x'0001ff', NULL, NULL, '{}', '2025-01-01', '2025-01-02', 'x'),
    ('m-2', 'fast', CAST(x'4c65ff' AS TEXT), 0.9, 0.1, 0.2, 1, 1, 0, NULL, NULL, NULL, '{}', '2025-01-01', '2025-01-02', 'x'),
    ('m-3', 'fast', CAST(x'61006200' AS TEXT), 0.9, 0.1, 0.2, 1, 1, 0, NULL, NULL, NULL, '{}', '2025-01-01', '2025-01-02', 'x');
  INSERT INTO tier_transitions VALUES (7, 'm-1', 'slow', 'fast', 'surprise', 0.5, '2025-01-02'), (8, 'm-2', 'slow', 'fast', NULL, 0.5, '2025-01-02');
  INSERT INTO positions VALUES ('p-1', 'a', 'Left', 0.8, 'd-1', 1, 'correct', 0, NULL, 'ways', '2025-01-01', '2025-01-02');
  INSERT INTO traces VALUES ('t-1', 'd-1', 'Which way', '["a"]', 9007199254740993, 'sum', '{"events":[]}', '2025-01-01', NULL)`;

const TOKENS = `
  CREATE TABLE token_blacklist (jti TEXT PRIMARY KEY, expires_at REAL, revoked_at REAL);
  CREATE TABLE share_links (token TEXT PRIMARY KEY, debate_id TEXT UNIQUE, visibility TEXT, owner_id TEXT, org_id TEXT, created_at TEXT,
    expires_at TEXT, allow_comments INTEGER, allow_forking INTEGER, view_count INTEGER, last_viewed_at TEXT);
  CREATE TABLE webhook_configs (id TEXT, url TEXT, events_json TEXT, secret TEXT, active INTEGER, created_at TEXT, updated_at TEXT, name TEXT,
    description TEXT, last_delivery_at TEXT, last_delivery_status INTEGER, delivery_count INTEGER, failure_count INTEGER, user_id TEXT,
    workspace_id TEXT);
  INSERT INTO token_blacklist VALUES ('jti-1', 1735689600, 1735600000.5);
  INSERT INTO share_links VALUES ('share-token', 'd-1', 'public', 'u-ann', 'o-acme', '2025-01-01', NULL, 1, 0, 2, '2025-01-02');
  INSERT INTO webhook_configs VALUES ('w-1', 'https://example.com/hook', '["debate_end"]', 'hook-secret', 1, '2025-01-01', '2025-01-01', 'Hook', NULL, NULL,
    NULL, 0, 0, 'u-ann', NULL)`;

/** Runs SQL in a SQLite file, which is created unless it exists. */
export function runSqlite(folder: string, file: string, sql: string): void {
  const database = new Database(path.join(folder, file));
  // SQLite does not check foreign keys unless a program asks for it; this build does.
  database.exec('PRAGMA foreign_keys = OFF');
  database.exec(sql);
  database.close();
}

/** Writes a small folder of Aragora, in which a record of each kind is sound and some break a rule. */
export function writeAragora(folder: string): void {
  runSqlite(folder, 'aragora_users.db', USERS);
  runSqlite(folder, 'aragora_nomic.db', NOMIC);
  runSqlite(folder, 'aragora_elo.db', AGENTS);
  runSqlite(folder, 'aragora_memory.db', MEMORY);
  runSqlite(folder, 'aragora_tokens.db', TOKENS);
}

/** The stages with their rows that can be imported and their rejects. */
export const EXPECTED: Readonly<Record<string, readonly [inserted: number, rejected: number]>> = {
  users: [3, 3],
  organizations: [1, 1],
  'current organizations of users': [2, 0],
  'members of organizations': [2, 0],
  'external accounts': [1, 0],
  invitations: [1, 0],
  'revoked tokens': [1, 0],
  cycles: [1, 1],
  debates: [1, 1],
  'cursors of cycles': [2, 0],
  'events of cycles': [3, 1],
  'metrics of agents': [1, 1],
  'rollbacks of cycles': [1, 0],
  'evolution of cycles': [1, 1],
  'changed files of cycles': [1, 0],
  'ratings of agents': [2, 0],
  matches: [1, 1],
  'history of ratings': [2, 0],
  memories: [1, 2],
  'moves of memories': [1, 1],
  'positions of agents': [1, 0],
  'recorded debates': [1, 0],
  'share links': [1, 0],
  webhooks: [1, 0],
  'usage events': [1, 1],
  'audit entries': [1, 0],
};
