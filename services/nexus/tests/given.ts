import type { TestDatabase } from '@azora/db-testkit';
import { type InteractionInput, type Nexus, openNexus, recommend, refreshProfiles, type Tracked, track } from '../src';

let made = 0;

/** A name that no other row of the test file has. */
export function fresh(what: string): string {
  made += 1;
  return `${what}-${made}`;
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Nexus[] {
  return Array.from({ length: count }, () => openNexus({ url: db.url, pool: { max: 4, connectTimeoutMs: 60_000 } }));
}

/** Records that a user clicked courses, one after the other. */
export function givenCourses(
  nexus: Nexus,
  userId: string,
  itemIds: readonly string[],
  change: Partial<InteractionInput> = {},
): Promise<Tracked> {
  const interactions = itemIds.map((itemId) => ({ ...click(userId, itemId), ...change }));
  return track(nexus, { interactions });
}

/** A click on a course with a new event. */
export function click(userId: string, itemId: string): InteractionInput {
  return { userId, eventId: fresh('event'), kind: 'click', itemType: 'course', itemId };
}

/** Refreshes until no profile waits. */
export async function refreshAll(nexus: Nexus): Promise<void> {
  while ((await refreshProfiles(nexus)) > 0);
}

/** The ids of the items that are recommended to a user, the best first. */
export async function recommendedTo(nexus: Nexus, userId: string, limit = 10): Promise<readonly string[]> {
  return (await recommend(nexus, { userId, limit })).map(({ itemId }) => itemId);
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}
