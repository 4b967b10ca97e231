/** How many sets to keep of each kind, for each database. */
export interface Retention {
  /** The newest sets, regardless of their age. */
  readonly last: number;
  /** The newest set of each of the last days, ISO 8601 weeks and months that have a set, in UTC. */
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

/** A set and its worth as a copy of its databases. */
export interface RetainedSet {
  readonly id: string;
  readonly startedAt: string;
  /** The services whose databases it holds; empty when its manifest cannot be read. */
  readonly services: readonly string[];
  /** A masked set does not replace an unmasked one. */
  readonly masked: boolean;
  /**
   * `unreadable` when the manifest is damaged, or when a newer version of the suite wrote it; `future` when the set claims to
   * begin later than now.
   */
  readonly state: 'verified' | 'unverified' | 'failed' | 'unreadable' | 'future';
}

const DAY_MS = 86_400_000;

/**
 * The ids of the sets to keep, newest first. The retention applies to each database by itself: a set of one database does
 * not displace sets of the others. Neither does a masked set, a set that failed its verification, or an unreadable set
 * displace another one. The newest verified set of each database is always kept, and so is a set whose time cannot be true.
 */
export function keptSets(sets: readonly RetainedSet[], retention: Retention): readonly string[] {
  const newestFirst = sets.toSorted((left, right) => (left.startedAt < right.startedAt ? 1 : -1));
  const unreadable = newestFirst.filter(({ state }) => state === 'unreadable');
  const future = newestFirst.filter(({ state }) => state === 'future').map(({ id }) => id);
  const kept = new Set([...future, ...keptCopies(unreadable, retention)]);
  const services = new Set(newestFirst.flatMap((set) => set.services));
  for (const masked of [false, true]) {
    for (const service of services) {
      const copies = newestFirst.filter(
        (set) => set.state !== 'future' && set.masked === masked && set.services.includes(service),
      );
      const usable = copies.filter(({ state }) => state !== 'failed');
      const verified = copies.find(({ state }) => state === 'verified');
      // Parts of a set that failed may still be restored, so the only copies of a database are kept.
      for (const id of keptCopies(usable.length > 0 ? usable : copies, retention)) kept.add(id);
      if (verified !== undefined) kept.add(verified.id);
    }
  }
  return newestFirst.map(({ id }) => id).filter((id) => kept.has(id));
}

/** The ids that a retention keeps of the copies of one database, which come newest first. */
function keptCopies(
  newestFirst: readonly RetainedSet[],
  { last, daily, weekly, monthly }: Retention,
): readonly string[] {
  const kept = newestFirst.slice(0, last).map(({ id }) => id);
  for (const [count, periodOf] of [
    [daily, dayOf],
    [weekly, weekOf],
    [monthly, monthOf],
  ] as const) {
    const seen = new Set<string>();
    for (const { id, startedAt } of newestFirst) {
      const period = periodOf(new Date(startedAt));
      if (seen.has(period)) continue;
      if (seen.size === count) break;
      seen.add(period);
      kept.push(id);
    }
  }
  return kept;
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function monthOf(date: Date): string {
  return date.toISOString().slice(0, 7);
}

/** The Monday on which the week begins. */
function weekOf(date: Date): string {
  const sinceMonday = (date.getUTCDay() + 6) % 7;
  return dayOf(new Date(date.getTime() - sinceMonday * DAY_MS));
}
