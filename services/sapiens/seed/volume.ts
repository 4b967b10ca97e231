import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId } from '@azora/db-core';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const WRITTEN = ['created_at', 'updated_at'];
const LEVEL_RANGE = ['start_level', 'target_level'];

/** Each user has a profile, a session with two messages, a path with two steps and progress, and a card with a review. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    {
      table: 'student_profiles',
      columns: ['id', 'student_id', 'interests', 'last_active_at', ...WRITTEN],
      rows: volumeRows(block, (user) => [profileRow(user)]),
    },
    {
      table: 'tutoring_sessions',
      columns: ['id', 'student_id', 'topic', 'status', 'started_at', 'ended_at', 'duration_minutes', ...WRITTEN],
      rows: volumeRows(block, (user) => [sessionRow(user)]),
    },
    {
      table: 'messages',
      columns: ['id', 'session_id', 'position', 'role', 'content', 'confidence', ...WRITTEN],
      rows: volumeRows(block, messageRows),
    },
    {
      table: 'learning_paths',
      columns: ['id', 'student_id', 'title', 'subject', ...LEVEL_RANGE, 'estimated_hours', 'started_at', ...WRITTEN],
      rows: volumeRows(block, (user) => [pathRow(user)]),
    },
    {
      table: 'path_steps',
      columns: ['id', 'path_id', 'position', 'kind', 'title', 'estimated_minutes', ...WRITTEN],
      rows: volumeRows(block, stepRows),
    },
    {
      table: 'progress',
      columns: ['id', 'path_id', 'step_id', 'percent', 'time_spent_minutes', 'started_at', 'completed_at', ...WRITTEN],
      rows: volumeRows(block, (user) => [progressRow(user)]),
    },
    {
      table: 'cards',
      columns: ['id', 'student_id', 'front', 'back', 'due_at', ...WRITTEN],
      rows: volumeRows(block, (user) => [cardRow(user)]),
    },
    {
      table: 'card_reviews',
      columns: ['id', 'card_id', 'number', 'rating', 'reviewed_at', 'created_at'],
      rows: volumeRows(block, (user) => [reviewRow(user)]),
    },
  ];
}

const TOPICS = ['Python Basics', 'Algebra', 'Web Development', 'Data Science', 'Financial Literacy'] as const;
const LEVELS = ['beginner', 'intermediate', 'advanced'] as const;

interface VolumeUser {
  readonly index: number;
  readonly topic: string;
  readonly level: string;
  readonly started: Date;
  readonly ended: Date;
}

function volumeRows(block: SeedBlock, rowsOf: (user: VolumeUser) => SeedRow[]): Iterable<SeedRow> {
  return rowsPerUser(block, (index, { now }) => {
    const startedMs = now.getTime() - ((index % 300) + 1) * DAY_MS;
    return rowsOf({
      index,
      topic: TOPICS[index % TOPICS.length] ?? TOPICS[0],
      level: LEVELS[index % LEVELS.length] ?? LEVELS[0],
      started: new Date(startedMs),
      ended: new Date(startedMs + HOUR_MS),
    });
  });
}

function profileRow({ index, topic, started, ended }: VolumeUser): SeedRow {
  const [id, student] = [volumeId('sapiens.StudentProfile', index), volumeId('auth.User', index)];
  return [id, student, [topic], ended, started, ended];
}

/** Every fifth session is still active. */
function sessionRow({ index, topic, started, ended }: VolumeUser): SeedRow {
  const [id, student] = [volumeId('sapiens.TutoringSession', index), volumeId('auth.User', index)];
  return index % 5 === 0
    ? [id, student, topic, 'active', started, null, null, started, started]
    : [id, student, topic, 'completed', started, ended, 60, started, ended];
}

function messageRows({ index, topic, started }: VolumeUser): SeedRow[] {
  const session = volumeId('sapiens.TutoringSession', index);
  const ask = `Where do I start with ${topic}?`;
  const answer = 'With one small problem of your own. What made you curious?';
  return [
    [volumeId('sapiens.Message', index * 2), session, 1, 'student', ask, null, started, started],
    [volumeId('sapiens.Message', index * 2 + 1), session, 2, 'tutor', answer, 0.9, started, started],
  ];
}

function pathRow({ index, topic, level, started }: VolumeUser): SeedRow {
  const [id, student] = [volumeId('sapiens.LearningPath', index), volumeId('auth.User', index)];
  return [id, student, `${topic} Path`, topic, level, 'expert', 40, started, started, started];
}

function stepRows({ index, topic, started }: VolumeUser): SeedRow[] {
  const path = volumeId('sapiens.LearningPath', index);
  return [
    [volumeId('sapiens.PathStep', index * 2), path, 1, 'lesson', `${topic}: first steps`, 120, started, started],
    [volumeId('sapiens.PathStep', index * 2 + 1), path, 2, 'project', `${topic}: on your own`, 480, started, started],
  ];
}

/** Every third user has completed the first step. */
function progressRow({ index, started, ended }: VolumeUser): SeedRow {
  const [id, path] = [volumeId('sapiens.Progress', index), volumeId('sapiens.LearningPath', index)];
  const [percent, completed] = index % 3 === 0 ? [100, ended] : [index % 100, null];
  return [id, path, volumeId('sapiens.PathStep', index * 2), percent, 60, started, completed, started, ended];
}

function cardRow({ index, topic, started }: VolumeUser): SeedRow {
  const [id, student] = [volumeId('sapiens.Card', index), volumeId('auth.User', index)];
  return [id, student, `Where does ${topic} begin?`, 'With one small problem.', started, started, started];
}

const RATINGS = ['again', 'hard', 'good', 'easy'] as const;

function reviewRow({ index, ended }: VolumeUser): SeedRow {
  const [id, card] = [volumeId('sapiens.CardReview', index), volumeId('sapiens.Card', index)];
  return [id, card, 1, RATINGS[index % RATINGS.length] ?? 'good', ended, ended];
}
