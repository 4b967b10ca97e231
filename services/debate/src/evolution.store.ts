import { newId } from '@azora/db-core';
import { idInput, rowIdInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import type { CycleInput } from './cycles.store';
import { evolutionNotFound, readInput } from './errors';
import {
  commitText,
  countInput,
  cycleInput,
  cycleNumberInput,
  keyInput,
  longText,
  type Phase,
  pathText,
  phaseInput,
  serialInput,
  shortText,
} from './input';
import { callFor, type Evolution, type FileChange, findRow, listRows, modelOf, type Rollback, type Row } from './rows';

export interface ChangedFile {
  readonly path: string;
  readonly change: 'added' | 'modified' | 'deleted' | 'renamed';
  readonly insertions?: number;
  readonly deletions?: number;
}

export interface RecordEvolutionInput extends CycleInput {
  /** At most 1000, each path once. */
  readonly files: readonly ChangedFile[];
  readonly gitCommit?: string;
  /** The debate that led to the change. */
  readonly artifactId?: number;
  readonly summary?: string;
}

/** What a cycle changed. */
export interface EvolutionDetails extends Evolution {
  /** In the order of their paths. */
  readonly files: readonly FileChange[];
}

export interface RecordRollbackInput extends CycleInput {
  readonly phase: Phase;
  readonly reason: 'verify_failure' | 'manual_intervention' | 'timeout' | 'conflict';
  readonly severity: 'low' | 'medium' | 'high' | 'critical';
  /** The commit that was rolled back. */
  readonly commit?: string;
  readonly preservedBranch?: string;
  /** Paths, at most 1000. */
  readonly files?: readonly string[];
  readonly diffSummary?: string;
  readonly error?: string;
  readonly idempotencyKey: string;
}

export interface ListRollbacksInput extends PageInput {
  readonly loopId?: string;
  readonly severity?: RecordRollbackInput['severity'];
}

export interface ListFileChangesInput extends PageInput {
  readonly filePath: string;
}

const fileInput = z.strictObject({
  path: pathText,
  change: z.enum(['added', 'modified', 'deleted', 'renamed']),
  insertions: countInput.default(0),
  deletions: countInput.default(0),
});
const evolutionInput = z.strictObject({
  loopId: idInput,
  cycleNumber: cycleNumberInput,
  files: z
    .array(fileInput)
    .max(1_000)
    .refine((files) => new Set(files.map(({ path }) => path)).size === files.length, 'name a path twice'),
  gitCommit: commitText.optional(),
  artifactId: serialInput.optional(),
  summary: longText.optional(),
});
const severityInput = z.enum(['low', 'medium', 'high', 'critical']);
const rollbackInput = z.strictObject({
  loopId: idInput,
  cycleNumber: cycleNumberInput,
  phase: phaseInput,
  reason: z.enum(['verify_failure', 'manual_intervention', 'timeout', 'conflict']),
  severity: severityInput,
  commit: commitText.optional(),
  preservedBranch: shortText.optional(),
  files: z.array(pathText).max(1_000).default([]),
  diffSummary: longText.optional(),
  error: longText.optional(),
  idempotencyKey: keyInput,
});
const rollbacksInput = z.strictObject({
  loopId: rowIdInput.optional(),
  severity: severityInput.optional(),
  ...pageFields,
});
const changesInput = z.strictObject({ filePath: pathText, ...pageFields });

/**
 * Records what a cycle changed, with its files, once per cycle. A repeat with the same files and commit changes nothing.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.EVOLUTION_RECORDED`, `DEBATE.ARTIFACT_NOT_FOUND`
 */
export async function recordEvolution(debate: Debate, input: RecordEvolutionInput): Promise<Evolution> {
  const values = [newId(), JSON.stringify(readInput(evolutionInput, input))];
  return callFor(debate, 'SELECT * FROM record_evolution($1, $2)', values);
}

const FILES = `SELECT * FROM cycle_file_changes WHERE loop_id = $1 AND cycle_number = $2 ORDER BY file_path COLLATE "C"`;

/**
 * What a cycle changed.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.EVOLUTION_NOT_FOUND`
 */
export async function getEvolution(debate: Debate, input: CycleInput): Promise<EvolutionDetails> {
  const { loopId, cycleNumber } = readInput(cycleInput, input);
  const where = { loop_id: loopId, cycle_number: cycleNumber };
  const found = await findRow<Evolution>(debate, 'cycle_evolution', where);
  if (found === undefined) throw evolutionNotFound({ loopId, cycleNumber });
  const files = await debate.query<Row>({ text: FILES, values: [loopId, cycleNumber] });
  return { ...found, files: files.map((row) => modelOf<FileChange>(row)) };
}

/**
 * Records that a cycle was rolled back, once per key; the first rollback of a cycle marks its evolution as reverted.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.KEY_REUSED`
 */
export async function recordRollback(debate: Debate, input: RecordRollbackInput): Promise<Rollback> {
  const { idempotencyKey, ...body } = readInput(rollbackInput, input);
  return callFor(debate, 'SELECT * FROM record_rollback($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(body)]);
}

/**
 * A page of the rollbacks that match every given field, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listRollbacks(debate: Debate, input: ListRollbacksInput = {}): Promise<Page<Rollback>> {
  const { loopId, severity, limit, cursor } = readInput(rollbacksInput, input);
  return listRows<Rollback>(debate, { table: 'nomic_rollbacks', where: { loop_id: loopId, severity }, limit, cursor });
}

/**
 * A page of the changes of a file, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listFileChanges(debate: Debate, input: ListFileChangesInput): Promise<Page<FileChange>> {
  const { filePath, limit, cursor } = readInput(changesInput, input);
  return listRows<FileChange>(debate, { table: 'cycle_file_changes', where: { file_path: filePath }, limit, cursor });
}
