import { useDatabase } from '@azora/db-testkit';
import {
  aggregateUsage,
  appendEvents,
  castVote,
  createShareLink,
  type Debate,
  observeMemory,
  queueWebhooks,
  reconcile,
  recordEvolution,
  recordMatch,
  recordReplay,
  recordRollback,
  recordUsage,
  storeMemory,
  takePosition,
} from '../src';
import { fresh, givenArtifact, givenCycle, givenStore, givenWebhook } from './given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const TABLES = [
  ...['nomic_cycles', 'debate_artifacts', 'artifact_votes', 'stream_events', 'stream_cursors', 'agent_metrics'],
  ...['nomic_rollbacks', 'cycle_evolution', 'cycle_file_changes', 'ratings', 'matches', 'elo_history', 'positions'],
  ...['continuum_memory', 'tier_transitions', 'traces', 'share_links', 'webhook_configs', 'webhook_deliveries'],
  ...['usage_events', 'usage_months', 'requests'],
];

describe('the app role with its own SQL', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  beforeAll(async () => {
    debate = givenStore(db());
    const { loopId } = await givenCycle(debate);
    const { id: artifactId } = await givenArtifact(debate);
    await castVote(debate, { artifactId, agent: 'ada', choice: 'bob' });
    await appendEvents(debate, { loopId, cycle: 1, events: [{ eventType: 'error' }], idempotencyKey: fresh('key') });
    await recordMatch(debate, { debateId: 'd', scores: { ada: 1, bob: 0 }, domain: 'law' });
    await takePosition(debate, {
      agentName: 'ada',
      claim: 'C',
      confidence: 1,
      debateId: 'd',
      roundNum: 1,
      idempotencyKey: fresh('key'),
    });
    const { id: memoryId } = await storeMemory(debate, { content: 'M', tier: 'slow', idempotencyKey: fresh('key') });
    for (let n = 0; n < 4; n += 1)
      await observeMemory(debate, { memoryId, surprise: 1, success: false, idempotencyKey: fresh('key') });
    await recordEvolution(debate, { loopId, cycleNumber: 1, files: [{ path: 'a', change: 'added' }] });
    await recordRollback(debate, {
      loopId,
      cycleNumber: 1,
      phase: 'verify',
      reason: 'timeout',
      severity: 'low',
      idempotencyKey: fresh('key'),
    });
    await recordReplay(debate, {
      debateId: 'd',
      task: 'T',
      agents: ['ada'],
      trace: [],
      startedAt: new Date(0),
      idempotencyKey: fresh('key'),
    });
    await createShareLink(debate, { debateId: 'd', ownerId: 'ada' });
    await givenWebhook(debate, 'https://x.example/', 'ada');
    await queueWebhooks(debate, { messageId: 'm', eventType: 'error', data: {}, to: { userId: 'ada' } });
    await recordUsage(debate, { events: [{ orgId: 'o', eventType: 'debate', idempotencyKey: 'u' }] });
    await aggregateUsage(debate);
  });
  afterAll(() => debate.close());

  const dump = async () => {
    const lists = TABLES.map(
      (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
    );
    return JSON.stringify(await db().admin(`SELECT ${lists.join(', ')}, (SELECT count(*) FROM outbox) AS events`));
  };

  it('only reads its tables, and every table has a row here', async () => {
    const before = await dump();
    for (const table of TABLES) {
      const statements = [
        ...[`DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`, `INSERT INTO ${table} DEFAULT VALUES`],
        ...[`UPDATE ${table} SET created_at = now()`, `SELECT * FROM ${table} FOR UPDATE`],
      ];
      for (const sql of statements) {
        await expect(
          db()
            .app(sql)
            .catch(({ code }) => `${sql}: ${code}`),
        ).resolves.toBe(`${sql}: ${NO_RIGHT}`);
      }
    }
    expect(await dump()).toBe(before);
    const filled = await db().admin(
      `SELECT ${TABLES.map((name) => `EXISTS (SELECT FROM ${name}) AS ${name}`).join(', ')}`,
    );
    expect(Object.entries(filled[0] ?? {}).filter(([name, has]) => !has && name !== 'agent_metrics')).toEqual([]);
  });

  it.each([
    ["SELECT begin_request('x', 'x', '{}')", NO_RIGHT],
    ["SELECT finish_request('u', 'x')", NO_RIGHT],
    ["SELECT emit('match-rated', 'x', '{}', now())", NO_RIGHT],
    ["SELECT take_sequence('x', 1, 1)", NO_RIGHT],
    ["SELECT add_usage('{o}', '{debate}', ARRAY[now()], '{5}')", NO_RIGHT],
    ["SELECT move_memory(m, 'glacial', 'surprise', now()) FROM continuum_memory AS m", NO_RIGHT],
    ["SELECT cancel_webhook_deliveries('x', now())", NO_RIGHT],
    ["SELECT setval('matches_id_seq', 1)", NO_RIGHT],
    ["SELECT nextval('matches_id_seq')", NO_RIGHT],
    ["CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'", NO_RIGHT],
    ['ALTER TABLE matches DISABLE TRIGGER ALL', NO_RIGHT],
    ["SET session_replication_role = 'replica'", NO_RIGHT],
    ['SELECT record_match(\'{"debateId": "d", "scores": {"ada": 0, "bob": 1}, "kFactor": 32}\')', 'AZ001'],
    ['SELECT record_match(\'{"debateId": "e", "scores": {"ada": 1, "bob": 0}, "kFactor": 5000}\')', '23514'],
    ['SELECT record_match(\'{"debateId": "e", "scores": {"ada": 1, "bob": 0}, "kFactor": -32}\')', '23514'],
    ['SELECT record_match(\'{"debateId": "e", "scores": {"ada": 1}, "kFactor": 32}\')', '23502'],
    ['SELECT record_match(\'{"debateId": "e", "scores": {"ada": 1, "bob": 0}}\')', '23502'],
    ["SELECT record_match('{}')", '23502'],
    ["SELECT resolve_position((SELECT id FROM positions), 'maybe')", 'AZ001'],
    [
      'SELECT record_usage(\'[{"orgId": "o", "eventType": "debate", "count": -5, "metadata": {}, "idempotencyKey": "n"}]\')',
      '23514',
    ],
    [
      'SELECT record_usage(\'[{"orgId": "o", "eventType": "debate", "count": 5, "metadata": {}, "idempotencyKey": "u"}]\')',
      'AZ001',
    ],
    ['SELECT record_usage(\'[{"orgId": "o", "eventType": "debate", "count": 5, "metadata": {}}]\')', '22004'],
    ["SELECT append_stream_events('k', 'l', 1, '[{\"eventType\": \"gossip\"}]')", '23514'],
    ["SELECT append_stream_events('k', 'l', 1, '[]')", '23514'],
    ["SELECT observe_memory('k', (SELECT id FROM continuum_memory), 'NaN', true)", '23514'],
    [
      'SELECT create_share_link(\'sha256:x\', \'{"debateId": "e", "visibility": "team", "ownerId": "ada", "allowComments": true, "allowForking": true}\')',
      '23514',
    ],
    ["SELECT update_share_link('d', 'eve', NULL, '{\"visibility\": \"public\"}')", 'AZ001'],
    [
      "SELECT create_webhook('k', 'w', 'whsec_plain', '{\"url\": \"https://x.example/\", \"eventTypes\": []}')",
      'AZ001',
    ],
    ["SELECT reseal_webhook(id, secret, 'whsec_plain') FROM webhook_configs", 'AZ001'],
    ["SELECT start_cycle('k', '{}')", '23502'],
    ["SELECT complete_phase(loop_id, 1, 'debate', true, NULL, NULL) FROM nomic_cycles", 'AZ001'],
    ["SELECT complete_phase(loop_id, 1, 'debate', NULL, NULL, NULL) FROM nomic_cycles", '22004'],
  ])('cannot run: %s', async (sql, code) => {
    const before = await dump();

    await expect(db().app(sql)).rejects.toMatchObject({ code });

    expect(await dump()).toBe(before);
  });

  it('has no effect with wrong claims, and prunes nothing that is young', async () => {
    const before = await dump();

    for (const sql of [
      "SELECT finish_webhook_delivery('none', (SELECT id FROM webhook_configs), 'm', true, 200)",
      "SELECT finish_webhook_delivery(NULL, (SELECT id FROM webhook_configs), 'm', true, 200)",
      "SELECT prune_usage('-1 year', 100000), prune_stream_events('0', 100000), prune_webhook_deliveries('0', 100000)",
      'SELECT prune_usage(NULL, NULL), expire_memories(NULL), aggregate_usage(NULL)',
      "SELECT erase_person('nobody'), forget_memory('none')",
    ]) {
      await db().app(sql);
    }

    expect(await dump()).toBe(before);
    expect(await reconcile(debate)).toEqual([]);
  });
});
