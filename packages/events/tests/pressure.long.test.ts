/** @server any */
import { testEffort } from '@azora/db-testkit';
import { CONSUMER, useChaos } from './chaos-fixture';
import { readHistory } from './recording';

/** Events of the deep backlog; more than the relay reads at once. */
const BACKLOG = 3_000 * testEffort();

describe('the bus under pressure', () => {
  const chaos = useChaos();

  /** Publishes events of many keys at once, without anybody who handles them. */
  async function publishMany(count: number, padding = ''): Promise<void> {
    const keys = Array.from({ length: count }, (_, index) => `key-${index % 500}`);
    await chaos.publish(keys, padding);
  }

  it('carries payloads up to the largest one', async () => {
    await Promise.all([chaos.startRelay(), chaos.startConsumer(), chaos.startConsumer()]);
    // PostgreSQL's spelling of the other fields takes less than 100 bytes.
    for (let round = 0; round < 6 * testEffort(); round += 1) await publishMany(20, 'x'.repeat(130_900));

    expect(await chaos.findings()).toEqual([]);
  });

  it('drains a deep backlog of one transaction and of many', async () => {
    await publishMany(BACKLOG / 2);
    for (let round = 0; round < 30; round += 1) await publishMany(BACKLOG / 60);
    await Promise.all([chaos.startRelay(), chaos.startConsumer(), chaos.startConsumer()]);

    expect(await chaos.findings()).toEqual([]);
  });

  it('delivers every event to each of many consumers', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `${CONSUMER}-${index}`);
    await Promise.all([
      chaos.startRelay(),
      chaos.startConsumers(names.slice(6)),
      chaos.startConsumers(names.slice(0, 6)),
    ]);
    for (let round = 0; round < 10; round += 1) await publishMany(30);

    expect(await chaos.findings(names)).toEqual([]);
    const { handled } = await readHistory(chaos.databases());
    expect(new Set(handled.map(({ consumer }) => consumer))).toEqual(new Set(names));
  });
});
