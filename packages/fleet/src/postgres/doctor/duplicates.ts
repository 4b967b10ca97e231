import type { Finding } from './finding';
import { dropStatement, type IndexRow } from './index-row';

/**
 * Indexes that another one of the same table makes superfluous: equal in everything (a warning), or a plain B-tree whose
 * columns are the first of another plain one (a note). The better of two equals stays: primary key, constraint, unique.
 */
export function duplicateFindings(indexes: readonly IndexRow[]): readonly Finding[] {
  // What belongs to partitions comes and goes with the parent's index.
  const ranked = indexes.filter(({ valid, partitioned }) => valid && !partitioned).sort(byRank);
  const kept: IndexRow[] = [];
  const findings: Finding[] = [];
  for (const index of ranked) {
    const twin = kept.find((other) => isSame(index, other));
    if (twin === undefined) kept.push(index);
    else findings.push(finding(index, 'warning', `is the same as ${twin.name}`));
  }
  for (const index of kept) {
    const wider = kept.find((other) => isPrefix(index, other));
    if (wider !== undefined) findings.push(finding(index, 'note', `is the beginning of ${wider.name}`));
  }
  return findings;
}

function byRank(left: IndexRow, right: IndexRow): number {
  const weight = ({ primary, constraint, unique }: IndexRow) =>
    (primary ? 4 : 0) + (constraint === null ? 0 : 2) + (unique ? 1 : 0);
  return weight(right) - weight(left) || (left.name < right.name ? -1 : 1);
}

/** `other` ranks higher, so whatever `index` guards, the other guards too, unless their rules differ. */
function isSame(index: IndexRow, other: IndexRow): boolean {
  if (index.exclusion || (index.unique && (!other.unique || index.rule !== other.rule))) return false;
  return isAlike(index, other) && sameList(index.keys, other.keys) && sameList(index.included, other.included);
}

function isPrefix(index: IndexRow, other: IndexRow): boolean {
  if (index === other || index.method !== 'btree' || index.included.length > 0) return false;
  if ([index, other].some(({ unique, constraint }) => unique || constraint !== null)) return false;
  const { length } = index.keys;
  return isAlike(index, other) && length < other.keys.length && sameList(index.keys, other.keys.slice(0, length));
}

function isAlike(index: IndexRow, other: IndexRow): boolean {
  return index.table === other.table && index.method === other.method && index.predicate === other.predicate;
}

function sameList(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((item, place) => item === right[place]);
}

function finding(index: IndexRow, level: Finding['level'], message: string): Finding {
  return {
    check: 'duplicate-index',
    level,
    object: `${index.table}.${index.name}`,
    message: `${message}: every write pays for both`,
    next: `Take it out of the schema and, in a migration, ${dropStatement(index)}`,
  };
}
