import { createHash } from 'node:crypto';
import {
  insertRow,
  itKeepsAnAuditLog,
  itTestsEveryCheck,
  refusalsOf,
  schemaRefuses,
  useDatabase,
} from '@azora/db-testkit';

type Row = Readonly<Record<string, unknown>>;

/** A valid row for each table. */
const VALID: Readonly<Record<string, Row>> = {
  nomic_cycles: {
    loop_id: 'l',
    cycle_number: 1,
    phase: 'debate',
    stage: 'voting',
    started_at: '2026-01-02',
    total_tasks: 2,
  },
  debate_artifacts: {
    loop_id: 'l',
    cycle_number: 1,
    phase: 'debate',
    task: 'Cache the catalogue',
    agents: '[]',
    transcript: '[]',
  },
  stream_events: { loop_id: 'l', cycle: 1, event_type: 'error' },
  agent_metrics: { loop_id: 'l', cycle: 1, agent_name: 'builder', phase: 'verify' },
  nomic_rollbacks: { id: 'r', loop_id: 'l', cycle_number: 1, phase: 'verify', reason: 'timeout', severity: 'low' },
  cycle_evolution: { id: 'e', loop_id: 'l', cycle_number: 1 },
  cycle_file_changes: { loop_id: 'l', cycle_number: 1, file_path: 'src/a.ts', change_type: 'added' },
  ratings: { agent_name: 'newcomer' },
  matches: { debate_id: 'd', participants: '["builder", "skeptic"]' },
  elo_history: { agent_name: 'builder', elo: 1516 },
  positions: {
    id: 'p',
    agent_name: 'builder',
    claim: 'It is the cache',
    confidence: 0.5,
    debate_id: 'd',
    round_num: 1,
  },
  continuum_memory: { id: 'm', content: 'Later writes win' },
  tier_transitions: { memory_id: 'kept', from_tier: 'fast', to_tier: 'medium' },
  traces: { trace_id: 't', debate_id: 'd', task: 'Cache', agents: '[]', trace_json: '{}', started_at: '2026-01-02' },
  share_links: { token: 't', debate_id: 'd' },
  webhook_configs: { id: 'w', url: 'https://hooks.azora.world/x', events_json: '["error"]', secret: 's' },
  usage_events: { org_id: 'o', event_type: 'debate' },
  usage_months: { org_id: 'o', event_type: 'debate', month: '2026-01-01', count: 1 },
  artifact_votes: { artifact_id: 1000, agent_name: 'builder', choice: 'skeptic' },
  stream_cursors: { loop_id: 'c', cycle: 1, last_sequence: 1 },
  webhook_deliveries: { webhook_id: 'kept', message_id: 'm', event_type: 'error', body: '{}', next_at: '2026-01-02' },
  requests: { key: 'k', operation: 'x', body_hash: 'a'.repeat(64), answer_id: 'x' },
};

const PAST = '2000-01-01';

