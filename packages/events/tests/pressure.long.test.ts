import { Client } from 'pg';
import { CONSUMER, useChaos } from './chaos-fixture';
import { COUNTED, readHistory } from './recording';

/** Events of the deep backlog. */
const BACKLOG = Number(process.env['AZORA_BACKLOG'] ?? 5_000);
/** Batches that a consumer acknowledges beside a held snapshot: 20 each second, as many as in ten minutes. */
const ROUNDS = Number(process.env['AZORA_ROUNDS'] ?? 12_000);
/** Events of one measurement of the throughput. */
const MEASURED = 2_000;

describe('the bus under pressure', () => {
  const chaos = useChaos();

  /** Publishes events of many keys at once, without anybody who handles them. */
  async function publishMany(count: number, padding = ''): Promise<void> {
    const keys = Array.from({ length: count }, (_, index) => `key-${index % 500}`);
    await chaos.publish(keys, padding);
  }

  /** Events handled each second, from a backlog. */
  async function throughput(): Promise<number> {
    await publishMany(MEASURED);
    const started = performance.now();
    await chaos.progress(MEASURED);
    return (MEASURED * 1_000) / (performance.now() - started);
  }

  it('keeps at least half of its throughput beside transactions that are open for as long as ten minutes', async () => {
    const { source, target, nexus } = chaos.databases();
    await chaos.startRelay();
    await chaos.startConsumer();
    await throughput();
    const before = await throughput();
    const holders = [source, target, nexus].map(({ target: { admin } }) => new Client(admin.href));
    for (const holder of holders) {
      await holder.connect();
      // A transaction with an id and a snapshot: nothing that others delete or update meanwhile can be removed.
      await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await holder.query('SELECT pg_current_xact_id(), count(*) FROM pg_class');
    }
    // What the bus writes in ten minutes, without the time between the writes.
    await nexus.admin(`
      CREATE PROCEDURE write_as_ten_minutes(p_rounds integer) LANGUAGE plpgsql AS $$
      BEGIN
        FOR round IN 1..p_rounds LOOP
          PERFORM renew_for_test();
          COMMIT;
        END LOOP;
      END
      $$;
      CREATE FUNCTION renew_for_test() RETURNS void LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE event_log SET head = head, updated_at = database_time();
        UPDATE event_sources SET relayed_at = database_time(), updated_at = database_time();
        UPDATE subscription_lanes SET position = position, leased_until = leased_until;
      END
      $$`);
    await nexus.admin(`CALL write_as_ten_minutes(${ROUNDS})`);

    const beside = await throughput();

    for (const holder of holders) await holder.end();
    expect(await chaos.findings()).toEqual([]);
    expect(beside / before).toBeGreaterThanOrEqual(0.5);
  });

  it('carries payloads up to the largest one', async () => {
    await Promise.all([chaos.startRelay(), chaos.startConsumer(), chaos.startConsumer()]);
    // PostgreSQL's spelling of the other fields takes less than 100 bytes.
    for (let round = 0; round < 10; round += 1) await publishMany(20, 'x'.repeat(130_900));

    expect(await chaos.findings()).toEqual([]);
  });

  it('drains a deep backlog of one transaction and of many', async () => {
    await publishMany(BACKLOG / 2);
    for (let round = 0; round < 50; round += 1) await publishMany(BACKLOG / 100);
    await Promise.all([chaos.startRelay(), chaos.startConsumer(), chaos.startConsumer()]);

    expect(await chaos.findings()).toEqual([]);
  });

  it('serves many consumers, each of which gets every event', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `${CONSUMER}-${index}`);
    await chaos.startRelay();
    for (const name of names) await chaos.startConsumer({ name, types: [COUNTED] });
    for (let round = 0; round < 10; round += 1) await publishMany(30);

    expect(await chaos.findings(names)).toEqual([]);
    const { handled } = await readHistory(chaos.databases());
    expect(new Set(handled.map(({ consumer }) => consumer))).toEqual(new Set(names));
  });
});
