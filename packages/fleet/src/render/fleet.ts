import type { SuiteError } from '@azora/db-core';
import type { ServiceRow } from '../operations/fleet';
import { errorData, errorText } from './errors';

/** The rows of a run as data for `--json`. */
export function rowsData<Data>(rows: readonly ServiceRow<Data>[]) {
  return {
    ok: rows.every((row) => row.state === 'done'),
    services: rows.map((row) => {
      if (row.state === 'done') return { service: row.service, state: row.state, ...row.data };
      if (row.state === 'failed') return { service: row.service, state: row.state, error: errorData(row.error) };
      return row;
    }),
  };
}

/** The failures of a run; services that failed for the same reason share a line. */
export function failuresText(rows: readonly ServiceRow<unknown>[]): string {
  const groups = new Map<string, { error: SuiteError; services: string[] }>();
  for (const row of rows) {
    if (row.state !== 'failed') continue;
    const key = `${row.error.code} ${row.error.message}`;
    const group = groups.get(key) ?? { error: row.error, services: [] };
    group.services.push(row.service);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ error, services }) => `${services.join(', ')}: ${errorText(error)}`).join('\n');
}

/** How many services are done, failed and not started, in words. */
export function countsText(rows: readonly ServiceRow<unknown>[]): string {
  const count = (state: ServiceRow<unknown>['state']) => rows.filter((row) => row.state === state).length;
  const parts = [`${count('done')} done`];
  if (count('failed') > 0) parts.push(`${count('failed')} failed`);
  if (count('not-started') > 0) parts.push(`${count('not-started')} not started`);
  return parts.join(', ');
}
