import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId } from '@azora/db-core';

const DAY_MS = 86_400_000;
const PER_USER = 2;

/** Each user has two items. */
export function volume(block: SeedBlock): readonly TableRows[] {
  const columns = ['id', 'user_id', 'name', 'created_at', 'updated_at'];
  return [{ table: 'items', columns, rows: rowsPerUser(block, items) }];
}

function* items(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const userId = volumeId('auth.User', user);
  for (let n = 0; n < PER_USER; n += 1) {
    const index = user * PER_USER + n;
    const at = new Date(now.getTime() - ((index % 60) + 1) * DAY_MS);
    yield [volumeId('template.Item', index), userId, `Item ${n + 1}`, at, at];
  }
}
