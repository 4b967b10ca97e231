import { type CheckedService, hasFindings } from '../operations/check';
import type { Trend } from '../operations/check-trend';
import { countOf, doneRows, type ServiceRow } from '../operations/fleet';
import type { Orphans } from '../operations/references';
import type { VectorRecall } from '../postgres/dump/vector-recall';
import { countsText, failuresText, rowsData } from './fleet';

/** The result of `check` as data for `--json`; `recorded` is the number of databases whose state was recorded in health. */
export function checkData(rows: readonly ServiceRow<CheckedService>[], trends: readonly Trend[], recorded?: number) {
  const data = rowsData(rows);
  return { ...data, ok: data.ok && !rows.some(hasFindings), trends, ...(recorded === undefined ? {} : { recorded }) };
}

/** A line for each finding and each reference that could not be checked, the failures, and a summary. */
export function checkText(
  rows: readonly ServiceRow<CheckedService>[],
  trends: readonly Trend[],
  recorded?: number,
): string {
  const done = doneRows(rows);
  const sum = (of: (data: CheckedService) => number) => done.reduce((total, { data }) => total + of(data), 0);
  const orphans = sum((data) => data.orphans.reduce((total, { count }) => total + count, 0));
  const problems = sum((data) => data.problems.length);
  const parts = [
    `${countOf(
      sum((data) => data.references),
      'reference',
    )} checked`,
    orphans === 0 ? 'all ids exist' : `${countOf(orphans, 'id')} missing`,
    ...(problems === 0 ? [] : [`${countOf(problems, 'problem')} found by checks.sql`]),
  ];
  const lines = [
    ...done.flatMap(({ data }) => data.orphans.map(orphansText)),
    ...done.flatMap(({ service, data }) => data.problems.map((problem) => `${service}: ${problem}`)),
    ...done.flatMap(({ service, data }) => (data.recall ?? []).map((measured) => recallText(service, measured))),
    ...done.flatMap(({ data }) => data.unchecked.map(({ from, to, why }) => `${from} → ${to}: not checked. ${why}`)),
    ...trends.filter(({ change }) => change !== 'same').map(trendText),
    failuresText(rows),
    ...(orphans === 0
      ? []
      : ['Next: insert the missing rows, or remove the rows that refer to them; "npx azora-db studio" shows both']),
    `${countsText(rows)}; ${parts.join(', ')}`,
    ...(recorded === undefined ? [] : [`recorded the state of ${countOf(recorded, 'database')} in health`]),
  ];
  return lines.filter((line) => line !== '').join('\n');
}

function recallText(service: string, { index, recall }: VectorRecall): string {
  return `${service}: searches by ${index} find ${(recall * 100).toFixed(1)} % of the nearest vectors`;
}

/** `mint: grown from 2 to 5 since 2026-01-31 03:30 UTC: mint.Wallet.userId → auth.User.id`. */
function trendText({ service, finding, change, before, now, since }: Trend): string {
  const how =
    change === 'new' || change === 'gone'
      ? change
      : `${change === 'grown' ? 'grown' : 'down'} from ${before} to ${now}`;
  return `${service}: ${how} since ${since.slice(0, 16).replace('T', ' ')} UTC: ${finding}`;
}

/** `mint.Wallet.userId: 2 ids do not exist in auth.User.id, such as a, b`. */
export function orphansText({ from, to, count, examples }: Orphans): string {
  const verb = count === 1 ? 'does' : 'do';
  return `${from}: ${countOf(count, 'id')} ${verb} not exist in ${to}${count > examples.length ? ', such as' : ':'} ${examples.join(', ')}`;
}
