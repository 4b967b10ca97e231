import { defineCheck, type Patient } from './check';
import { duplicateFindings } from './duplicates';
import type { Finding } from './finding';
import { dropStatement, INDEXES, type IndexRow } from './index-row';

/** Every index is valid, and none costs writes without serving reads. */
export const checkIndexes = defineCheck<IndexRow>({
  sql: INDEXES,
  judge: (indexes, patient) => [
    ...indexes.flatMap(invalidFinding),
    ...duplicateFindings(indexes),
    ...indexes.filter((index) => isUnused(index, patient)).map(unusedFinding),
  ],
});

function invalidFinding(index: IndexRow): readonly Finding[] {
  if (index.valid || index.inProgress) return [];
  return [
    {
      check: 'invalid-index',
      level: 'error',
      object: `${index.table}.${index.name}`,
      message: 'is invalid: its build failed, no query uses it, and every write still pays for it',
      next: `${dropStatement(index)}, and build it again`,
    },
  ];
}

function isUnused(index: IndexRow, { limits }: Patient): boolean {
  if (index.unique || index.constraint !== null || !index.valid || index.partitioned) return false;
  return (
    index.scans === 0 &&
    index.tableScans > limits.unusedIndexTableScans &&
    index.bytes > limits.unusedIndexBytes &&
    index.countedMs > limits.statisticsAgeMs
  );
}

function unusedFinding(index: IndexRow): Finding {
  const megabytes = (index.bytes / 1024 ** 2).toFixed(1);
  return {
    check: 'unused-index',
    level: 'note',
    object: `${index.table}.${index.name}`,
    message: `takes ${megabytes} MB and served none of ${index.tableScans} reads of its table`,
    next: `Unless standbys use it, take it out of the schema and, in a migration, ${dropStatement(index)}`,
  };
}
