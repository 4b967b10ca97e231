import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId } from '@azora/db-core';

const HOUR_MS = 3_600_000;
const LINES_PER_USER = 4;
const LINES = [
  ['INFO', 'auth', 'Signed in'],
  ['INFO', 'education', 'Lesson finished'],
  ['DEBUG', 'nexus', 'Recommendations computed'],
  ['WARN', 'mint', 'A transfer was retried'],
];

/** Each user has four log lines, and every second user a constitutional check. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    // First, because its primary key finds a block that exists.
    {
      table: 'constitutional_logs',
      columns: [
        'id',
        'service',
        'action',
        'article',
        'verdict',
        'compliance_score',
        'reasoning',
        'user_id',
        'created_at',
      ],
      rows: rowsPerUser(block, checks),
    },
    {
      table: 'logs',
      columns: ['id', 'level', 'service', 'message', 'user_id', 'request_id', 'created_at'],
      rows: rowsPerUser(block, logs),
    },
  ];
}

function* logs(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const userId = volumeId('auth.User', user);
  for (let n = 0; n < LINES_PER_USER; n += 1) {
    const index = user * LINES_PER_USER + n;
    const at = new Date(now.getTime() - (1 + (index % 600)) * HOUR_MS);
    yield [volumeId('health.Log', index), ...(LINES[n] ?? []), userId, `volume-${index}`, at];
  }
}

function* checks(user: number, { now }: SeedBlock): Generator<SeedRow> {
  if (user % 2 === 1) return;
  const at = new Date(now.getTime() - (1 + (user % 600)) * HOUR_MS);
  const facts = [
    'sapiens',
    'answer-question',
    'Article 4: teach, do not tell',
    'compliant',
    0.95,
    'It leads to the solution.',
  ];
  yield [volumeId('health.ConstitutionalLog', user), ...facts, volumeId('auth.User', user), at];
}
