import { idInput, rowIdInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { cycleNotFound, readInput } from './errors';
import { commitText, countInput, cycleInput, keyInput, longText, type Phase, phaseInput } from './input';
import { type CyclePhase, callFor, listRows, modelOf, type Row } from './rows';

export type Stage = 'proposing' | 'critiquing' | 'voting' | 'executing';

export interface StartCycleInput {
  readonly loopId: string;
  readonly task?: string;
  readonly totalTasks?: number;
  readonly idempotencyKey: string;
}

export interface CycleInput {
  readonly loopId: string;
  readonly cycleNumber: number;
}

export interface PhaseInput extends CycleInput {
  readonly phase: Phase;
}

export interface MoveStageInput extends PhaseInput {
  readonly stage: Stage;
}

export interface ReportTasksInput extends PhaseInput {
  /** A smaller number than before changes nothing. */
  readonly completedTasks: number;
  /** Stays when absent. */
  readonly totalTasks?: number;
}

export interface CompletePhaseInput extends PhaseInput {
  readonly success: boolean;
  readonly gitCommit?: string;
  readonly errorMessage?: string;
}

/** A cycle with the phases that it has reached, in their order. */
export interface Cycle extends CycleInput {
  readonly status: 'running' | 'succeeded' | 'failed';
  /** Whether what it changed was rolled back. */
  readonly isRolledBack: boolean;
  readonly phases: readonly CyclePhase[];
}

export interface ListPhasesInput extends PageInput {
  readonly loopId: string;
}

const startInput = z.strictObject({
  loopId: idInput,
  task: longText.optional(),
  totalTasks: countInput.optional(),
  idempotencyKey: keyInput,
});
const phaseOf = cycleInput.extend({ phase: phaseInput });
const stageInput = phaseOf.extend({ stage: z.enum(['proposing', 'critiquing', 'voting', 'executing']) });
const tasksInput = phaseOf.extend({ completedTasks: countInput, totalTasks: countInput.optional() });
const completeInput = phaseOf.extend({
  success: z.boolean(),
  gitCommit: commitText.optional(),
  errorMessage: longText.optional(),
});
const listInput = z.strictObject({ loopId: rowIdInput, ...pageFields });

/**
 * Starts the next cycle of a loop, once per key. It begins in the phase debate and the stage proposing.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`, `DEBATE.CYCLE_OPEN`
 */
export async function startCycle(debate: Debate, input: StartCycleInput): Promise<CyclePhase> {
  const { idempotencyKey, ...body } = readInput(startInput, input);
  return callFor(debate, 'SELECT * FROM start_cycle($1, $2)', [idempotencyKey, JSON.stringify(body)]);
}

/**
 * Takes the open phase to another stage: proposing → critiquing → voting → executing, and from voting back to proposing. The present
 * stage changes nothing.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.PHASE_NOT_FOUND`, `DEBATE.PHASE_ENDED`, `DEBATE.ILLEGAL_TRANSITION`
 */
export async function moveStage(debate: Debate, input: MoveStageInput): Promise<CyclePhase> {
  const { loopId, cycleNumber, phase, stage } = readInput(stageInput, input);
  return callFor(debate, 'SELECT * FROM move_stage($1, $2, $3, $4)', [loopId, cycleNumber, phase, stage]);
}

/**
 * Records how many tasks of the open phase are done.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.PHASE_NOT_FOUND`, `DEBATE.PHASE_ENDED`
 */
export async function reportTasks(debate: Debate, input: ReportTasksInput): Promise<CyclePhase> {
  const { loopId, cycleNumber, phase, completedTasks, totalTasks } = readInput(tasksInput, input);
  const values = [loopId, cycleNumber, phase, completedTasks, totalTasks ?? null];
  return callFor(debate, 'SELECT * FROM report_tasks($1, $2, $3, $4, $5)', values);
}

/**
 * Ends a phase. After a success the next phase begins in the same transaction; after a failure, or the success of the phase commit, the
 * cycle has ended. A success needs the stage executing. A repeat with the same outcome changes nothing.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.PHASE_NOT_FOUND`, `DEBATE.PHASE_ENDED`, `DEBATE.ILLEGAL_TRANSITION`
 */
export async function completePhase(debate: Debate, input: CompletePhaseInput): Promise<CyclePhase> {
  const { loopId, cycleNumber, phase, success, gitCommit, errorMessage } = readInput(completeInput, input);
  const values = [loopId, cycleNumber, phase, success, gitCommit ?? null, errorMessage ?? null];
  return callFor(debate, 'SELECT * FROM complete_phase($1, $2, $3, $4, $5, $6)', values);
}

const CYCLE = `SELECT *, EXISTS (SELECT FROM nomic_rollbacks AS r WHERE r.loop_id = $1 AND r.cycle_number = $2) AS is_rolled_back
  FROM nomic_cycles WHERE loop_id = $1 AND cycle_number = $2
  ORDER BY array_position('{debate,design,implement,verify,commit}', phase)`;

/**
 * A cycle by its number.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.CYCLE_NOT_FOUND`
 */
export async function getCycle(debate: Debate, input: CycleInput): Promise<Cycle> {
  const { loopId, cycleNumber } = readInput(cycleInput, input);
  const rows = await debate.query<Row>({ text: CYCLE, values: [loopId, cycleNumber] });
  const phases = rows.map(({ is_rolled_back: _, ...row }) => modelOf<CyclePhase>(row));
  const last = phases.at(-1);
  if (last === undefined) throw cycleNotFound({ loopId, cycleNumber });
  const status = last.completedAt === null ? 'running' : last.success === true ? 'succeeded' : 'failed';
  return { loopId, cycleNumber, status, isRolledBack: rows[0]?.['is_rolled_back'] === true, phases };
}

/**
 * A page of the phases of a loop, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listPhases(debate: Debate, input: ListPhasesInput): Promise<Page<CyclePhase>> {
  const { loopId, limit, cursor } = readInput(listInput, input);
  return listRows<CyclePhase>(debate, { table: 'nomic_cycles', where: { loop_id: loopId }, limit, cursor });
}
