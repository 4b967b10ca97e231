import { CONSUMER, useChaos } from './chaos-fixture';
import { COUNTED, readHistory } from './recording';

/** Events of the deep backlog. */
const BACKLOG = Number(process.env['AZORA_BACKLOG'] ?? 5_000);
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
