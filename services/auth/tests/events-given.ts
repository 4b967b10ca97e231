import type { TestDatabase } from '@azora/db-testkit';

/** An event in the outbox. */
export interface Published {
  readonly type: string;
  readonly key: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** The events in the outbox after the given number of them, in the order of their positions. */
export async function publishedAfter(db: TestDatabase, count: number): Promise<readonly Published[]> {
  const rows = await db.admin('SELECT type, key, payload FROM outbox ORDER BY position OFFSET $1', [count]);
  return rows as unknown as readonly Published[];
}

export async function countPublished(db: TestDatabase): Promise<number> {
  const [row] = await db.admin('SELECT count(*)::int AS events FROM outbox');
  return Number(row?.['events']);
}

/** The names of events without service and version. */
export function namesOf(events: readonly Published[]): readonly string[] {
  return events.map(({ type }) => type.replace(/^[a-z]+\.(.*)\.v1$/, '$1'));
}
