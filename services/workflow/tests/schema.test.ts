import { itKeepsAnAuditLog, itTestsEveryCheck, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';

/** A table, the rule that a change of its rows violates, and the change. */
const INVALID = [
  ['workflows', 'name', `name = ' '`],
  ['workflows', 'owner_id', `owner_id = ''`],
  ['workflows', 'status', `status = 'running'`],
  ['workflows', 'version', `version = 0`],
  ['workflows', 'nodes', `nodes = '{}'`],
  ['workflows', 'connections', `connections = '"a"'`],
  ['workflows', 'settings', `settings = '[]'`],
  ['plugins', 'name', `name = ''`],
  ['plugins', 'version', `version = ''`],
  ['plugins', 'config_schema', `config_schema = 'true'`],
  ['logs', 'level', `level = 'debug'`],
  ['logs', 'message', `message = ''`],
] as const;

describe('the workflow schema', () => {
  const db = useDatabase('workflow');

  beforeAll(async () => {
    await db().app(`INSERT INTO workflows (name, owner_id) VALUES ('Welcome', 'ada')`);
    await db().app(`INSERT INTO plugins (name) VALUES ('email')`);
    await db().app(`INSERT INTO workflow_plugins (workflow_id, plugin_id) VALUES (1, 1)`);
    await db().app(`INSERT INTO logs (workflow_id, message) VALUES (1, 'Run started')`);
  });

  it('gives a new workflow its defaults', async () => {
    const columns = 'id, nodes, connections, settings, status, version, deleted_at';

    expect(await db().app(`SELECT ${columns} FROM workflows`)).toEqual([
      { id: 1, nodes: [], connections: [], settings: {}, status: 'draft', version: 1, deleted_at: null },
    ]);
    expect(await db().app('SELECT enabled, version FROM plugins')).toEqual([{ enabled: true, version: '1.0.0' }]);
    expect(await db().app('SELECT level FROM logs')).toEqual([{ level: 'info' }]);
  });

  it.each(INVALID)('rejects rows of %s with an invalid %s: %s', async (table, rule, change) => {
    await schemaRefuses(db().admin(`UPDATE ${table} SET ${change}`), `${table}_${rule}_check`);
  });

  it('rejects a second plugin with the same name', async () => {
    await schemaRefuses(db().app(`INSERT INTO plugins (name) VALUES ('email')`), 'plugins_name_key');
  });

  it('adds a plugin to a workflow once when four requests race', async () => {
    await db().app(`INSERT INTO plugins (id, name) VALUES (50, 'http-request')`);
    const add = 'INSERT INTO workflow_plugins (workflow_id, plugin_id) VALUES (1, 50)';
    const refused = await refusalsOf(Array.from({ length: 4 }, () => db().app(add)));

    expect(refused).toEqual(Array(3).fill('workflow_plugins_pkey'));
  });

  it.each([`UPDATE logs SET message = 'All well'`, 'DELETE FROM logs'])(
    'gives the app role no privilege to rewrite log lines: %s',
    async (sql) => {
      await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
    },
  );

  it('deletes the log lines and plugin links of a workflow with it, and keeps the plugins', async () => {
    await db().app(`INSERT INTO workflows (id, name, owner_id) VALUES (60, 'Gone', 'ada')`);
    await db().app(`INSERT INTO plugins (id, name) VALUES (60, 'kept')`);
    await db().app('INSERT INTO workflow_plugins (workflow_id, plugin_id) VALUES (60, 60)');
    await db().app(`INSERT INTO logs (workflow_id, message) VALUES (60, 'Run started')`);

    await db().app('DELETE FROM workflows WHERE id = 60');

    expect(await db().app('SELECT id FROM logs WHERE workflow_id = 60')).toEqual([]);
    expect(await db().app('SELECT plugin_id FROM workflow_plugins WHERE workflow_id = 60')).toEqual([]);
    expect(await db().app('SELECT name FROM plugins WHERE id = 60')).toEqual([{ name: 'kept' }]);
  });

  it('removes a plugin from its workflows when it is deleted', async () => {
    await db().app(`INSERT INTO plugins (id, name) VALUES (70, 'old')`);
    await db().app('INSERT INTO workflow_plugins (workflow_id, plugin_id) VALUES (1, 70)');

    await db().app('DELETE FROM plugins WHERE id = 70');

    expect(await db().app('SELECT workflow_id FROM workflow_plugins WHERE plugin_id = 70')).toEqual([]);
  });

  itTestsEveryCheck(
    db,
    INVALID.map(([table, rule]) => `${table}_${rule}_check`),
  );

  itKeepsAnAuditLog(db);
});
