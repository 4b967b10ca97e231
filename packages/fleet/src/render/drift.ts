import { countOf } from '../operations/count';
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
  const compared = rows.filter(({ state }) => state === 'done').length;
  const drifted = rows.filter(hasDrift).length;
  const databases = `${compared < rows.length ? `${compared} of ` : ''}${countOf(rows.length, 'database')} compared`;
  const summary = `${databases}, ${drifted === 0 ? 'no drift' : `drift in ${drifted}`}`;
  return [...lines, failuresText(rows), summary].filter((text) => text !== '').join('\n');
}
