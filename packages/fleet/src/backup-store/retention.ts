/** How many sets to keep of each kind. */
export interface Retention {
  /** The newest sets, regardless of their age. */
  readonly last: number;
  /** The newest set of each of the last days, ISO 8601 weeks and months that have a set, in UTC. */
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

export interface DatedSet {
  readonly id: string;
  readonly startedAt: string;
}

const DAY_MS = 86_400_000;

/** The ids of the sets to keep, newest first. */
export function keptSets(sets: readonly DatedSet[], { last, daily, weekly, monthly }: Retention): readonly string[] {
  const newestFirst = sets.toSorted((left, right) => (left.startedAt < right.startedAt ? 1 : -1));
  const kept = new Set(newestFirst.slice(0, last).map(({ id }) => id));
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
      kept.add(id);
    }
  }
  return newestFirst.map(({ id }) => id).filter((id) => kept.has(id));
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
