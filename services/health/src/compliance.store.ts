import { newId } from '@azora/db-core';
import { idInput, textInput, timeInput } from '@azora/db-core/input';
import { cursorInput, microsOf, pageOf, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Health } from './client';
import { readInput } from './errors';
import { $Enums, type Prisma, type Verdict } from './generated/client';
import { bodyHash, jsonInput, keyInput, serviceInput } from './input';
import { Conditions, onlyRow, type Row } from './rows';

const MAX_PAGE = 200;
const DEFAULT_PAGE = 50;

export type ConstitutionalCheck = Omit<Prisma.ConstitutionalLogModel, 'requestKey' | 'requestHash'>;

export interface RecordCheckInput {
  /** The service whose action was checked. */
  readonly service: string;
  /** The action, such as rank-applications. */
  readonly action: string;
  /** The rule: the article of the constitution that the action was checked against. */
  readonly article: string;
  readonly verdict: Verdict;
  /** From 0 (violates the article) to 1 (complies fully). */
  readonly complianceScore: number;
  readonly reasoning: string;
  /** What was checked, such as { type: 'forge.Application', id }. */
  readonly subject?: { readonly type: string; readonly id: string };
  /** The person whom the decision was about. */
  readonly userId?: string;
  /** What the verdict rests on: inputs, scores, versions of models; at most 64 KiB of JSON. */
  readonly evidence?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly idempotencyKey: string;
}

