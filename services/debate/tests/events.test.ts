/** @server any */
import { useDatabase } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import {
  appendMessages,
  completePhase,
  concludeArtifact,
  createShareLink,
  type Debate,
  EVENTS,
  observeMemory,
  queueWebhooks,
  recordEvolution,
  recordMatch,
  recordRollback,
  resolvePosition,
  reversePosition,
  storeMemory,
  takePosition,
} from '../src';
import { fresh, givenArtifact, givenCycle, givenStore, givenWebhook } from './given';

/** Text of a person, which no event repeats. */
const SECRET = 'Ada Lovelace, ada@azora.world';

describe('the events of debate', () => {
  const db = useDatabase('debate');
  let debate: Debate;
  beforeAll(() => {
    debate = givenStore(db());
  });
  afterAll(() => debate.close());

  const key = () => ({ idempotencyKey: fresh('key') });
  const published = () => db().admin('SELECT type, key, payload FROM outbox ORDER BY position');

  it('are of every type, fit their schemas, have the key of their type, and repeat no text', async () => {
    const { loopId } = await givenCycle(debate);
    const cycle = { loopId, cycleNumber: 1 };
    await completePhase(debate, { ...cycle, phase: 'debate', success: false, errorMessage: SECRET });
    await recordEvolution(debate, { ...cycle, files: [{ path: SECRET, change: 'added' }], summary: SECRET });
    await recordRollback(debate, {
      ...cycle,
      phase: 'debate',
      reason: 'timeout',
      severity: 'low',
      error: SECRET,
      ...key(),
    });
    const { id: artifactId } = await givenArtifact(debate);
    await appendMessages(debate, { artifactId, messages: [{ agent: 'ada', content: SECRET }], ...key() });
    await concludeArtifact(debate, { artifactId, consensusReached: true, confidence: 1, winningProposal: SECRET });
    await recordMatch(debate, { debateId: 'd', scores: { ada: 1, bob: 1 } });
    const position = { agentName: 'ada', claim: SECRET, confidence: 1, debateId: 'd', roundNum: 1 };
    const { id: positionId } = await takePosition(debate, { ...position, ...key() });
    await resolvePosition(debate, { positionId, outcome: 'unknown' });
    await reversePosition(debate, { positionId, debateId: 'e' });
    const { id: memoryId } = await storeMemory(debate, { content: SECRET, tier: 'slow', ...key() });
    for (let n = 0; n < 4; n += 1) await observeMemory(debate, { memoryId, surprise: 1, success: true, ...key() });
    await createShareLink(debate, { debateId: 'd', ownerId: 'user' });
    const { webhook } = await givenWebhook(debate, 'https://x.example/', 'user');
    await queueWebhooks(debate, { messageId: 'gone', eventType: 'error', data: { SECRET }, to: { userId: 'user' } });
    await db().app("SELECT * FROM claim_webhook_deliveries('c', 1, '1 minute')");
    await db().app(`SELECT finish_webhook_delivery('c', '${webhook.id}', 'gone', false, 410)`);

    const ajv = new Ajv({ strict: false, validateFormats: false });
    const types = new Map(EVENTS.map((event) => [event.type, event as (typeof EVENTS)[number]]));
    const events = await published();
    const faults = events.filter(({ type, key: found, payload }) => {
      const event = types.get(String(type) as (typeof EVENTS)[number]['type']);
      return event === undefined || !ajv.validate(event.jsonSchema, payload) || event.key(payload as never) !== found;
    });
    expect(faults).toEqual([]);
    expect([...new Set(events.map(({ type }) => String(type)))].sort()).toEqual(EVENTS.map(({ type }) => type).sort());
    expect(JSON.stringify(events)).not.toContain('Ada');
  });

  it('are not published by a call that is repeated or rejected', async () => {
    const { loopId } = await givenCycle(debate);
    const failed = { loopId, cycleNumber: 1, phase: 'debate', success: false } as const;
    await completePhase(debate, failed);
    await recordMatch(debate, { debateId: 'once', scores: { ada: 1, bob: 0 } });
    const before = await published();

    await completePhase(debate, failed);
    await recordMatch(debate, { debateId: 'once', scores: { ada: 1, bob: 0 } });
    await completePhase(debate, { ...failed, success: true }).catch(() => undefined);
    await createShareLink(debate, { debateId: 'd', ownerId: 'other' }).catch(() => undefined);

    expect(await published()).toEqual(before);
  });
});
