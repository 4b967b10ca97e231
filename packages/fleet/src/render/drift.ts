import type { DriftedService } from '../operations/drift';
import type { ServiceRow } from '../operations/fleet';
import { failuresText } from './fleet';

export function hasDrift(row: ServiceRow<DriftedService>): boolean {
  return row.state === 'done' && (row.data.changes.length > 0 || row.data.unwritten !== '');
}

/** What differs, a line per object with both definitions, and what no migration says yet. */
export function driftText(rows: readonly ServiceRow<DriftedService>[]): string {
  const lines = rows.flatMap((row) => {
    if (row.state !== 'done') return [];
    const { changes, unwritten } = row.data;
    return [
      ...changes.flatMap(({ kind, object, change, expected, actual }) => [
        `${row.service}: ${kind} ${object} is ${change}`,
        ...(expected === undefined ? [] : [`  migrations  ${expected}`]),
        ...(actual === undefined ? [] : [`  database    ${actual}`]),
      ]),
      ...(unwritten === ''
        ? []
        : [
            `${row.service}: schema.prisma is ahead of its migrations; run "azora-db migrate new ${row.service} <slug>"`,
          ]),
    ];
  });
  const drifted = rows.filter(hasDrift).length;
  const summary =
    drifted === 0 ? `${rows.length} databases, no drift` : `${drifted} of ${rows.length} databases differ`;
  return [...lines, failuresText(rows), summary].filter((text) => text !== '').join('\n');
}
