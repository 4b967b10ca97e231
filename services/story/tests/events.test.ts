/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import * as store from '../src';
import { EVENTS, openStory, type Stories } from '../src';
import { claim, claimOne, fresh, givenPlanned, givenStarted, planOf, publishedFor, runWave } from './given';

/** Text of people, which no event repeats. */
const PERSONAL = 'Ada Lovelace, 12 Main Street';

/** Prepares a story, and returns its id and the call that publishes. */
type Call = readonly [
  name: string,
  prepare: (stories: Stories) => Promise<readonly [storyId: string, call: () => Promise<unknown>]>,
  events: readonly string[],
];

describe('the events of story', () => {
  const db = useDatabase('story');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const declared = new Map<string, (typeof EVENTS)[number]>(EVENTS.map((event) => [event.type, event]));
  const seen = new Set<string>();
  let stories: Stories;
  beforeAll(() => {
    stories = openStory({ url: db().url });
  });
  afterAll(() => stories.close());

  const created = () => store.createStory(stories, { title: PERSONAL, idempotencyKey: fresh('key') });
  const done = async (...waves: readonly number[]) => {
    const storyId = await givenStarted(stories, { steps: planOf(...waves), gateMode: 'PauseAlways', title: PERSONAL });
    const [step] = await runWave(stories, storyId);
    return [storyId, step?.id ?? ''] as const;
  };

  const CALLS: readonly Call[] = [
    [
      'beginAnalysis',
      async () => {
        const { id: storyId } = await created();
        return [storyId, () => store.beginAnalysis(stories, { storyId })];
      },
      ['status-changed'],
    ],
    [
      'startStory',
      async () => {
        const storyId = await givenPlanned(stories);
        return [storyId, () => store.startStory(stories, { storyId })];
      },
      ['status-changed', 'wave-started'],
    ],
    [
      'appendChat',
      async () => {
        const { id: storyId } = await created();
        const message = { storyId, role: 'user', content: PERSONAL, idempotencyKey: fresh('chat') } as const;
        return [storyId, () => store.appendChat(stories, message)];
      },
      ['chat-message-added'],
    ],
    [
      'claimReadySteps',
      async () => {
        const storyId = await givenStarted(stories, { steps: planOf(1, 1) });
        return [storyId, () => claim(stories, storyId)];
      },
      ['step-started', 'step-started'],
    ],
    [
      'completeStep',
      async () => {
        const storyId = await givenStarted(stories, { steps: planOf(1, 2) });
        const { claimId } = await claimOne(stories, storyId);
        return [storyId, () => store.completeStep(stories, { claimId, output: PERSONAL })];
      },
      ['wave-started', 'step-completed'],
    ],
    [
      'failStep',
      async () => {
        const storyId = await givenStarted(stories);
        const { claimId } = await claimOne(stories, storyId);
        return [storyId, () => store.failStep(stories, { claimId, error: PERSONAL })];
      },
      ['status-changed', 'step-failed'],
    ],
    [
      'claimReadySteps, after five lapses',
      async () => {
        const storyId = await givenStarted(stories, { steps: planOf(1) });
        for (let lapse = 1; lapse <= 5; lapse += 1) {
          await claimOne(stories, storyId);
          await clock.move(60_000);
        }
        return [storyId, () => claim(stories, storyId)];
      },
      ['status-changed', 'step-failed'],
    ],
    [
      'retryStep',
      async () => {
        const storyId = await givenStarted(stories);
        const { claimId, id: stepId } = await claimOne(stories, storyId);
        await store.failStep(stories, { claimId, error: 'x' });
        return [storyId, () => store.retryStep(stories, { stepId, by: PERSONAL.slice(0, 3) })];
      },
      ['status-changed', 'step-retried'],
    ],
    [
      'skipStep',
      async () => {
        const storyId = await givenStarted(stories);
        const [step] = (await store.getStory(stories, { storyId })).steps;
        return [storyId, () => store.skipStep(stories, { stepId: step?.id ?? '' })];
      },
      ['step-skipped'],
    ],
    [
      'reviewStep',
      async () => {
        const [storyId, stepId] = await done(1);
        return [storyId, () => store.reviewStep(stories, { stepId, approval: 'Rejected', feedback: PERSONAL })];
      },
      ['status-changed', 'step-reviewed'],
    ],
    [
      'decideGate',
      async () => {
        const [storyId] = await done(1, 2);
        return [storyId, () => store.decideGate(stories, { storyId, wave: 1, passed: true, feedback: PERSONAL })];
      },
      ['gate-decided', 'status-changed', 'wave-started'],
    ],
    [
      'rerunFromWave',
      async () => {
        const [storyId] = await done(1);
        return [storyId, () => store.rerunFromWave(stories, { storyId, wave: 1 })];
      },
      ['status-changed', 'waves-rerun'],
    ],
    [
      'recordVerification',
      async () => {
        const [storyId] = await done(1);
        const checks = [{ name: PERSONAL, passed: true, output: PERSONAL }];
        return [storyId, () => store.recordVerification(stories, { storyId, checks })];
      },
      ['story-verified'],
    ],
    [
      'completeStory',
      async () => {
        const [storyId] = await done(1);
        return [storyId, () => store.completeStory(stories, { storyId })];
      },
      ['status-changed'],
    ],
    [
      'cancelStory',
      async () => {
        const storyId = await givenStarted(stories);
        return [storyId, () => store.cancelStory(stories, { storyId })];
      },
      ['status-changed'],
    ],
    [
      'erasePerson',
      async () => {
        const userId = fresh('user');
        const storyId = await givenStarted(stories, { userId, title: PERSONAL });
        return [storyId, () => store.erasePerson(stories, userId)];
      },
      ['status-changed', 'story-erased'],
    ],
  ];

  it.each(CALLS)('%s publishes its events once, as they are declared', async (_name, prepare, expected) => {
    const [storyId, call] = await prepare(stories);
    const before = await publishedFor(db(), storyId);
    await call();

    const events = await publishedFor(db(), storyId);
    expect(events.slice(before.length).map(({ type }) => type)).toEqual(expected.map((name) => `story.${name}.v1`));
    for (const { type, key, payload } of events) {
      const event = declared.get(type);
      if (event === undefined) throw new Error(`${type} is not declared`);
      const validate = ajv.compile(event.jsonSchema);
      validate(payload);
      expect([type, validate.errors]).toEqual([type, null]);
      expect(key).toBe(event.key(event.data.parse(payload) as never));
      seen.add(type);
    }
    expect(JSON.stringify(events)).not.toContain(PERSONAL);
    await call();
    expect(await publishedFor(db(), storyId)).toHaveLength(events.length);
  });

  it('are tested for every declared type', () => {
    expect([...declared.keys()].filter((type) => !seen.has(type))).toEqual([]);
  });
});
