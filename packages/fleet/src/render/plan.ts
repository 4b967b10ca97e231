import { countOf, type ServiceRow } from '../operations/fleet';
import type { PlannedLock, PlannedService, PlannedStep } from '../operations/plan';
import { describeLoss } from '../postgres/analysis/losses';
import { failuresText } from './fleet';

/** The plan: one block per migration, then the failures and a summary. */
export function planText(rows: readonly ServiceRow<PlannedService>[], { sql }: { readonly sql?: boolean }): string {
  const steps = rows.flatMap((row) =>
    row.state === 'done' ? row.data.steps.map((step) => stepText(row.service, step, sql === true)) : [],
  );
  const count = steps.length;
  const services = rows.filter((row) => row.state === 'done' && row.data.steps.length > 0).length;
  const summary =
    count === 0
      ? 'nothing to run'
      : `${countOf(count, 'migration')} to run on ${services} of ${countOf(rows.length, 'database')}`;
  return [...steps, failuresText(rows), summary].filter((text) => text !== '').join('\n');
}

function stepText(service: string, step: PlannedStep, withSql: boolean): string {
  const lost = step.losses.filter(({ hit }) => hit).map((loss) => `  loses   ${describeLoss(loss)}`);
  return [
    `${service}: ${step.name}${step.transactional ? '' : ' (outside of a transaction)'}`,
    ...step.locks.map(lockText),
    ...lost,
    ...step.needsNoRows.map((why) => `  fails   on a table with rows: ${why}`),
    ...(withSql ? [step.sql.trim().replaceAll(/^/gm, '  | ')] : []),
  ].join('\n');
}

const WORK = { scan: ', reads every row', rewrite: ', rewrites every row' };

function lockText({ table, lock, work, rows }: PlannedLock): string {
  const size = rows === undefined ? '' : ` (about ${countOf(rows, 'row')})`;
  return `  locks   ${table}${size} ${lock}${work === undefined ? '' : WORK[work]}`;
}
