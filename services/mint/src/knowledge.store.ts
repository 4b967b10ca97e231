import { createHash } from 'node:crypto';
import { newId, requestHash } from '@azora/db-core';
import { idInput, rowIdInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { readInput } from './errors';
import { $Enums, type MiningActivity, Prisma } from './generated/client';
import { keyInput } from './input';
import { KNOWLEDGE_SCHEDULE } from './knowledge-schedule';
import { type FractionInput, fractionInput } from './rates';
import { type MiningRecord, onlyRow, type Row } from './rows';

/** Characters or bytes of a proof. For a longer document the caller can submit a hash. */
const MAX_PROOF_LENGTH = 1_000_000;
const SCORE_PLACES = 4;

export interface SubmitKnowledgeInput {
  /** The learner's wallet in AZR. */
  readonly walletId: string;
  readonly activity: MiningActivity;
  /** An education.Course. */
  readonly courseId?: string;
  /** Evidence of the learning, at most 1,000,000 characters or bytes; only its SHA-256 is stored. */
  readonly proof: string | Uint8Array;
  /** From 0 to 1, at most 4 decimals. */
  readonly knowledgeScore: FractionInput;
  readonly idempotencyKey: string;
}

const submitKnowledgeInput = z.strictObject({
  walletId: rowIdInput,
  activity: z.enum($Enums.MiningActivity),
  courseId: idInput.optional(),
  proof: z.union([
    textInput(MAX_PROOF_LENGTH),
    z.instanceof(Uint8Array).refine(({ length }) => length > 0 && length <= MAX_PROOF_LENGTH, 'is empty or too long'),
  ]),
  knowledgeScore: fractionInput(SCORE_PLACES),
  idempotencyKey: keyInput,
});

/**
 * Evaluates a proof of knowledge by KNOWLEDGE_SCHEDULE and pays its reward in AZR from the treasury, once per key and once
 * per wallet, activity and proof. The record is stored as `rejected`, with its reason and without a payment, if the score is
 * below the minimum, the reward would exceed the cap of the wallet for the database's UTC day, or the reward rounds to 0. A rejected proof can be
 * submitted again with a new key.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.KEY_REUSED`, `MINT.PROOF_REWARDED`, `MINT.WALLET_NOT_FOUND`,
 *   `MINT.WALLET_CLOSED`, `MINT.SYSTEM_WALLET`, `MINT.CURRENCY_MISMATCH`, `MINT.BALANCE_LIMIT`
 */
export async function submitKnowledge(mint: Mint, input: SubmitKnowledgeInput): Promise<MiningRecord> {
  const { idempotencyKey, proof, ...asked } = readInput(submitKnowledgeInput, input);
  const proofHash = createHash('sha256').update(proof).digest('hex');
  const { walletId, activity, courseId = null, knowledgeScore } = asked;
  const hash = requestHash({ ...asked, proofHash });
  const rows = await mint.query<Row<MiningRecord>>({
    text: 'SELECT * FROM submit_knowledge($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
    values: [
      idempotencyKey,
      hash,
      newId(),
      newId(),
      walletId,
      activity,
      courseId,
      proofHash,
      knowledgeScore,
      JSON.stringify(termsOf(activity)),
    ],
  });
  return miningRecordOf(onlyRow(rows));
}

function termsOf(activity: MiningActivity) {
  const { activities, ...terms } = KNOWLEDGE_SCHEDULE;
  return { ...terms, ...activities[activity] };
}

function miningRecordOf(row: Row<MiningRecord>): MiningRecord {
  return {
    id: row.id,
    walletId: row.wallet_id,
    activity: row.activity,
    courseId: row.course_id,
    proofHash: row.proof_hash,
    knowledgeScore: new Prisma.Decimal(row.knowledge_score),
    difficulty: new Prisma.Decimal(row.difficulty),
    reward: new Prisma.Decimal(row.reward),
    status: row.status,
    rejection: row.rejection,
    transactionId: row.transaction_id,
    decidedAt: row.decided_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