/** A constraint, its table, and the change to a valid row that violates it. */
const REFUSED: readonly (readonly [string, string, Row])[] = [
  ['nomic_cycles_loop_id_check', 'nomic_cycles', { loop_id: ' ' }],
  ['nomic_cycles_cycle_number_check', 'nomic_cycles', { cycle_number: -1 }],
  ['nomic_cycles_phase_check', 'nomic_cycles', { phase: 'dream' }],
  ['nomic_cycles_stage_check', 'nomic_cycles', { stage: 'sleeping' }],
  ['nomic_cycles_period_check', 'nomic_cycles', { completed_at: PAST }],
  ['nomic_cycles_success_check', 'nomic_cycles', { success: true }],
  ['nomic_cycles_tasks_check', 'nomic_cycles', { completed_tasks: 3 }],
  ['nomic_cycles_tasks_check', 'nomic_cycles', { completed_tasks: -1 }],
  ['debate_artifacts_loop_id_check', 'debate_artifacts', { loop_id: '' }],
  ['debate_artifacts_cycle_number_check', 'debate_artifacts', { cycle_number: -1 }],
  ['debate_artifacts_phase_check', 'debate_artifacts', { phase: 'dream' }],
  ['debate_artifacts_task_check', 'debate_artifacts', { task: ' ' }],
  ['debate_artifacts_agents_check', 'debate_artifacts', { agents: '{}' }],
  ['debate_artifacts_transcript_check', 'debate_artifacts', { transcript: '"text"' }],
  ['debate_artifacts_vote_tally_check', 'debate_artifacts', { vote_tally: '[]' }],
  ['debate_artifacts_confidence_check', 'debate_artifacts', { confidence: 1.01 }],
  ['debate_artifacts_confidence_check', 'debate_artifacts', { confidence: 'NaN' }],
  ['debate_artifacts_view_count_check', 'debate_artifacts', { view_count: -1 }],
  ['stream_events_loop_id_check', 'stream_events', { loop_id: '' }],
  ['stream_events_cycle_check', 'stream_events', { cycle: -1 }],
  ['stream_events_event_type_check', 'stream_events', { event_type: 'gossip' }],
  ['stream_events_event_data_check', 'stream_events', { event_data: '[]' }],
  ['stream_events_sequence_check', 'stream_events', { sequence: 0 }],
  ['stream_cursors_last_sequence_check', 'stream_cursors', { last_sequence: 0 }],
  ['artifact_votes_agent_name_check', 'artifact_votes', { agent_name: ' ' }],
  ['artifact_votes_choice_check', 'artifact_votes', { choice: '' }],
  ['artifact_votes_artifact_id_fkey', 'artifact_votes', { artifact_id: 999 }],
  ['requests_key_check', 'requests', { key: ' ' }],
  ['agent_metrics_loop_id_check', 'agent_metrics', { loop_id: '' }],
  ['agent_metrics_cycle_check', 'agent_metrics', { cycle: -1 }],
  ['agent_metrics_agent_name_check', 'agent_metrics', { agent_name: '' }],
  ['agent_metrics_phase_check', 'agent_metrics', { phase: 'dream' }],
  ['agent_metrics_counts_check', 'agent_metrics', { votes_won: -1 }],
  ['agent_metrics_response_time_check', 'agent_metrics', { avg_response_time_ms: 'NaN' }],
  ['nomic_rollbacks_loop_id_check', 'nomic_rollbacks', { loop_id: '' }],
  ['nomic_rollbacks_cycle_number_check', 'nomic_rollbacks', { cycle_number: -1 }],
  ['nomic_rollbacks_phase_check', 'nomic_rollbacks', { phase: 'dream' }],
  ['nomic_rollbacks_reason_check', 'nomic_rollbacks', { reason: 'boredom' }],
  ['nomic_rollbacks_severity_check', 'nomic_rollbacks', { severity: 'mild' }],
  ['nomic_rollbacks_files_affected_check', 'nomic_rollbacks', { files_affected: '{}' }],
  ['cycle_evolution_loop_id_check', 'cycle_evolution', { loop_id: '' }],
  ['cycle_evolution_cycle_number_check', 'cycle_evolution', { cycle_number: -1 }],
  ['cycle_evolution_files_changed_check', 'cycle_evolution', { files_changed: '{}' }],
  [
    'cycle_evolution_debate_artifact_id_fkey',
    'cycle_evolution',
    { id: 'e9', cycle_number: 9, debate_artifact_id: 999 },
  ],
  ['cycle_evolution_rollback_id_fkey', 'cycle_evolution', { id: 'e9', cycle_number: 9, rollback_id: 'nowhere' }],
  ['cycle_file_changes_loop_id_check', 'cycle_file_changes', { loop_id: '' }],
  ['cycle_file_changes_cycle_number_check', 'cycle_file_changes', { cycle_number: -1 }],
  ['cycle_file_changes_file_path_check', 'cycle_file_changes', { file_path: '' }],
  ['cycle_file_changes_change_type_check', 'cycle_file_changes', { change_type: 'lost' }],
  ['cycle_file_changes_lines_check', 'cycle_file_changes', { insertions: -1 }],
  ['ratings_agent_name_check', 'ratings', { agent_name: ' ' }],
  ['ratings_elo_check', 'ratings', { elo: 0 }],
  ['ratings_elo_check', 'ratings', { elo: 'NaN' }],
  ['ratings_domain_elos_check', 'ratings', { domain_elos: '[]' }],
  ['ratings_record_check', 'ratings', { wins: -1 }],
  ['ratings_debates_count_check', 'ratings', { wins: 1, losses: 1, debates_count: 1 }],
  ['ratings_critiques_check', 'ratings', { critiques_accepted: 1 }],
  ['ratings_calibration_check', 'ratings', { calibration_correct: 1 }],
  ['ratings_brier_sum_check', 'ratings', { calibration_brier_sum: -0.1 }],
  ['matches_debate_id_check', 'matches', { debate_id: '' }],
  ['matches_participants_check', 'matches', { participants: '["builder"]' }],
  ['matches_participants_check', 'matches', { participants: '{}' }],
  ['matches_winner_check', 'matches', { winner: 'architect' }],
  ['matches_winner_fkey', 'matches', { debate_id: 'd9', winner: 'stranger', participants: '["stranger", "b"]' }],
  ['matches_scores_check', 'matches', { scores: '[]' }],
  ['matches_elo_changes_check', 'matches', { elo_changes: '[]' }],
  ['matches_k_factor_check', 'matches', { k_factor: 0.5 }],
  ['matches_k_factor_check', 'matches', { k_factor: 101 }],
  ['matches_domain_changes_check', 'matches', { domain: 'x', domain_changes: '[]' }],
  ['matches_domain_changes_check', 'matches', { domain_changes: '{}' }],
  ['elo_history_elo_check', 'elo_history', { elo: -1 }],
  ['elo_history_domain_elo_check', 'elo_history', { domain: 'x', domain_elo: 0 }],
  ['elo_history_domain_elo_check', 'elo_history', { domain: 'x', domain_elo: 'NaN' }],
  ['elo_history_domain_elo_check', 'elo_history', { domain_elo: 1 }],
  ['elo_history_agent_name_fkey', 'elo_history', { agent_name: 'stranger' }],
  ['positions_agent_name_check', 'positions', { agent_name: '' }],
  ['positions_claim_check', 'positions', { claim: '' }],
  ['positions_debate_id_check', 'positions', { debate_id: '' }],
  ['positions_confidence_check', 'positions', { confidence: -0.1 }],
  ['positions_round_num_check', 'positions', { round_num: -1 }],
  ['positions_outcome_check', 'positions', { outcome: 'maybe', resolved_at: '2100-01-01' }],
  ['positions_resolved_at_check', 'positions', { outcome: 'correct' }],
  ['positions_period_check', 'positions', { outcome: 'correct', resolved_at: PAST }],
  ['positions_reversal_check', 'positions', { reversed: true }],
  ['positions_reversal_check', 'positions', { reversal_debate_id: 'd2' }],
  ['continuum_memory_tier_check', 'continuum_memory', { tier: 'eternal' }],
  ['continuum_memory_content_check', 'continuum_memory', { content: '' }],
  ['continuum_memory_importance_check', 'continuum_memory', { importance: 2 }],
  ['continuum_memory_surprise_score_check', 'continuum_memory', { surprise_score: -1 }],
  ['continuum_memory_consolidation_score_check', 'continuum_memory', { consolidation_score: 1.5 }],
  ['continuum_memory_counts_check', 'continuum_memory', { failure_count: -1 }],
  ['continuum_memory_metadata_check', 'continuum_memory', { metadata: '[]' }],
  ['continuum_memory_period_check', 'continuum_memory', { expires_at: PAST }],
  ['tier_transitions_from_tier_check', 'tier_transitions', { from_tier: 'eternal' }],
  ['tier_transitions_to_tier_check', 'tier_transitions', { to_tier: 'eternal' }],
  ['tier_transitions_move_check', 'tier_transitions', { to_tier: 'fast' }],
  ['tier_transitions_surprise_score_check', 'tier_transitions', { surprise_score: 2 }],
  ['tier_transitions_memory_id_fkey', 'tier_transitions', { memory_id: 'nowhere' }],
  ['traces_debate_id_check', 'traces', { debate_id: '' }],
  ['traces_agents_check', 'traces', { agents: '{}' }],
  ['traces_period_check', 'traces', { completed_at: PAST }],
  ['share_links_token_check', 'share_links', { token: '' }],
  ['share_links_debate_id_check', 'share_links', { debate_id: '' }],
  ['share_links_visibility_check', 'share_links', { visibility: 'secret' }],
  ['share_links_team_check', 'share_links', { visibility: 'team' }],
  ['share_links_period_check', 'share_links', { expires_at: PAST }],
  ['share_links_view_count_check', 'share_links', { view_count: -1 }],
  ['share_links_last_viewed_at_check', 'share_links', { last_viewed_at: PAST }],
  ['webhook_configs_url_check', 'webhook_configs', { url: 'ftp://hooks.azora.world' }],
  ['webhook_configs_events_json_check', 'webhook_configs', { events_json: '{}' }],
  ['webhook_configs_secret_check', 'webhook_configs', { secret: '' }],
  ['webhook_configs_status_check', 'webhook_configs', { last_delivery_status: 1, last_delivery_at: PAST }],
  ['webhook_configs_last_delivery_check', 'webhook_configs', { last_delivery_status: 200 }],
  ['webhook_configs_counts_check', 'webhook_configs', { failure_count: 1 }],
  ['webhook_configs_consecutive_failures_check', 'webhook_configs', { consecutive_failures: -1 }],
  ['webhook_configs_disabled_at_check', 'webhook_configs', { disabled_at: PAST }],
  ['webhook_deliveries_message_id_check', 'webhook_deliveries', { message_id: '' }],
  ['webhook_deliveries_event_type_check', 'webhook_deliveries', { event_type: '' }],
  ['webhook_deliveries_status_check', 'webhook_deliveries', { status: 'lost' }],
  ['webhook_deliveries_attempts_check', 'webhook_deliveries', { attempts: 7 }],
  ['webhook_deliveries_claim_check', 'webhook_deliveries', { claim_id: 'c' }],
  ['webhook_deliveries_finished_at_check', 'webhook_deliveries', { finished_at: PAST }],
  ['webhook_deliveries_response_status_check', 'webhook_deliveries', { response_status: 99 }],
  ['webhook_deliveries_webhook_id_fkey', 'webhook_deliveries', { webhook_id: 'nowhere' }],
  ['usage_events_org_id_check', 'usage_events', { org_id: '' }],
  ['usage_events_event_type_check', 'usage_events', { event_type: '' }],
  ['usage_events_count_check', 'usage_events', { count: 0 }],
  ['usage_events_metadata_check', 'usage_events', { metadata: '[]' }],
  ['usage_months_org_id_check', 'usage_months', { org_id: '' }],
  ['usage_months_event_type_check', 'usage_months', { event_type: '' }],
  ['usage_months_month_check', 'usage_months', { month: '2026-01-02' }],
  ['usage_months_count_check', 'usage_months', { count: 0 }],
];

