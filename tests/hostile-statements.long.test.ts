import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { quoteIdentifier } from '@azora/db-core';
import { repositoryRoot, type TestDatabase, useDatabase } from '@azora/db-testkit';
import { seedContext } from '../prisma/personas';
import { seedBase } from '../prisma/service-seed';
import { objectsOf, Psql, SUCCESS, statementsOf, stateOf } from './hostile-fixture';
import { HOSTILE, HOSTILE_TO } from './hostile-statements';

const NAMES = readdirSync(path.join(repositoryRoot(), 'services')).sort();
const CONTEXT = seedContext(new Date('2026-06-01'), NAMES, repositoryRoot());
const hasPsql = spawnSync('psql', ['--version']).status === 0;
const skipped = hasPsql ? '' : ' (skipped: psql is missing)';

describe.each(NAMES)('the app role of %s', (name) => {
  const db = useDatabase(name);
  const other = useDatabase(name === 'workflow' ? 'story' : 'workflow');
  const audit = name === 'auth' ? 'audit_log' : 'audit_logs';
  /** The single role of a companion is its administrator, so nothing can be refused. */
  const cannotRun = () => !hasPsql || db().target.server === 'companion';

  it(`breaks no rule by statements of its own${skipped}`, async () => {
    if (cannotRun()) return;
    const { seed } = await import(`@azora/${name}/seed`);
    await seedBase(seed, db().target.admin.href, CONTEXT);
    await db().app(`INSERT INTO ${audit} (id, action) SELECT 'hostile-' || n, 'X' FROM generate_series(1, 3) AS n`);

    // The first call of a day adds a bookmark.
    await db().app("SELECT prune_outbox('1:1:', '1 day', 1)");

    expect(await attack(db(), audit, name)).toEqual([]);
    expect(
      await db().admin(
        `SELECT id FROM ${audit} WHERE id LIKE 'hostile-%' AND abs(extract(epoch FROM created_at - now())) > 3600`,
      ),
    ).toEqual([]);
    expect(await brokenRules(name, db().url)).toEqual([]);
  });

  it(`cannot connect to the database of another service${skipped}`, () => {
    if (cannotRun()) return;
    const url = new URL(db().url);
    url.pathname = `/${other().target.database}`;
    const tried = spawnSync('psql', ['-X', '-d', url.href, '-c', 'SELECT 1'], { encoding: 'utf8' });

    expect(tried.stderr).toContain('permission denied for database');
  });

  it('reaches no function with more rights that looks for names in pg_temp first, or that PUBLIC may call', async () => {
    // Trigger functions as well, and the functions that one of them calls: they decide for the tables.
    const functions = await db().admin(`
      WITH own AS (
        SELECT * FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prolang <> 13
          AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
      ), judged AS (SELECT * FROM own WHERE prosecdef OR prorettype = 'trigger'::regtype)
      SELECT proname::text AS name FROM own
      WHERE (oid IN (SELECT oid FROM judged)
          OR EXISTS (SELECT FROM judged WHERE judged.prosrc ~ ('\\m' || own.proname || '"?\\s*\\(')))
        AND NOT coalesce(proconfig, '{}') @> '{"search_path=pg_catalog, public, pg_temp"}'
        -- These use neither a table nor a type of the database.
        AND (prosecdef OR regexp_replace(prosrc, 'extract\\(\\w+ FROM', '', 'g') ~ '(FROM|INTO|UPDATE|JOIN)\\s+"?[a-z]')
      UNION ALL
      SELECT 'PUBLIC: ' || proname FROM own WHERE prosecdef AND has_function_privilege('public', oid, 'EXECUTE')`);
    const isCompanion = db().target.server === 'companion';

    expect(functions.filter((it) => !isCompanion || !String(it['name']).startsWith('PUBLIC'))).toEqual([]);
  });
});

/** Sends every statement, and returns what was not answered as the table says or changed more than it says. */
async function attack(db: TestDatabase, audit: string, name: string): Promise<readonly string[]> {
  const objects = await objectsOf(db);
  const names = {
    audit,
    service: name,
    app: quoteIdentifier(db.target.role),
    app_name: db.target.role,
    admin: quoteIdentifier(objects.admin),
    db: quoteIdentifier(db.target.database),
  };
  const psql = new Psql(db.url);
  const wrong: string[] = [];
  let before = await stateOf(db, objects, audit);
  for (const { sql, answer } of [...HOSTILE, ...(HOSTILE_TO[name] ?? [])]) {
    const expected = 'refused' in answer ? answer.refused : SUCCESS;
    for (const statement of statementsOf(sql, names, objects)) {
      const state = await psql.run(statement);
      if (!state.startsWith(expected)) wrong.push(`${state} instead of ${expected}: ${statement}`);
    }
    const after = await stateOf(db, objects, audit);
    if (after.hashes !== before.hashes) wrong.push(`changed something: ${sql}`);
    if (after.entries > before.entries !== 'logged' in answer) wrong.push(`added entries, or did not: ${sql}`);
    before = after;
  }
  psql.end();
  return wrong;
}

/** What the service's own check of its chains and balances finds. */
async function brokenRules(name: string, url: string): Promise<readonly unknown[]> {
  if (name === 'auth') {
    const { openAuth, verifyAuditChain } = await import('@azora/auth');
    const auth = openAuth({ url });
    return verifyAuditChain(auth)
      .then(({ differences }) => differences)
      .finally(() => auth.close());
  }
  if (name === 'mint') {
    const { openMint, reconcile } = await import('@azora/mint');
    const mint = openMint({ url });
    return reconcile(mint).finally(() => mint.close());
  }
  if (name === 'agent') {
    const { openAgent, reconcile } = await import('@azora/agent');
    const agent = openAgent({ url });
    return reconcile(agent).finally(() => agent.close());
  }
  if (name === 'family') {
    const { openFamily, reconcile } = await import('@azora/family');
    const family = openFamily({ url });
    return reconcile(family).finally(() => family.close());
  }
  if (name === 'forge') {
    const { openForge, reconcile } = await import('@azora/forge');
    const forge = openForge({ url });
    return reconcile(forge).finally(() => forge.close());
  }
  if (name === 'nexus') {
    const { openNexus, reconcile } = await import('@azora/nexus');
    const nexus = openNexus({ url });
    return reconcile(nexus).finally(() => nexus.close());
  }
  if (name === 'notification') {
    const { openNotifications, reconcile } = await import('@azora/notification');
    const notifications = openNotifications({ url });
    return reconcile(notifications).finally(() => notifications.close());
  }
  if (name === 'sapiens') {
    const { openSapiens, reconcile } = await import('@azora/sapiens');
    const sapiens = openSapiens({ url });
    return reconcile(sapiens).finally(() => sapiens.close());
  }
  if (name === 'story') {
    const { openStory, reconcile } = await import('@azora/story');
    const stories = openStory({ url });
    return reconcile(stories).finally(() => stories.close());
  }
  if (name === 'workflow') {
    const { openWorkflow, reconcile } = await import('@azora/workflow');
    const workflows = openWorkflow({ url });
    return reconcile(workflows).finally(() => workflows.close());
  }
  return [];
}
