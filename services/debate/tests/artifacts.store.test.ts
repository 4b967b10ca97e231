/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  appendMessages,
  castVote,
  concludeArtifact,
  type Debate,
  getArtifact,
  listArtifacts,
  openArtifact,
  searchArtifacts,
  viewArtifact,
} from '../src';
import { fresh, givenArtifact, givenStore, outcomes } from './given';

describe('the artifacts of debates', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  it('lose no message, no vote and no view of concurrent calls', async () => {
    const agents = Array.from({ length: 8 }, (_, n) => `agent-${n}`);
    const { id: artifactId } = await givenArtifact(debate, agents);

    await Promise.all(
      agents.flatMap((agent) => [
        appendMessages(debate, {
          artifactId,
          messages: [{ agent, content: 'I agree', round: 1 }],
          idempotencyKey: fresh('key'),
        }),
        castVote(debate, { artifactId, agent, choice: agent === 'agent-0' ? 'agent-1' : 'agent-0' }),
        viewArtifact(debate, { artifactId }),
      ]),
    );

    const found = await getArtifact(debate, { artifactId });
    expect((found.transcript as { agent: string }[]).map(({ agent }) => agent).sort()).toEqual(agents);
    expect(found).toMatchObject({ voteTally: { 'agent-0': 7, 'agent-1': 1 }, viewCount: 8 });
  });

  it('append messages once per key, and count one vote of each agent', async () => {
    const { id: artifactId } = await givenArtifact(debate);
    const message = {
      artifactId,
      messages: [{ agent: 'ada', content: 'Draw the moon' }],
      idempotencyKey: fresh('key'),
    };

    await Promise.all(Array.from({ length: 4 }, () => appendMessages(debate, message)));
    await castVote(debate, { artifactId, agent: 'ada', choice: 'bob' });
    await castVote(debate, { artifactId, agent: 'ada', choice: 'cyd' });

    const found = await getArtifact(debate, { artifactId });
    expect(found.transcript).toEqual([{ agent: 'ada', content: 'Draw the moon' }]);
    expect(found.voteTally).toEqual({ cyd: 1 });
  });

  it('are for their agents only', async () => {
    const { id: artifactId } = await givenArtifact(debate);
    const messages = [{ agent: 'eve', content: 'Me too' }];

    const tried = await outcomes([
      castVote(debate, { artifactId, agent: 'eve', choice: 'ada' }),
      appendMessages(debate, { artifactId, messages, idempotencyKey: fresh('key') }),
      castVote(debate, { artifactId: 999_999, agent: 'ada', choice: 'ada' }),
    ]);

    expect(tried).toEqual(['DEBATE.NOT_IN_DEBATE', 'DEBATE.NOT_IN_DEBATE', 'DEBATE.ARTIFACT_NOT_FOUND']);
  });

  it('stay as they are after their conclusion, even for the administrator', async () => {
    const { id: artifactId } = await givenArtifact(debate);
    const result = { artifactId, consensusReached: true, confidence: 0.8, winningProposal: 'Draw the moon' };
    const first = await concludeArtifact(debate, result);

    const tried = await outcomes([
      concludeArtifact(debate, { ...result, confidence: 0.9 }),
      castVote(debate, { artifactId, agent: 'ada', choice: 'bob' }),
      appendMessages(debate, { artifactId, messages: [{ agent: 'ada', content: 'No' }], idempotencyKey: fresh('key') }),
    ]);

    expect(tried).toEqual(Array(3).fill('DEBATE.ARTIFACT_CONCLUDED'));
    expect(await concludeArtifact(debate, result)).toEqual(first);
    await expect(
      db().admin(`UPDATE debate_artifacts SET transcript = '[]', confidence = 0 WHERE id = ${artifactId}`),
    ).rejects.toMatchObject({ message: 'artifact_concluded' });
    expect(await viewArtifact(debate, { artifactId })).toMatchObject({ viewCount: 1 });
  });

  it('are found by their loop, and by words of their task and proposal', async () => {
    const loopId = fresh('loop');
    const open = (task: string, cycleNumber: number) => {
      const input = { loopId, cycleNumber, phase: 'debate', task, agents: ['ada'] } as const;
      return openArtifact(debate, { ...input, idempotencyKey: fresh('key') });
    };
    const [first, second] = [await open('Name the comets', 1), await open('Explain the ebb', 2)];
    await concludeArtifact(debate, {
      artifactId: second.id,
      consensusReached: true,
      confidence: 1,
      winningProposal: 'A comet',
    });

    const one = await listArtifacts(debate, { loopId, limit: 1 });
    const rest = await listArtifacts(debate, {
      loopId,
      limit: 1,
      ...(one.nextCursor === null ? {} : { cursor: one.nextCursor }),
    });
    expect([...one.items, ...rest.items].map(({ id }) => id)).toEqual([second.id, first.id]);
    expect(rest.nextCursor).toBeNull();
    expect((await listArtifacts(debate, { loopId, cycleNumber: 1 })).items.map(({ id }) => id)).toEqual([first.id]);
    expect((await searchArtifacts(debate, { text: 'comets' })).map(({ id }) => id)).toEqual([first.id, second.id]);
  });
});
