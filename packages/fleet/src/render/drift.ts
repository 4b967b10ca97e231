import { type DriftedService, hasDrift } from '../operations/drift';
import { countOf, type ServiceRow } from '../operations/fleet';
import { failuresText } from './fleet';

/** The differences, with both definitions of each object, the schemas without a migration, and a summary. */
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
            `${row.service}: schema.prisma has changes without a migration; run "azora-db migrate new ${row.service} <slug>"`,
          ]),
    ];
  });
  const compared = rows.filter(({ state }) => state === 'done').length;
  const drifted = rows.filter(hasDrift).length;
  const databases = `${compared < rows.length ? `${compared} of ` : ''}${countOf(rows.length, 'database')} compared`;
  const summary = `${databases}, ${drifted === 0 ? 'no drift' : `drift in ${drifted}`}`;
  return [...lines, failuresText(rows), summary].filter((text) => text !== '').join('\n');
}
