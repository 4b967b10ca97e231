import type { TestDatabase } from '@azora/db-testkit';
import { EVENTS, type HealthReport, type NewLogLine, type RecordCheckInput } from '../src';

export const line = (message: string, fields: Partial<NewLogLine> = {}): NewLogLine => ({
  service: 'mint',
  message,
  ...fields,
});

export const check = (idempotencyKey: string, fields: Partial<RecordCheckInput> = {}): RecordCheckInput => ({
  service: 'forge',
  action: 'rank-applications',
  article: 'Article 7: fairness',
  verdict: 'warning',
  complianceScore: 0.7,
  reasoning: 'The place of residence influenced the ranking.',
  idempotencyKey,
  ...fields,
});

export const report = (fields: Partial<HealthReport> = {}): HealthReport => ({
  serviceName: 'mint',
  port: 4008,
  status: 'running',
  ...fields,
});

/** The name of an event without service and version, and its data, which must match its declaration. */
export async function publishedIn(db: TestDatabase): Promise<readonly (readonly [string, unknown])[]> {
  const rows = await db.admin('SELECT type, key, payload FROM outbox ORDER BY position');
  return rows.map(({ type, key, payload }) => {
    const event = EVENTS.find((known) => known.type === type);
    if (event === undefined) throw new Error(`No event is declared as ${type}`);
    const data = event.data.parse(payload) as { readonly serviceName?: string; readonly service?: string };
    expect(key).toBe(data.serviceName ?? data.service);
    return [String(type).replace(/^health\.(.*)\.v1$/, '$1'), data] as const;
  });
}

/** The months that have a partition, such as 2026-11. */
export async function monthsOf(db: TestDatabase): Promise<readonly string[]> {
  const rows = await db.admin(`SELECT to_char(to_date(relname, '"logs_"YYYY_MM'), 'YYYY-MM') AS month
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'logs'::regclass ORDER BY 1`);
  return rows.map(({ month }) => String(month));
}
