/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Debate,
  expireMemories,
  forgetMemory,
  getMemory,
  listMemories,
  listMemoryMoves,
  type Memory,
  observeMemory,
  recallMemories,
  storeMemory,
  type Tier,
} from '../src';
import { fresh, givenStore, givenStores } from './given';

const DAY_MS = 86_400_000;

describe('the memory', () => {
  const db = useDatabase('debate');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  const store = (content: string, tier: Tier = 'fast', importance = 0.5) =>
    storeMemory(debate, { content, tier, importance, idempotencyKey: fresh('key') });
  const observe = (memoryId: string, success: boolean, surprise: number, from = debate) =>
    observeMemory(from, { memoryId, success, surprise, idempotencyKey: fresh('key') });

  it('promotes what proves right, one tier at a time, up to glacial', async () => {
    const { id: memoryId } = await store('Later writes win');
    const tiers: string[] = [];
    for (let n = 0; n < 24; n += 1) tiers.push((await observe(memoryId, true, 0)).tier);

    // 1 − 0.8⁶ is above 0.7, 1 − 0.8⁵ is not.
    expect(tiers).toEqual([
      ...Array(5).fill('fast'),
      ...Array(6).fill('medium'),
      ...Array(6).fill('slow'),
      ...Array(7).fill('glacial'),
    ]);
    expect(await getMemory(debate, { memoryId })).toMatchObject({ updateCount: 24, successCount: 24, expiresAt: null });
    const moves = (await listMemoryMoves(debate, { memoryId })).items;
    expect(moves.map(({ fromTier, toTier, reason }) => `${fromTier} ${toTier} ${reason}`)).toEqual([
      'slow glacial consolidated',
      'medium slow consolidated',
      'fast medium consolidated',
    ]);
  });

  it('demotes what surprises, down to fast', async () => {
    const { id: memoryId } = await store('It never rains', 'glacial');
    const tiers: string[] = [];
    for (let n = 0; n < 14; n += 1) tiers.push((await observe(memoryId, false, 1)).tier);

    // 1 − 0.7⁴ is above 0.7, 1 − 0.7³ is not.
    expect(tiers).toEqual([
      ...Array(3).fill('glacial'),
      ...Array(4).fill('slow'),
      ...Array(4).fill('medium'),
      ...Array(3).fill('fast'),
    ]);
    expect(await getMemory(debate, { memoryId })).toMatchObject({ failureCount: 14, consolidationScore: 0 });
  });

  it('does not promote what is right and surprising', async () => {
    const { id: memoryId } = await store('Coins fall on their edge');

    for (let n = 0; n < 12; n += 1) await observe(memoryId, true, 0.5);

    expect(await getMemory(debate, { memoryId })).toMatchObject({ tier: 'fast', successCount: 12 });
  });

  it('loses no observation of concurrent ones, and counts one once per key', async () => {
    const stores = givenStores(db(), 4);
    const { id: memoryId } = await store('Tides follow the moon');
    const once = { memoryId, success: true, surprise: 0, idempotencyKey: fresh('key') };

    await Promise.all([
      ...Array.from({ length: 16 }, (_, n) => observe(memoryId, n % 2 === 0, 0.1, stores[n % 4])),
      ...stores.map((from) => observeMemory(from, once)),
    ]);

    const found = await getMemory(debate, { memoryId });
    expect(found).toMatchObject({ updateCount: 17, successCount: 9, failureCount: 8 });
    await expect(observeMemory(debate, { ...once, success: false })).rejects.toMatchObject({
      code: 'DEBATE.KEY_REUSED',
    });
    await Promise.all(stores.map((from) => from.close()));
  });

  it.each([
    ['fast', 1],
    ['medium', 7],
    ['slow', 90],
  ] as const)('forgets a memory of the tier %s after %s days', async (tier, days) => {
    const { id: memoryId } = await store('Short', tier);
    await clock.move(days * DAY_MS - 1);
    expect(await getMemory(debate, { memoryId })).toMatchObject({ tier });

    await clock.move(1);

    await expect(getMemory(debate, { memoryId })).rejects.toMatchObject({ code: 'DEBATE.MEMORY_NOT_FOUND' });
    await expect(observe(memoryId, true, 0)).rejects.toMatchObject({ code: 'DEBATE.MEMORY_NOT_FOUND' });
    expect((await listMemories(debate, { limit: 200 })).items.map(({ id }) => id)).not.toContain(memoryId);
    while ((await expireMemories(debate, { limit: 50 })) > 0);
    expect(await db().admin('SELECT id FROM continuum_memory WHERE id = $1', [memoryId])).toEqual([]);
  });

  it('starts the lifetime again with each observation', async () => {
    const { id: memoryId } = await store('Short');
    await clock.move(DAY_MS - 1);
    await observe(memoryId, true, 0);
    await clock.move(DAY_MS - 1);

    expect(await getMemory(debate, { memoryId })).toMatchObject({ updateCount: 1 });
  });

  it('is recalled by text and importance, and listed by tier', async () => {
    const [minor, major] = [
      await store('A comet has a tail', 'slow', 0.1),
      await store('A comet has a coma', 'slow', 0.9),
    ];
    await store('Stars shine', 'medium');

    const ids = (memories: readonly Memory[]) => memories.map(({ id }) => id);
    expect(ids(await recallMemories(debate, { text: 'comets' }))).toEqual([major.id, minor.id]);
    expect(await recallMemories(debate, { text: 'comets', tier: 'fast' })).toEqual([]);
    expect(ids((await listMemories(debate, { tier: 'slow', limit: 2 })).items)).toHaveLength(2);
    expect(await forgetMemory(debate, { memoryId: minor.id })).toBe(true);
    expect(await forgetMemory(debate, { memoryId: minor.id })).toBe(false);
    expect(ids(await recallMemories(debate, { text: 'comet' }))).toEqual([major.id]);
  });
});