export interface ListChecksInput {
  readonly service?: string;
  readonly article?: string;
  readonly verdicts?: readonly Verdict[];
  readonly subject?: { readonly type: string; readonly id: string };
  readonly userId?: string;
  readonly since?: Date;
  readonly until?: Date;
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

export interface CheckPage {
  /** Newest first. */
  readonly checks: readonly ConstitutionalCheck[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

export interface ComplianceReportInput {
  /** Checks from this time on. */
  readonly since: Date;
  /** Checks before this time; the present when absent. */
  readonly until?: Date;
  readonly service?: string;
}

export interface ComplianceCounts {
  readonly checks: number;
  readonly compliant: number;
  readonly warnings: number;
  readonly violations: number;
  /** The share of checks that are compliant, from 0 to 1; null without checks. */
  readonly complianceRate: number | null;
  /** Null without checks. */
  readonly meanScore: number | null;
}

export interface ComplianceReport extends ComplianceCounts {
  /** Ascending by service. */
  readonly byService: readonly (ComplianceCounts & { readonly service: string })[];
  /** The articles with the most violations first. */
  readonly byArticle: readonly (ComplianceCounts & { readonly article: string })[];
}

const nameInput = textInput(100);
const subjectInput = z.strictObject({ type: nameInput, id: textInput(255) });
const verdict = z.enum($Enums.Verdict);
const recordCheckInput = z.strictObject({
  service: serviceInput,
  action: nameInput,
  article: nameInput,
  verdict,
  complianceScore: z.number().min(0).max(1),
  reasoning: textInput(10_000),
  subject: subjectInput.optional(),
  userId: idInput.optional(),
  evidence: jsonInput.optional(),
  metadata: jsonInput.optional(),
  idempotencyKey: keyInput,
});
const listChecksInput = z.strictObject({
  service: nameInput.optional(),
  article: nameInput.optional(),
  verdicts: z.array(verdict).min(1).optional(),
  subject: subjectInput.optional(),
  userId: idInput.optional(),
  since: timeInput.optional(),
  until: timeInput.optional(),
  limit: z.int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
  cursor: cursorInput.optional(),
});
const complianceReportInput = z.strictObject({
  since: timeInput,
  until: timeInput.optional(),
  service: nameInput.optional(),
});

/**
 * Records that an action was checked against the constitution, once per key, and publishes it. The check never changes.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`, `HEALTH.KEY_REUSED`
 */
export async function recordCheck(health: Health, input: RecordCheckInput): Promise<ConstitutionalCheck> {
  const { idempotencyKey, ...body } = readInput(recordCheckInput, input);
  const rows = await health.query<CheckRow>({
    text: 'SELECT * FROM record_check($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)',
    values: [
      idempotencyKey,
      bodyHash(body),
      newId(),
      body.service,
      body.action,
      body.article,
      body.verdict,
      body.complianceScore,
      body.reasoning,
      body.subject?.type ?? null,
      body.subject?.id ?? null,
      body.userId ?? null,
      body.evidence ?? null,
      body.metadata ?? null,
    ],
  });
  return checkOf(onlyRow(rows));
}

/**
 * A page of the constitutional checks that match every given condition, newest first.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function listChecks(health: Health, input: ListChecksInput = {}): Promise<CheckPage> {
  const { limit, cursor, ...filter } = readInput(listChecksInput, input);
  const conditions = new Conditions(limit + 1)
    .add(filter.service, (service) => `service = ${service}`)
    .add(filter.article, (article) => `article = ${article}`)
    .add(filter.verdicts, (verdicts) => `verdict = ANY (${verdicts}::verdict[])`)
    .add(filter.subject?.type, (type) => `subject_type = ${type}`)
    .add(filter.subject?.id, (id) => `subject_id = ${id}`)
    .add(filter.userId, (userId) => `user_id = ${userId}`)
    .add(filter.since, (since) => `created_at >= ${since}::timestamptz`)
    .add(filter.until, (until) => `created_at < ${until}::timestamptz`);
  conditions.add(cursor?.micros, (micros) => {
    const id = conditions.parameter(cursor?.id);
    return `(created_at, id) < (${timeOfMicros(micros)}, ${id})`;
  });
  const found = await health.query<CheckRow & { readonly micros: string }>({
    text: `SELECT *, ${microsOf('created_at')} AS micros FROM constitutional_logs ${conditions.where}
      ORDER BY created_at DESC, id DESC LIMIT $1`,
    values: conditions.values,
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { checks: rows.map(checkOf), nextCursor };
}

const REPORT = `
  SELECT service, article, grouping(service) = 0 AS of_service, grouping(article) = 0 AS of_article,
    count(*)::int AS checks,
    (count(*) FILTER (WHERE verdict = 'compliant'))::int AS compliant,
    (count(*) FILTER (WHERE verdict = 'warning'))::int AS warnings,
    (count(*) FILTER (WHERE verdict = 'violation'))::int AS violations,
    avg(compliance_score) AS mean_score
  FROM constitutional_logs
  WHERE created_at >= $1::timestamptz AND created_at < coalesce($2::timestamptz, database_time())
    AND ($3::text IS NULL OR service = $3)
  GROUP BY GROUPING SETS ((), (service), (article))
  ORDER BY violations DESC, warnings DESC, service, article`;

/**
 * Counts the checks of a time by verdict: of all, of each service and of each article.
 * @throws {SuiteError} `HEALTH.INVALID_INPUT`
 */
export async function complianceReport(health: Health, input: ComplianceReportInput): Promise<ComplianceReport> {
  const { since, until = null, service = null } = readInput(complianceReportInput, input);
  const rows = await health.queryLong<ReportRow>({ text: REPORT, values: [since, until, service] });
  const total = rows.find((row) => !row.of_service && !row.of_article);
  if (total === undefined) throw new Error('the empty grouping set returned no row');
  return {
    ...countsOf(total),
    byService: rows
      .filter((row) => row.of_service)
      .map((row) => ({ service: row.service ?? '', ...countsOf(row) }))
      .sort((left, right) => (left.service < right.service ? -1 : 1)),
    byArticle: rows.filter((row) => row.of_article).map((row) => ({ article: row.article ?? '', ...countsOf(row) })),
  };
}

interface ReportRow {
  readonly service: string | null;
  readonly article: string | null;
  readonly of_service: boolean;
  readonly of_article: boolean;
  readonly checks: number;
  readonly compliant: number;
  readonly warnings: number;
  readonly violations: number;
  readonly mean_score: number | null;
}

function countsOf({ checks, compliant, warnings, violations, mean_score }: ReportRow): ComplianceCounts {
  const complianceRate = checks === 0 ? null : compliant / checks;
  return { checks, compliant, warnings, violations, complianceRate, meanScore: mean_score };
}

type CheckRow = Row<ConstitutionalCheck>;

export function checkOf(row: CheckRow): ConstitutionalCheck {
  return {
    id: row.id,
    service: row.service,
    action: row.action,
    article: row.article,
    verdict: row.verdict,
    complianceScore: row.compliance_score,
    reasoning: row.reasoning,
    userId: row.user_id,
    metadata: row.metadata,
    createdAt: row.created_at,
    subjectType: row.subject_type,
    subjectId: row.subject_id,
    evidence: row.evidence,
  };
}