/** A unique constraint, its table, and the values that several rows share. */
const UNIQUE: readonly (readonly [string, string, Row])[] = [
  ['nomic_cycles_loop_id_cycle_number_phase_key', 'nomic_cycles', { loop_id: 'race' }],
  ['cycle_file_changes_loop_id_cycle_number_file_path_key', 'cycle_file_changes', { loop_id: 'race' }],
  ['matches_debate_id_key', 'matches', { debate_id: 'race' }],
  ['usage_events_idempotency_key_key', 'usage_events', { idempotency_key: 'race' }],
  ['usage_months_org_id_event_type_month_key', 'usage_months', { org_id: 'race' }],
];

describe('the debate schema', () => {
  const db = useDatabase('debate');

  const insert = (table: string, change: Row = {}) => insertRow(db().admin, table, { ...VALID[table], ...change });

  beforeAll(async () => {
    await db().admin("INSERT INTO ratings (agent_name) VALUES ('architect'), ('builder'), ('skeptic')");
    await db().admin("INSERT INTO continuum_memory (id, content) VALUES ('kept', 'The cache was stale')");
    await insert('debate_artifacts', { id: 1000 });
    await insert('webhook_configs', { id: 'kept' });
  });

  it.each(Object.keys(VALID))('fills in the id, flags, counters and times of a row in %s', async (table) => {
    expect(await insert(table)).toEqual([expect.objectContaining({ created_at: expect.any(Date) })]);
  });

  it.each(REFUSED)('rejects a row that violates %s', async (constraint, table, change) => {
    await schemaRefuses(insert(table, change), constraint);
  });

  itTestsEveryCheck(
    db,
    REFUSED.map(([constraint]) => constraint),
  );

  it.each(UNIQUE)('accepts one of eight concurrent rows under %s', async (constraint, table, shared) => {
    const refused = await refusalsOf(Array.from({ length: 8 }, () => insert(table, shared)));

    expect(refused).toEqual(Array(7).fill(constraint));
  });

  it.each([
    ['cycle_evolution_loop_id_cycle_number_key', 'cycle_evolution', { id: 'e2' }],
    ['share_links_debate_id_key', 'share_links', { token: 't2' }],
    ['share_links_pkey', 'share_links', { debate_id: 'd2' }],
    ['stream_events_loop_id_cycle_sequence_key', 'stream_events', { sequence: 1 }],
    ['ratings_pkey', 'ratings', { agent_name: 'builder' }],
  ])('rejects a second row under %s', async (constraint, table, change) => {
    await schemaRefuses(insert(table, change), constraint);
  });

  it.each(['nomic_rollbacks', 'cycle_file_changes', 'matches', 'elo_history'])(
    'never updates or deletes rows of %s',
    async (table) => {
      await schemaRefuses(db().admin(`UPDATE ${table} SET created_at = now()`), `${table}_append_only`);
      await schemaRefuses(db().admin(`DELETE FROM ${table}`), `${table}_append_only`);
      await schemaRefuses(db().admin(`TRUNCATE ${table} CASCADE`), `${table}_append_only`);
      await expect(db().app(`UPDATE ${table} SET created_at = now()`)).rejects.toMatchObject({ code: '42501' });
      await expect(db().app(`DELETE FROM ${table}`)).rejects.toMatchObject({ code: '42501' });
    },
  );

  it.each(['stream_events', 'usage_events'])(
    'never updates rows of %s, and lets retention delete them',
    async (table) => {
      await insert(table, { timestamp: PAST });

      await schemaRefuses(db().admin(`UPDATE ${table} SET created_at = now()`), `${table}_append_only`);
      await schemaRefuses(db().admin(`TRUNCATE ${table}`), `${table}_append_only`);
      expect(await db().admin(`DELETE FROM ${table} WHERE timestamp = $1 RETURNING 1 AS pruned`, [PAST])).toHaveLength(
        1,
      );
    },
  );

  it('marks a usage event as counted once', async () => {
    const [event] = await insert('usage_events');
    const mark = (value: string) =>
      db().admin(`UPDATE usage_events SET counted_at = ${value} WHERE id = $1`, [event?.['id']]);

    await mark('now()');

    await schemaRefuses(mark('now()'), 'usage_events_counted_once');
    await schemaRefuses(mark('NULL'), 'usage_events_counted_once');
  });

  it('never stores a share token as it is', async () => {
    const [link] = await insert('share_links', { token: 'a token', debate_id: 'hashed' });
    const [moved] = await db().admin(
      "UPDATE share_links SET token = 'another' WHERE debate_id = 'hashed' RETURNING token",
    );

    expect([link?.['token'], moved?.['token']]).toEqual(
      ['a token', 'another'].map((token) => `sha256:${createHash('sha256').update(token).digest('hex')}`),
    );
  });

  it('deletes the transitions of a memory only together with it', async () => {
    await insert('continuum_memory', { id: 'gone' });
    await insert('tier_transitions', { memory_id: 'gone' });

    await expect(db().app('DELETE FROM tier_transitions')).rejects.toMatchObject({ code: '42501' });
    await db().admin("DELETE FROM continuum_memory WHERE id = 'gone'");
    expect(await db().app("SELECT id FROM tier_transitions WHERE memory_id = 'gone'")).toEqual([]);
    await schemaRefuses(db().admin("UPDATE tier_transitions SET reason = 'x'"), 'tier_transitions_append_only');
  });

  it('keeps the evolution of a cycle when its debate is deleted', async () => {
    const [artifact] = await insert('debate_artifacts');
    await insert('cycle_evolution', { id: 'orphan', cycle_number: 7, debate_artifact_id: artifact?.['id'] });

    await db().admin('DELETE FROM debate_artifacts WHERE id = $1', [artifact?.['id']]);

    const left = await db().app("SELECT debate_artifact_id FROM cycle_evolution WHERE id = 'orphan'");
    expect(left).toEqual([{ debate_artifact_id: null }]);
  });

  it('rejects the deletion and the renaming of an agent with a rating history', async () => {
    await insert('ratings', { agent_name: 'veteran' });
    await insert('elo_history', { agent_name: 'veteran' });

    for (const sql of ['DELETE FROM ratings', "UPDATE ratings SET agent_name = 'rookie'"]) {
      await schemaRefuses(db().admin(`${sql} WHERE agent_name = 'veteran'`), 'elo_history_agent_name_fkey');
    }
  });

  it('finds debates by task and proposal, ranking the task higher, and memories by content', async () => {
    await insert('debate_artifacts', { loop_id: 'search', task: 'Explain tides', winning_proposal: 'Draw the moon' });
    await insert('debate_artifacts', { loop_id: 'search', task: 'Name the moons', winning_proposal: 'Ask Galileo' });
    await insert('continuum_memory', { id: 'moon', content: 'Students confuse moons and planets' });

    const ranked = `SELECT task FROM debate_artifacts, websearch_to_tsquery('english', 'moon') AS query
      WHERE search_vector @@ query ORDER BY ts_rank(search_vector, query) DESC`;
    expect(await db().app(ranked)).toEqual([{ task: 'Name the moons' }, { task: 'Explain tides' }]);
    const memories = "SELECT id FROM continuum_memory WHERE search_vector @@ to_tsquery('english', 'moon')";
    expect(await db().app(memories)).toEqual([{ id: 'moon' }]);
  });

  it('accepts a memory with more words than a search vector can hold', async () => {
    const words = Array.from({ length: 300_000 }, (_, index) => (index * 7_919).toString(36)).join(' ');

    const [row] = await insert('continuum_memory', { id: 'long', content: words });
    expect(row).toMatchObject({ content: words });
  });

  itKeepsAnAuditLog(db);
});
