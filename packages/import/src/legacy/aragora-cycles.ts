import { LINKS } from '../postgres/links';
import { booleanOf, requiredText, requiredTime, textOf, timeOf } from '../values';
import {
  array,
  countOrNone,
  from,
  idFrom,
  needCount,
  needed,
  needText,
  needTime,
  number,
  object,
  orElse,
  text,
  word,
} from './columns';
import type { LegacyTable } from './legacy-table';

const phase = needed(word('debate', 'design', 'implement', 'verify', 'commit'));

/** Cycles and their debates. An artifact is the record of a debate that has ended. */
export const CYCLES: readonly LegacyTable[] = [
  {
    name: 'cycles',
    service: 'debate',
    table: 'nomic_cycles',
    key: ['loop_id', 'cycle_number', 'phase'],
    values: {
      loop_id: needText,
      cycle_number: needCount,
      phase,
      stage: needed(word('proposing', 'critiquing', 'voting', 'executing')),
      started_at: needTime,
      completed_at: timeOf,
      success: booleanOf,
      git_commit: text,
      task_description: text,
      total_tasks: countOrNone,
      completed_tasks: countOrNone,
      error_message: text,
      created_at: (record, field) => timeOf(record, field) ?? requiredTime(record, 'started_at'),
    },
  },
  {
    name: 'debates',
    service: 'debate',
    table: 'debate_artifacts',
    key: ['id'],
    isLinked: true,
    values: {
      legacy: (record) => artifactOf(requiredText(record, 'loop_id'), requiredText(record, 'id')),
      loop_id: needText,
      cycle_number: needCount,
      phase,
      task: needText,
      agents: needed(array),
      transcript: orElse(array, '[]'),
      consensus_reached: orElse(booleanOf, 'false'),
      confidence: orElse(number, '0'),
      winning_proposal: text,
      vote_tally: object,
      view_count: countOrNone,
      created_at: needTime,
      concluded_at: from('created_at', needTime),
    },
  },
];

const artifactOf = (loopId: string, id: string) => `${id}:${loopId}`;

/** What the cycles led to. */
export const HISTORY: readonly LegacyTable[] = [
  {
    name: 'metrics of agents',
    service: 'debate',
    table: 'agent_metrics',
    key: ['id'],
    isLinked: true,
    values: {
      legacy: idFrom('id', 'loop_id', 'agent_name'),
      loop_id: needText,
      cycle: needCount,
      agent_name: needText,
      model: text,
      phase,
      messages_sent: countOrNone,
      proposals_made: countOrNone,
      critiques_given: countOrNone,
      votes_won: countOrNone,
      votes_received: countOrNone,
      consensus_contributions: countOrNone,
      avg_response_time_ms: number,
      timestamp: needTime,
    },
  },
  {
    name: 'rollbacks of cycles',
    service: 'debate',
    table: 'nomic_rollbacks',
    key: ['id'],
    values: {
      id: needText,
      loop_id: needText,
      cycle_number: needCount,
      phase,
      reason: needed(word('verify_failure', 'manual_intervention', 'timeout', 'conflict')),
      severity: needed(word('low', 'medium', 'high', 'critical')),
      rolled_back_commit: text,
      preserved_branch: text,
      files_affected: orElse(array, '[]'),
      diff_summary: text,
      error_message: text,
      created_at: needTime,
    },
  },
  {
    name: 'evolution of cycles',
    service: 'debate',
    table: 'cycle_evolution',
    key: ['id'],
    inputs: ['debate'],
    fields: ['debate_artifact_id'],
    // An artifact that does not exist gets an id that no row has, so that the foreign key is broken and not empty.
    expressions: {
      debate_artifact_id: `coalesce(
        (SELECT "link"."key"::integer FROM ${LINKS} AS "link"
         WHERE "link"."relation" = 'public.debate_artifacts' AND "link"."legacy" = "row"."debate"),
        CASE WHEN "row"."debate" IS NOT NULL THEN -1 END)`,
    },
    values: {
      id: needText,
      loop_id: needText,
      cycle_number: needCount,
      debate: (record) => {
        const id = textOf(record, 'debate_artifact_id');
        return id === null ? null : artifactOf(requiredText(record, 'loop_id'), id);
      },
      winning_proposal_summary: text,
      files_changed: orElse(array, '[]'),
      git_commit: text,
      rollback_id: text,
      created_at: needTime,
    },
  },
  {
    name: 'changed files of cycles',
    service: 'debate',
    table: 'cycle_file_changes',
    key: ['loop_id', 'cycle_number', 'file_path'],
    values: {
      loop_id: needText,
      cycle_number: needCount,
      file_path: needText,
      change_type: needed(word('added', 'modified', 'deleted', 'renamed')),
      insertions: countOrNone,
      deletions: countOrNone,
    },
  },
];
