import type { SuiteError } from '@azora/db-core';
import type { ServiceRow } from '../operations/fleet';

/** An error for a person: the message, the reason, the next step and the code, then the place of its documentation. */
export function errorText(error: SuiteError): string {
  return `${errorLine(error)}\n${docsLine(error)}`;
}

function errorLine(error: SuiteError): string {
  const parts = [sentence(error.message), error.why ?? '', error.next === undefined ? '' : `→ ${error.next}`];
  return `error: ${parts.filter((part) => part !== '').join(' ')} [${error.code}]`;
}

function docsLine(error: SuiteError): string {
  return `See ${docsOf(error)}`;
}

/** The row of an error in the list of errors, as a path in the checkout, so that it also leads there offline. */
function docsOf({ code }: SuiteError): string {
  return `docs/errors.md#${code}`;
}

/** An error as data for `--json`. */
export function errorData(error: SuiteError) {
  const { code, message, why = null, next = null, meta } = error;
  return { code, message, why, next, meta, docs: docsOf(error) };
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

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

/** The failures of a run, then where their errors are documented. Services that failed for the same reason share a line. */
export function failuresText(rows: readonly ServiceRow<unknown>[]): string {
  const groups = new Map<string, { error: SuiteError; services: string[] }>();
  for (const row of rows) {
    if (row.state !== 'failed') continue;
    const key = `${row.error.code} ${row.error.message}`;
    const group = groups.get(key) ?? { error: row.error, services: [] };
    group.services.push(row.service);
    groups.set(key, group);
  }
  const failures = [...groups.values()];
  const lines = failures.map(({ error, services }) => `${services.join(', ')}: ${errorLine(error)}`);
  return [...lines, ...new Set(failures.map(({ error }) => docsLine(error)))].join('\n');
}

/** The numbers of services by their state: `12 done, 1 failed, 1 not started`. */
export function countsText(rows: readonly Pick<ServiceRow<unknown>, 'state'>[]): string {
  const count = (state: ServiceRow<unknown>['state']) => rows.filter((row) => row.state === state).length;
  const parts = [`${count('done')} done`];
  if (count('failed') > 0) parts.push(`${count('failed')} failed`);
  if (count('interrupted') > 0) parts.push(`${count('interrupted')} interrupted`);
  if (count('not-started') > 0) parts.push(`${count('not-started')} not started`);
  return parts.join(', ');
}
