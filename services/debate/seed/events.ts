import type { DebateTransaction } from '../src/index';

/** The events that the store would have published if it had written the rows of the seed, oldest first. */
const PUBLISH = `
  SELECT emit(name, key, payload, at) FROM (
    SELECT started_at AS at, 'cycle-started' AS name, loop_id AS key, jsonb_build_object('loopId', loop_id, 'cycleNumber', cycle_number) AS payload
    FROM nomic_cycles WHERE loop_id = $1 AND phase = 'debate'
    UNION ALL
    SELECT completed_at, 'phase-completed', loop_id, jsonb_build_object('loopId', loop_id, 'cycleNumber', cycle_number, 'phase', phase,
      'success', success)
    FROM nomic_cycles WHERE loop_id = $1 AND completed_at IS NOT NULL
    UNION ALL
    SELECT completed_at, 'cycle-ended', loop_id, jsonb_build_object('loopId', loop_id, 'cycleNumber', cycle_number,
      'status', CASE WHEN success THEN 'succeeded' ELSE 'failed' END)
    FROM nomic_cycles WHERE loop_id = $1 AND completed_at IS NOT NULL AND (phase = 'commit' OR NOT success)
    UNION ALL
    SELECT concluded_at, 'artifact-concluded', loop_id, jsonb_build_object('artifactId', id, 'loopId', loop_id, 'cycleNumber', cycle_number,
      'phase', phase, 'consensusReached', consensus_reached)
    FROM debate_artifacts WHERE loop_id = $1
    UNION ALL
    SELECT created_at, 'evolution-recorded', loop_id, jsonb_build_object('evolutionId', id, 'loopId', loop_id, 'cycleNumber', cycle_number,
      'files', jsonb_array_length(files_changed))
    FROM cycle_evolution WHERE loop_id = $1
    UNION ALL
    SELECT created_at, 'cycle-rolled-back', loop_id, jsonb_build_object('rollbackId', id, 'loopId', loop_id, 'cycleNumber', cycle_number,
      'reason', reason, 'severity', severity)
    FROM nomic_rollbacks WHERE loop_id = $1
    UNION ALL
    SELECT created_at, 'match-rated', debate_id, jsonb_build_object('matchId', id, 'debateId', debate_id, 'winner', winner,
      'participants', participants)
    FROM matches WHERE debate_id LIKE 'debate-azora-%'
    UNION ALL
    SELECT resolved_at, 'position-resolved', agent_name, jsonb_build_object('positionId', id, 'agentName', agent_name,
      'debateId', debate_id, 'outcome', outcome)
    FROM positions WHERE debate_id LIKE 'debate-azora-%' AND outcome <> 'pending'
    UNION ALL
    SELECT created_at, 'debate-shared', debate_id, jsonb_build_object('debateId', debate_id, 'ownerId', owner_id, 'visibility', visibility)
    FROM share_links WHERE debate_id LIKE 'debate-azora-%'
    ORDER BY at, key, name
  ) AS events`;
const SEAL_REPLAYS = `UPDATE traces AS t SET checksum = replay_checksum(t) WHERE debate_id LIKE 'debate-azora-%' AND checksum IS NULL`;

export async function publishSeed(tx: DebateTransaction, loopId: string): Promise<void> {
  await tx.$executeRawUnsafe(SEAL_REPLAYS);
  await tx.$executeRawUnsafe(PUBLISH, loopId);
}
