import { type CopyValue, type SeedBlock, seedId, type TableRows, volumeId } from '@azora/db-core';

type Row = readonly CopyValue[];

const DAY_MS = 86_400_000;
const daysBefore = (now: Date, days: number) => new Date(now.getTime() - days * DAY_MS);

const PYTHON = seedId('education.Course.python');
const VOLUME_WELCOME = 500;
const VOLUME_STAKE = 40;
const stakes = (user: number) => user % 4 === 0;
const minedBy = (user: number) => 5 + (user % 20);
const givenBy = (user: number) => 1 + (user % 9);

/** What the users of one block own here; only they and the fixed rows are referred to. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    {
      table: 'wallets',
      columns: ['id', 'user_id', 'balance', 'earned', 'created_at', 'updated_at'],
      rows: eachUser(block, walletRows),
    },
    {
      table: 'stakes',
      columns: ['id', 'wallet_id', 'amount', 'annual_rate', 'started_at', 'locked_until', 'created_at', 'updated_at'],
      rows: eachUser(block, stakeRows),
    },
    {
      table: 'transactions',
      columns: ['id', 'type', 'from_id', 'to_id', 'stake_id', 'amount', 'description', 'idempotency_key', 'created_at'],
      rows: eachUser(block, transactionRows),
    },
    {
      table: 'mining_records',
      columns: [
        'id',
        'wallet_id',
        'activity',
        'course_id',
        'proof_hash',
        'knowledge_score',
        'reward',
        'status',
        'transaction_id',
        'decided_at',
        'created_at',
        'updated_at',
      ],
      rows: eachUser(block, miningRows),
    },
  ];
}

function* eachUser(block: SeedBlock, rowsOf: (user: number, block: SeedBlock) => Row[]): Generator<Row> {
  for (let n = 0; n < block.userCount; n += 1) yield* rowsOf(block.firstUser + n, block);
}

const wallet = (user: number) => volumeId('mint.Wallet', user);

/** Gifts go round the block in a ring: every balance depends on its own block only. A lone user gives to nobody. */
function neighbour(user: number, { firstUser, userCount }: SeedBlock, step: number): number | null {
  return userCount === 1 ? null : firstUser + ((user - firstUser + step + userCount) % userCount);
}

function walletRows(user: number, block: SeedBlock): Row[] {
  const giver = neighbour(user, block, -1);
  const gifts = giver === null ? 0 : givenBy(giver) - givenBy(user);
  const balance = VOLUME_WELCOME + minedBy(user) + gifts - (stakes(user) ? VOLUME_STAKE : 0);
  const openedAt = daysBefore(block.now, 45);
  return [[wallet(user), volumeId('auth.User', user), balance, minedBy(user), openedAt, openedAt]];
}

function stakeRows(user: number, { now }: SeedBlock): Row[] {
  if (!stakes(user)) return [];
  const at = daysBefore(now, 20);
  return [[volumeId('mint.Stake', user), wallet(user), VOLUME_STAKE, '0.08', at, daysBefore(now, -70), at, at]];
}

function transactionRows(user: number, block: SeedBlock): Row[] {
  const entry = (n: number, type: string, sides: Row, amount: number, description: string, daysAgo: number): Row => {
    const id = volumeId('mint.Transaction', user * 4 + n);
    return [id, type, ...sides, amount, description, `volume:${user}:${n}`, daysBefore(block.now, daysAgo)];
  };
  const receiver = neighbour(user, block, 1);
  const rows = [
    entry(0, 'mint', [null, wallet(user), null], VOLUME_WELCOME, 'Welcome bonus', 45),
    entry(1, 'mining', [null, wallet(user), null], minedBy(user), 'Proof of Knowledge', 30),
  ];
  if (receiver !== null) {
    rows.push(entry(2, 'transfer', [wallet(user), wallet(receiver), null], givenBy(user), 'Thank you', 25));
  }
  if (stakes(user)) {
    rows.push(entry(3, 'stake', [wallet(user), null, volumeId('mint.Stake', user)], VOLUME_STAKE, 'Stake', 20));
  }
  return rows;
}

function miningRows(user: number, { now }: SeedBlock): Row[] {
  const at = daysBefore(now, 30);
  const score = (60 + (user % 40)) / 100;
  // A number in hex, not a digest: unique, and nothing is hashed per row.
  const proof = user.toString(16).padStart(64, '0');
  return [
    [
      volumeId('mint.MiningRecord', user),
      wallet(user),
      'lesson',
      PYTHON,
      proof,
      score,
      minedBy(user),
      'rewarded',
      volumeId('mint.Transaction', user * 4 + 1),
      at,
      at,
      at,
    ],
  ];
}
