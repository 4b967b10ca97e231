import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId, volumeUuid } from '@azora/db-core';

const STEPS_PER_STORY = 3;
const MINUTE_MS = 60_000;

/** Each user has a story with three steps, one per wave, a task of the first step, and an attempt at each completed step. */
export function volumeRows(block: SeedBlock): TableRows[] {
  return [
    {
      table: 'stories',
      columns: ['id', 'title', 'status', 'user_id', 'current_wave', 'created_at', 'updated_at', 'completed_at'],
      rows: rowsPerUser(block, stories),
    },
    {
      table: 'story_steps',
      columns: [
        'id',
        'story_id',
        'order',
        'name',
        'capability',
        'status',
        'attempts',
        'wave',
        'started_at',
        'completed_at',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, steps),
    },
    {
      table: 'story_tasks',
      columns: ['id', 'step_id', 'order', 'description', 'status', 'completed_at', 'created_at', 'updated_at'],
      rows: rowsPerUser(block, tasks),
    },
    {
      table: 'step_attempts',
      columns: [
        'id',
        'step_id',
        'story_id',
        'number',
        'agent_id',
        'started_at',
        'lease_until',
        'ended_at',
        'outcome',
        'outcome_hash',
        'created_at',
        'updated_at',
      ],
      rows: rowsPerUser(block, attempts),
    },
  ];
}

/** Users start one minute apart, within the week before the day of the run. */
function startOf(user: number, now: Date): Date {
  return new Date(now.getTime() - ((user % 10_000) + 1) * MINUTE_MS);
}

/** Every second story is completed; the others have not started. */
function isDone(user: number): boolean {
  return user % 2 === 0;
}

function* stories(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const done = isDone(user);
  const at = startOf(user, now);
  yield [
    volumeUuid('story.Story', user),
    `Story ${user}`,
    done ? 'Completed' : 'Planned',
    volumeId('auth.User', user),
    done ? STEPS_PER_STORY : 0,
    at,
    at,
    done ? at : null,
  ];
}

function* steps(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const done = isDone(user);
  const at = startOf(user, now);
  for (let step = 0; step < STEPS_PER_STORY; step += 1) {
    yield [
      volumeUuid('story.StoryStep', user * STEPS_PER_STORY + step),
      volumeUuid('story.Story', user),
      step + 1,
      `Step ${step + 1}`,
      'coding',
      done ? 'Completed' : 'Pending',
      done ? 1 : 0,
      step + 1,
      done ? at : null,
      done ? at : null,
      at,
      at,
    ];
  }
}

function* tasks(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const done = isDone(user);
  const at = startOf(user, now);
  yield [
    volumeUuid('story.StoryTask', user),
    volumeUuid('story.StoryStep', user * STEPS_PER_STORY),
    1,
    'Write the first test',
    done ? 'Completed' : 'Pending',
    done ? at : null,
    at,
    at,
  ];
}

function* attempts(user: number, { now }: SeedBlock): Generator<SeedRow> {
  if (!isDone(user)) return;
  const at = startOf(user, now);
  for (let step = 0; step < STEPS_PER_STORY; step += 1) {
    yield [
      volumeUuid('story.StepAttempt', user * STEPS_PER_STORY + step),
      volumeUuid('story.StoryStep', user * STEPS_PER_STORY + step),
      volumeUuid('story.Story', user),
      1,
      'coding-agent',
      at,
      at,
      at,
      'Completed',
      '0'.repeat(64),
      at,
      at,
    ];
  }
}
