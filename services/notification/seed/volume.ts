import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId } from '@azora/db-core';

const DAY_MS = 86_400_000;
const PER_USER = 4;
const TYPES = ['info', 'warning', 'success', 'error'];

/** Each user has four notifications, one of each type; the newest is unread. */
export function volume(block: SeedBlock): readonly TableRows[] {
  const columns = ['id', 'user_id', 'type', 'title', 'message', 'is_read', 'read_at', 'created_at', 'updated_at'];
  return [{ table: 'notifications', columns, rows: rowsPerUser(block, notifications) }];
}

function* notifications(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const userId = volumeId('auth.User', user);
  for (let n = 0; n < PER_USER; n += 1) {
    const index = user * PER_USER + n;
    const at = new Date(now.getTime() - (PER_USER - n + (index % 60)) * DAY_MS);
    const isRead = n < PER_USER - 1;
    const id = volumeId('notification.Notification', index);
    yield [
      id,
      userId,
      TYPES[n] ?? 'info',
      `News ${n + 1}`,
      `Message ${n + 1} of user ${user}`,
      isRead,
      isRead ? at : null,
      at,
      at,
    ];
  }
}
