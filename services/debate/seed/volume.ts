import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId } from '@azora/db-core';
import { TIERS } from './agents';
import { AGENTS, PHASES } from './loop';

const DAY_MS = 86_400_000;
const DEBATE_MS = 600_000;
/** Serial ids of the volume seed start here, above those of the fixed rows. */
const FIRST_ID = 1_000_000;
const TASK = 'Shorten the wait before the first lesson';
const PROPOSAL = 'Load the first lesson with the page';
const FILES = ['src/lessons.ts'];
const TRANSCRIPT = AGENTS.map((agent) => ({ agent, round: 1, content: `${agent}: ${PROPOSAL}` }));
const VOTES = { architect: 3, builder: 1 };

/** The rows of the loop of one user, which began at `from` and ended at `to`. */
type RowsOfUser = (user: number, from: Date, to: Date) => readonly SeedRow[];

/** Each user has a loop of one cycle, with its debate and the rows that follow from it. */
export function volumeTables(block: SeedBlock): TableRows[] {
  return Object.entries(TABLES).map(([table, { columns, rowsOf }]) => ({
    table,
    columns: columns.split(' '),
    rows: rowsOfBlock(block, rowsOf),
  }));
}

function rowsOfBlock(block: SeedBlock, rowsOf: RowsOfUser): Iterable<SeedRow> {
  return rowsPerUser(block, (user, { now }) => {
    const from = now.getTime() - (1 + (user % 60)) * DAY_MS;
    return rowsOf(user, new Date(from), new Date(from + DEBATE_MS));
  });
}

/** The tables in the order of insertion. */
const TABLES: Readonly<Record<string, { readonly columns: string; readonly rowsOf: RowsOfUser }>> = {
  nomic_cycles: {
    columns:
      'id loop_id cycle_number phase stage started_at completed_at success task_description total_tasks completed_tasks ' +
      'created_at updated_at',
    rowsOf: (user, from, to) => [
      [FIRST_ID + user, loopOf(user), 1, phaseOf(user), 'executing', from, to, true, TASK, 4, 4, from, to],
    ],
  },
  debate_artifacts: {
    columns:
      'id loop_id cycle_number phase task agents transcript consensus_reached confidence winning_proposal vote_tally ' +
      'view_count created_at updated_at concluded_at',
    rowsOf: (user, from, to) => [
      [
        ...[FIRST_ID + user, loopOf(user), 1, 'debate', TASK, AGENTS, TRANSCRIPT, user % 3 > 0],
        ...[shareOf(user), PROPOSAL, VOTES, user % 50, from, to, to],
      ],
    ],
  },
  stream_events: {
    columns: 'id loop_id cycle sequence event_type event_data agent timestamp created_at',
    rowsOf: (user, from, to) => [
      [FIRST_ID + 2 * user, loopOf(user), 1, 1, 'cycle_start', { tasks: 4 }, null, from, from],
      [FIRST_ID + 2 * user + 1, loopOf(user), 1, 2, 'task_complete', { task: 4 }, agentOf(user), to, to],
    ],
  },
  stream_cursors: {
    columns: 'loop_id cycle last_sequence created_at updated_at',
    rowsOf: (user, from, to) => [[loopOf(user), 1, 2, from, to]],
  },
  agent_metrics: {
    columns:
      'id loop_id cycle agent_name model phase messages_sent proposals_made critiques_given votes_won votes_received ' +
      'avg_response_time_ms timestamp created_at updated_at',
    rowsOf: (user, _from, to) => [
      [
        ...[FIRST_ID + user, loopOf(user), 1, agentOf(user), 'azora-large', 'debate', 3, 1, 2, user % 4, 4],
        ...[400 + (user % 900), to, to, to],
      ],
    ],
  },
  cycle_evolution: {
    columns: 'id loop_id cycle_number debate_artifact_id winning_proposal_summary files_changed created_at updated_at',
    rowsOf: (user, _from, to) => [
      [volumeId('debate.CycleEvolution', user), loopOf(user), 1, FIRST_ID + user, PROPOSAL, FILES, to, to],
    ],
  },
  positions: {
    columns: 'id agent_name claim confidence debate_id round_num outcome created_at resolved_at updated_at',
    rowsOf: (user, from, to) => [
      [
        ...[volumeId('debate.AgentPosition', user), agentOf(user), PROPOSAL, shareOf(user), debateOf(user), 1],
        ...(user % 2 === 0 ? ['pending', from, null, from] : ['correct', from, to, to]),
      ],
    ],
  },
  continuum_memory: {
    columns: 'id tier content importance surprise_score metadata created_at updated_at',
    rowsOf: (user, _from, to) => [
      [
        ...[volumeId('debate.MemoryEntry', user), TIERS[user % TIERS.length] ?? 'slow', `${PROPOSAL} ${user % 1000}`],
        ...[shareOf(user), shareOf(user * 7), { loop: loopOf(user) }, to, to],
      ],
    ],
  },
  share_links: {
    columns: 'token debate_id visibility owner_id created_at updated_at',
    rowsOf: (user, _from, to) => [
      [volumeId('debate.ShareLink', user), debateOf(user), visibilityOf(user), volumeId('auth.User', user), to, to],
    ],
  },
};

const loopOf = (user: number): string => `loop-v${user}`;
const debateOf = (user: number): string => `debate-v${user}`;
const agentOf = (user: number): string => AGENTS[user % AGENTS.length] ?? 'architect';
const phaseOf = (user: number): string => PHASES[user % PHASES.length] ?? 'debate';
const visibilityOf = (user: number): string => (user % 4 === 0 ? 'public' : 'private');
/** A number from 0 to 0.99. */
const shareOf = (user: number): number => (user % 100) / 100;
