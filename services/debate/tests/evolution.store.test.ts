/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  type Debate,
  getCycle,
  getEvolution,
  getReplay,
  listFileChanges,
  listReplays,
  listRollbacks,
  recordEvolution,
  recordReplay,
  recordRollback,
  verifyReplay,
} from '../src';
import { fresh, givenArtifact, givenCycle, givenStore, outcomes } from './given';

describe('what a cycle changed', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  const files = (path = 'src/a.ts') => [
    { path, change: 'modified' as const, insertions: 3, deletions: 1 },
    { path: 'src/b.ts', change: 'added' as const, insertions: 9 },
  ];

  it('is recorded with its files, once per cycle', async () => {
    const { id: artifactId } = await givenArtifact(debate);
    const [loopId, path] = [fresh('loop'), fresh('src/file')];
    const input = { loopId, cycleNumber: 1, files: files(path), gitCommit: 'abc', artifactId };

    const recorded = await Promise.all(Array.from({ length: 4 }, () => recordEvolution(debate, input)));

    expect(new Set(recorded.map(({ id }) => id)).size).toBe(1);
    expect(await getEvolution(debate, { loopId, cycleNumber: 1 })).toMatchObject({
      ...{ filesChanged: ['src/b.ts', path].sort(), gitCommit: 'abc', debateArtifactId: artifactId, rollbackId: null },
      files: [
        { filePath: 'src/b.ts', changeType: 'added' },
        { filePath: path, insertions: 3, deletions: 1 },
      ],
    });
    expect((await listFileChanges(debate, { filePath: path })).items).toHaveLength(1);
    const tried = await outcomes([
      recordEvolution(debate, { ...input, gitCommit: 'def' }),
      recordEvolution(debate, { ...input, cycleNumber: 2, artifactId: 999_999 }),
      recordEvolution(debate, { ...input, cycleNumber: 2, files: [...files(), ...files()] }),
      getEvolution(debate, { loopId, cycleNumber: 3 }),
    ]);
    expect(tried).toEqual([
      ...[
        'DEBATE.EVOLUTION_RECORDED',
        'DEBATE.ARTIFACT_NOT_FOUND',
        'DEBATE.INVALID_INPUT',
        'DEBATE.EVOLUTION_NOT_FOUND',
      ],
    ]);
  });

  it('is marked by its first rollback', async () => {
    const { loopId } = await givenCycle(debate);
    const cycle = { loopId, cycleNumber: 1 };
    await recordEvolution(debate, { ...cycle, files: files() });
    const input = {
      ...cycle,
      phase: 'verify',
      reason: 'timeout',
      severity: 'critical',
      files: ['src/a.ts'],
      idempotencyKey: fresh('key'),
    } as const;

    const rollbacks = await Promise.all(Array.from({ length: 4 }, () => recordRollback(debate, input)));
    await recordRollback(debate, { ...input, severity: 'low', idempotencyKey: fresh('key') });

    expect(new Set(rollbacks.map(({ id }) => id)).size).toBe(1);
    expect(await getEvolution(debate, cycle)).toMatchObject({ rollbackId: rollbacks[0]?.id });
    expect(await getCycle(debate, cycle)).toMatchObject({ isRolledBack: true });
    expect((await listRollbacks(debate, { loopId })).items.map(({ severity }) => severity)).toEqual([
      'low',
      'critical',
    ]);
    expect((await listRollbacks(debate, { loopId, severity: 'critical' })).items).toMatchObject([
      { filesAffected: ['src/a.ts'] },
    ]);
  });
});

describe('replays', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  const startedAt = new Date('2026-03-01T12:00:00Z');
  const input = (change: object = {}) => ({
    ...{ debateId: fresh('debate'), task: 'Cache', agents: ['ada', 'bob'], trace: { b: [1.5, 'ü'], a: null } },
    ...{ randomSeed: 9_007_199_254_740_993n, startedAt, idempotencyKey: fresh('key'), ...change },
  });

  it('are stored once per key and found intact', async () => {
    const replay = input();

    const stored = await Promise.all(Array.from({ length: 4 }, () => recordReplay(debate, replay)));

    const [{ traceId } = { traceId: '' }] = stored;
    expect(new Set(stored.map((it) => it.traceId)).size).toBe(1);
    expect(await getReplay(debate, { traceId })).toMatchObject({
      traceJson: replay.trace,
      randomSeed: replay.randomSeed,
      startedAt,
    });
    expect(await verifyReplay(debate, { traceId })).toBe('intact');
    expect((await listReplays(debate, { debateId: replay.debateId })).items).toHaveLength(1);
  });

  it.each([
    "trace_json = jsonb_set(trace_json, '{b,0}', '1.50001')",
    "task = 'Cache it'",
    'agents = \'["ada"]\'',
    'random_seed = random_seed + 1',
    'random_seed = NULL',
    "debate_id = 'other'",
    "checksum = 'sha256:' || repeat('0', 64)",
  ])('are found changed after a statement of the administrator: %s', async (change) => {
    const { traceId } = await recordReplay(debate, input());

    await db().admin(`UPDATE traces SET ${change} WHERE trace_id = '${traceId}'`);

    expect(await verifyReplay(debate, { traceId })).toBe('changed');
  });

  it('of other systems are unchecked', async () => {
    await db().admin(`INSERT INTO traces (trace_id, debate_id, task, agents, trace_json, started_at, checksum)
      VALUES ('old', 'd', 'T', '[]', '{}', now(), 'abc')`);

    expect(await verifyReplay(debate, { traceId: 'old' })).toBe('unchecked');
    expect(await outcomes([verifyReplay(debate, { traceId: 'none' }), getReplay(debate, { traceId: 'none' })])).toEqual(
      Array(2).fill('DEBATE.REPLAY_NOT_FOUND'),
    );
    await expect(recordReplay(debate, input({ completedAt: new Date(0) }))).rejects.toMatchObject({
      meta: { fields: ['completedAt'] },
    });
  });
});
