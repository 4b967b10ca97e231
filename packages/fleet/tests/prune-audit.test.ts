import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import { useDatabase } from '@azora/db-testkit';
import { openAnchorStore } from '../src/backup-store/audit-anchors';
import { findServices } from '../src/config/registry';
import { isDamaged, pruneFleet } from '../src/operations/prune';
import { anchorAuditLog } from '../src/postgres/prune/audit-log';
import type { ModelSchema } from '../src/schema/model';
import { readSchemaModel } from '../src/schema/schema-model';
import { findEveryMutation, givenEntries } from './audit-fixture';
import { REPOSITORY_ROOT } from './suite-fixture';

const AGES = [120, 110, 100, 30, 20, 10];

describe('prune of a chained audit log', () => {
  const db = useDatabase('auth');
  let models: readonly ModelSchema[];
  let directory: string;

  beforeAll(async () => {
    const auth = (await findServices(REPOSITORY_ROOT)).filter(({ name }) => name === 'auth');
    const [schema] = (await readSchemaModel(auth)).services;
    models = (schema?.models ?? []).filter(({ table }) => table === 'audit_log');
  });
  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'azora-anchors-'));
    await db().admin('DELETE FROM audit_anchors');
  });
  afterEach(() => rm(directory, { recursive: true }));

  const prune = async (yes = true, auditDays?: number) => {
    const anchors = await openAnchorStore(directory, 'key', {});
    const [row] = await pruneFleet([db().target], { yes, modelsOf: () => models, auditDays, anchors }, {});
    if (row === undefined) throw new Error('no row');
    return row;
  };
  const codeOf = async () => {
    const row = await prune();
    return row.state === 'failed' ? row.error.code : row.state;
  };
  const seqsOf = async (userId: string) =>
    (await db().admin('SELECT seq FROM audit_log WHERE user_id = $1 ORDER BY seq', [userId])).map(({ seq }) =>
      Number(seq),
    );
  const newest = async () => {
    const anchor = await (await openAnchorStore(directory, 'key', {})).newest('auth');
    if (anchor === undefined) throw new Error('no anchor');
    return anchor;
  };
  const tamper = (sql: string, userId: string) =>
    withClient(db().target.admin, async (client) => {
      await client.query('SET session_replication_role = replica');
      await client.query(sql, [userId]);
    });

  it('lists old entries, and deletes them up to the first one to keep', async () => {
    const userId = await givenEntries(db(), AGES);

    expect(await prune(false)).toMatchObject({ data: { tables: [{ table: 'audit_log', days: 90, deleted: null }] } });
    expect(await seqsOf(userId)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await readdir(directory)).toEqual([]);
    await prune(true, 115);
    expect(await seqsOf(userId)).toEqual([2, 3, 4, 5, 6]);
    expect(await prune()).toMatchObject({ state: 'done', data: { audit: { count: 0 }, tables: [{ isBusy: false }] } });
    expect(await seqsOf(userId)).toEqual([4, 5, 6]);
    await db().app("INSERT INTO audit_log (id, user_id, action) VALUES ($1 || '-new', $1, 'X')", [userId]);
    expect(await prune()).toMatchObject({ data: { audit: { count: 0 }, tables: [{ deleted: 0 }] } });
    expect(await newest()).toMatchObject({ service: 'auth', generation: 3, signature: expect.any(String) });
  });

  it('finds every one of 300 random changes after a pruning', async () => {
    const accounts = [await givenEntries(db(), AGES), await givenEntries(db(), AGES), await givenEntries(db(), AGES)];
    await prune();

    await findEveryMutation(db(), accounts, await newest(), 300);
  });

  it('raises no alarm after a pruning that was killed at any point', async () => {
    const [one, two] = [await givenEntries(db(), AGES), await givenEntries(db(), [99, 98])];
    // Before the copy outside was written, for the first generation and for a later one.
    await withClient(db().target.admin, (client) => anchorAuditLog(client, 1, 90));
    await prune(true, 365);
    await withClient(db().target.admin, (client) => anchorAuditLog(client, 2, 90));
    await prune(true, 119);
    const { generation } = await newest();
    const made = await withClient(db().target.admin, (client) => anchorAuditLog(client, generation + 1, 90));
    await (await openAnchorStore(directory, 'key', {})).write({ service: 'auth', ...made });
    // Between two batches.
    await db().admin('SELECT prune_audit_log($1::bigint, 1)', [made.generation]);
    await givenEntries(db(), [200]);

    expect(await prune()).toMatchObject({ state: 'done', data: { audit: { count: 0 } } });
    expect([await seqsOf(one), await seqsOf(two)]).toEqual([[4, 5, 6], []]);
  });

  it('deletes nothing of a damaged log, and says where the damage is', async () => {
    const userId = await givenEntries(db(), AGES);
    await prune(true, 365);
    await tamper("UPDATE audit_log SET action = 'FORGED' WHERE user_id = $1 AND seq = 5", userId);

    const row = await prune();
    expect(isDamaged(row)).toBe(true);
    expect(row).toMatchObject({
      data: { audit: { count: 1, faults: [{ account: userId, seq: 5, fault: 'changed' }] }, tables: [{ deleted: 0 }] },
    });
    expect(await seqsOf(userId)).toEqual([1, 2, 3, 4, 5, 6]);
    await tamper("UPDATE audit_log SET action = 'USER_LOGIN' WHERE user_id = $1 AND seq = 5", userId);
    expect(isDamaged(await prune())).toBe(false);
  });

  it('refuses anchors that were changed, removed or forged', async () => {
    await givenEntries(db(), AGES);
    await prune(true, 365);
    await prune(true, 365);
    const file = path.join(directory, 'auth-0000000002.json');
    const text = await readFile(file, 'utf8');

    await writeFile(file, text.replace(/"chains": \d+/, '"chains": 9999'));
    expect(await codeOf()).toBe('AUDIT.BAD_ANCHOR');
    await rm(path.join(directory, 'auth-0000000001.json'));
    await rm(file);
    expect(await codeOf()).toBe('AUDIT.NO_ANCHOR');
    await writeFile(file, text);
    await db().admin('UPDATE audit_anchors SET head_hash = pruned_hash');
    expect(await codeOf()).toBe('AUDIT.ANCHORS_DIFFER');
  });

  it('loses no entry of writers that work at the same time', async () => {
    const userId = await givenEntries(db(), AGES);
    const write = (n: number) =>
      db().app("INSERT INTO audit_log (id, user_id, action) VALUES ($1 || '-by-' || $2::text, $1, 'X')", [userId, n]);

    await Promise.all([prune(), ...Array.from({ length: 20 }, (_, n) => write(n))]);
    expect(await seqsOf(userId)).toEqual(Array.from({ length: 23 }, (_, n) => n + 4));
    expect(await prune()).toMatchObject({ data: { audit: { count: 0 } } });
  });

  it.each([
    'SELECT prune_audit_log(1::bigint, 10)',
    "SELECT anchor_audit_log(9, interval '90 days')",
    'DELETE FROM audit_anchors',
    'UPDATE audit_anchors SET pruned_to = 0',
    "INSERT INTO audit_anchors VALUES (9, 'x', 0, repeat('0', 64), 0, repeat('0', 64), true)",
  ])('refuses the app role: %s', async (sql) => {
    await givenEntries(db(), [100]);
    await withClient(db().target.admin, (client) => anchorAuditLog(client, 1, 90));

    await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
  });
});
