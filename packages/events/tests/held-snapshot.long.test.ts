/** @server any */
import { randomUUID } from 'node:crypto';
import { testEffort, useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';

/** Batches that are acknowledged beside the snapshot. A consumer of 10,000 events/s acknowledges 12,000 in ten minutes. */
const ROUNDS = Number(process.env['AZORA_ROUNDS'] ?? 1_000 * testEffort());
const BATCH = 500;
const BATCHES = 9;

const SUBSCRIPTION = 'family.record';
const TYPE = 'family.counted.v1';

const APPEND = `SELECT append_events('family', $1, '1 day', '1:1:', NULL, NULL, array_agg(gen_random_uuid()),
    array_agg('${TYPE}'::text), array_agg('key-' || n), array_agg('{"n":1}'::text), array_agg(NULL::text), array_agg(now()))
  FROM generate_series(1, ${BATCH}) AS n`;

/** What a worker sends for each batch when all its events took effect. */
const FETCH = `SELECT array_agg(lane ORDER BY lane) FILTER (WHERE kind = 'lane') AS lanes,
    array_agg(position ORDER BY lane) FILTER (WHERE kind = 'lane') AS positions,
    count(*) FILTER (WHERE kind = 'event')::int AS events
  FROM fetch_events('${SUBSCRIPTION}', $1, ${BATCH})`;
const ACKNOWLEDGE = `SELECT acknowledge_events('${SUBSCRIPTION}', $1, '1 day', $2, $3, $4, '{}', '{}', '{}', '{}')`;

describe('a consumer beside a snapshot that is held open', () => {
  const nexus = useDatabase('nexus');
  const worker = randomUUID();

  /** The pages that the server reads to append, fetch and acknowledge a batch. They do not depend on the load of the machine. */
  async function pagesOfBatch(): Promise<number> {
    const appended = await pagesOf(APPEND, [worker]);
    const fetched = await pagesOf(FETCH, [worker]);
    const [{ lanes, positions, events } = {}] = await nexus().app(FETCH, [worker]);
    expect(events).toBe(BATCH);
    const versions = (lanes as readonly number[]).map(() => 1);
    return appended + fetched + (await pagesOf(ACKNOWLEDGE, [worker, lanes, versions, positions]));
  }

  async function pagesOf(sql: string, parameters: readonly unknown[]): Promise<number> {
    const [row = {}] = await nexus().app(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`, parameters);
    const [explained] = row['QUERY PLAN'] as readonly { readonly Plan: Readonly<Record<string, number>> }[];
    return (explained?.Plan['Shared Hit Blocks'] ?? 0) + (explained?.Plan['Shared Read Blocks'] ?? 0);
  }

  it('needs at most twice the pages for a batch, after as many batches as it wants', async () => {
    await nexus().app(`SELECT claim_source('family', $1, 'here', '1 day')`, [worker]);
    await nexus().app(`SELECT join_subscription('${SUBSCRIPTION}', '{${TYPE}}', 10, 'start')`);
    await nexus().app(`SELECT lease_lanes('${SUBSCRIPTION}', $1, '{${TYPE}}', '1 day', true)`, [worker]);
    // The first batches read the catalog too.
    for (let warmUp = 0; warmUp < BATCHES; warmUp += 1) await pagesOfBatch();
    const before = await pagesOfBatch();

    const holder = new Client(nexus().target.admin.href);
    await holder.connect();
    await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await holder.query('SELECT pg_current_xact_id()');
    // The positions of a gap in the log: each batch moves every lane by one.
    const [{ head } = {}] = await nexus().admin(
      `UPDATE event_log SET head = head + ${ROUNDS} RETURNING head - ${ROUNDS} AS head`,
    );
    await nexus().admin(`DO $$ BEGIN
      FOR round IN 1..${ROUNDS} LOOP
        PERFORM acknowledge_events('${SUBSCRIPTION}', '${worker}', '1 day', array_agg(lane), array_agg(version),
          array_agg(${head} + round), '{}', '{}', '{}', '{}') FROM subscription_lanes;
        UPDATE event_sources SET relayed_at = database_time();
        UPDATE event_log SET updated_at = database_time();
        COMMIT;
      END LOOP;
    END $$`);
    const beside = await pagesOfBatch();
    await holder.end();

    expect(beside).toBeLessThanOrEqual(2 * before);
  });
});
