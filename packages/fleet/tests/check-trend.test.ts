/** @server none */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import type { CheckedService } from '../src/operations/check';
import { recordTrend } from '../src/operations/check-trend';
import type { ServiceRow } from '../src/operations/fleet';
import { checkText } from '../src/render/check';

let home = '';
beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), 'azora-test-trend-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const NONE: CheckedService = { references: 1, orphans: [], unchecked: [], problems: [] };
const done = (service: string, data: Partial<CheckedService>): ServiceRow<CheckedService> => ({
  ...{ service, state: 'done', data: { ...NONE, ...data } },
});
const orphans = (count: number) => ({
  orphans: [{ from: 'mint.Wallet.userId', to: 'auth.User.id', count, examples: ['ann@example.com'] }],
});
const logged: string[] = [];
const check = (day: number, ...rows: readonly ServiceRow<CheckedService>[]) =>
  recordTrend(home, rows, new Date(Date.UTC(2026, 0, day)), (line) => logged.push(line));
const changes = (trends: Awaited<ReturnType<typeof check>>) =>
  trends.map(({ finding, change, before, now }) => `${change} ${before} ${now} ${finding}`);
const REFERENCE = 'mint.Wallet.userId → auth.User.id';

it('says of each finding whether it is new, grown, the same, fewer or gone since the last check', async () => {
  expect(await check(1, done('mint', {}))).toEqual([]);
  expect(changes(await check(2, done('mint', orphans(2))))).toEqual([`new 0 2 ${REFERENCE}`]);
  expect(changes(await check(3, done('mint', orphans(5))))).toEqual([`grown 2 5 ${REFERENCE}`]);
  expect(changes(await check(4, done('mint', orphans(5))))).toEqual([`same 5 5 ${REFERENCE}`]);
  expect(changes(await check(5, done('mint', orphans(1))))).toEqual([`fewer 5 1 ${REFERENCE}`]);
  expect(changes(await check(6, done('mint', {})))).toEqual([`gone 1 0 ${REFERENCE}`]);
  expect(await check(7, done('mint', {}))).toEqual([]);
});

it('counts problems that differ only in their values as one finding', async () => {
  await check(1, done('mint', { problems: ['wallet w1 has a balance of 5'], ...orphans(1) }));

  const trends = await check(
    2,
    done('mint', { problems: ['wallet w1 has a balance of 5', 'wallet w2 has a balance of 7'] }),
  );

  expect(changes(trends)).toEqual([`gone 1 0 ${REFERENCE}`, 'grown 1 2 wallet … has a balance of …']);
  await check(3, done('mint', { ...orphans(1) }));
  expect(readFileSync(path.join(home, 'checks', 'last.json'), 'utf8')).not.toMatch(/w1|ann@/);
});

it('keeps what is recorded about services that were not checked, or failed', async () => {
  await check(1, done('mint', orphans(2)), done('story', {}));
  const failed = {
    service: 'mint',
    state: 'failed',
    error: new SuiteError('SERVER.NO_DATABASE', 'No database'),
  } as const;
  expect(await check(2, failed)).toEqual([]);
  expect(await check(3, done('story', {}))).toEqual([]);

  const trends = await check(4, done('mint', orphans(3)));

  expect(trends).toEqual([expect.objectContaining({ change: 'grown', since: '2026-01-01T00:00:00.000Z' })]);
  expect(checkText([done('mint', orphans(3))], trends)).toContain(
    `mint: grown from 2 to 3 since 2026-01-01 00:00 UTC: ${REFERENCE}`,
  );
});

it.each(['', '{', '{"format":2}', '{"format":1,"services":{"mint":{"at":"x","findings":{"a":-1}}}}'])(
  'takes a record that it cannot read for none: %s',
  async (text) => {
    await check(1, done('mint', orphans(2)));
    writeFileSync(path.join(home, 'checks', 'last.json'), text);

    expect(await check(2, done('mint', orphans(3)))).toEqual([]);
    expect(changes(await check(3, done('mint', orphans(3))))).toEqual([`same 3 3 ${REFERENCE}`]);
  },
);

it('tells what it found, and says so, when the findings cannot be recorded', async () => {
  await check(1, done('mint', {}));
  rmSync(path.join(home, 'checks'), { recursive: true });
  writeFileSync(path.join(home, 'checks'), 'a file in the place of the directory');
  logged.length = 0;

  expect(await check(2, done('mint', orphans(2)))).toEqual([]);
  expect(logged).toEqual([expect.stringContaining('the next check cannot compare with this one: ')]);
});
