import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId } from '@azora/db-core';

const HOUR_MS = 3_600_000;
const INTERACTIONS_PER_USER = 4;
const KINDS = ['view', 'click', 'complete', 'rate'];

/** Each user has a profile, four interactions and a recommendation. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    {
      table: 'user_profiles',
      columns: ['id', 'user_id', 'interests', 'preferences', 'last_active_at', 'created_at', 'updated_at'],
      rows: perUser(block, profile),
    },
    {
      table: 'interactions',
      columns: ['id', 'profile_id', 'kind', 'item_type', 'item_id', 'duration_ms', 'occurred_at', 'created_at'],
      rows: perUser(block, interactions),
    },
    {
      table: 'recommendations',
      columns: ['id', 'profile_id', 'item_type', 'item_id', 'score', 'reason', 'created_at', 'updated_at'],
      rows: perUser(block, recommendation),
    },
  ];
}

function perUser(block: SeedBlock, rowsOf: (user: number, at: Date) => SeedRow[]): Iterable<SeedRow> {
  return rowsPerUser(block, (user, { now }) => rowsOf(user, new Date(now.getTime() - (1 + (user % 1_000)) * HOUR_MS)));
}

function profile(user: number, at: Date): SeedRow[] {
  const interests = user % 2 === 0 ? ['python', 'data'] : ['web'];
  return [
    [volumeId('nexus.UserProfile', user), volumeId('auth.User', user), interests, { format: 'video' }, at, at, at],
  ];
}

function interactions(user: number, at: Date): SeedRow[] {
  const profileId = volumeId('nexus.UserProfile', user);
  return KINDS.map((kind, n) => {
    const id = volumeId('nexus.Interaction', user * INTERACTIONS_PER_USER + n);
    return [id, profileId, kind, 'course', `course-${(user + n) % 50}`, 1_000 + n, at, at];
  });
}

function recommendation(user: number, at: Date): SeedRow[] {
  const id = volumeId('nexus.Recommendation', user);
  const score = (user % 100) / 100;
  return [
    [
      id,
      volumeId('nexus.UserProfile', user),
      'course',
      `course-${user % 50}`,
      score,
      'Others like you took it.',
      at,
      at,
    ],
  ];
}
