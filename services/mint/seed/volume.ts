import { type CopyValue, type SeedBlock, seedId, type TableRows, volumeId } from '@azora/db-core';

type Row = readonly CopyValue[];

const DAY_MS = 86_400_000;
const daysBefore = (now: Date, days: number) => new Date(now.getTime() - days * DAY_MS);

const PYTHON = seedId('education.Course.python');
/** The ids that the migration gives to the system wallets of a new database. */
const TREASURY = 'treasury-AZR';
const STAKING = 'staking-AZR';
const VOLUME_WELCOME = 500;
const VOLUME_STAKE = 40;
const stakes = (user: number) => user % 4 === 0;
const minedBy = (user: number) => 5 + (user % 20);
const givenBy = (user: number) => 1 + (user % 9);

/** The rows of the users of one block. They refer to rows of the same block and to fixed rows only. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    {
      table: 'wallets',
      columns: ['id', 'user_id', 'created_at', 'updated_at'],
      rows: eachUser(block, walletRows),
    },
    {
      table: 'requests',
      columns: ['key', 'operation', 'body_hash', 'answer', 'created_at'],
      rows: eachUser(block, requestRows),
    },
    {
      table: 'stakes',
      columns: ['id', 'wallet_id', 'amount', 'annual_rate', 'started_at', 'locked_until', 'created_at', 'updated_at'],
      rows: eachUser(block, stakeRows),
    },
    {
      table: 'transactions',
      columns: ['id', 'type', 'from_id', 'to_id', 'stake_id', 'amount', 'description', 'request_key', 'created_at'],
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

/** The receiver of a user's gift. Gifts form a ring within the block, so balances depend on one block only. */
function neighbour(user: number, { firstUser, userCount }: SeedBlock): number | null {
  return userCount === 1 ? null : firstUser + ((user - firstUser + 1) % userCount);
}

/** New wallets are empty; the transactions fill them. */
function walletRows(user: number, { now }: SeedBlock): Row[] {
  const openedAt = daysBefore(now, 45);
  return [[wallet(user), volumeId('auth.User', user), openedAt, openedAt]];
}

function stakeRows(user: number, { now }: SeedBlock): Row[] {
  if (!stakes(user)) return [];
  const at = daysBefore(now, 20);
  return [[volumeId('mint.Stake', user), wallet(user), VOLUME_STAKE, '0.08', at, daysBefore(now, -70), at, at]];
}

interface Entry {
  readonly place: number;
  readonly type: string;
  readonly from: string;
  readonly to: string;
  readonly stakeId: string | null;
  readonly amount: number;
  readonly description: string;
  readonly daysAgo: number;
}

/** The transactions of one user, in the order of time. */
function entriesOf(user: number, block: SeedBlock): readonly Entry[] {
  const receiver = neighbour(user, block);
  const entries: readonly (Omit<Entry, 'place' | 'stakeId'> & { stakeId?: string })[] = [
    {
      type: 'mint',
      from: TREASURY,
      to: wallet(user),
      amount: VOLUME_WELCOME,
      description: 'Welcome bonus',
      daysAgo: 45,
    },
    {
      type: 'mining',
      from: TREASURY,
      to: wallet(user),
      amount: minedBy(user),
      description: 'Proof of Knowledge',
      daysAgo: 30,
    },
    ...(receiver === null
      ? []
      : [
          {
            type: 'transfer',
            from: wallet(user),
            to: wallet(receiver),
            amount: givenBy(user),
            description: 'Thank you',
            daysAgo: 25,
          },
        ]),
    ...(stakes(user)
      ? [
          {
            type: 'stake',
            from: wallet(user),
            to: STAKING,
            stakeId: volumeId('mint.Stake', user),
            amount: VOLUME_STAKE,
            description: 'Stake',
            daysAgo: 20,
          },
        ]
      : []),
  ];
  return entries.map((entry, place) => ({ stakeId: null, ...entry, place }));
}

const transactionId = (user: number, place: number) => volumeId('mint.Transaction', user * 4 + place);
const requestKey = (user: number, place: number) => `volume:${user}:${place}`;

function requestRows(user: number, block: SeedBlock): Row[] {
  return entriesOf(user, block).map(({ place, type, daysAgo }) => {
    const id = transactionId(user, place);
    // A number in hex instead of a digest, because hashing every row takes too long.
    const hash = (user * 4 + place).toString(16).padStart(64, '0');
    return [requestKey(user, place), type, hash, { transactionIds: [id] }, daysBefore(block.now, daysAgo)];
  });
}

function transactionRows(user: number, block: SeedBlock): Row[] {
  return entriesOf(user, block).map(({ place, type, from, to, stakeId, amount, description, daysAgo }) => {
    const at = daysBefore(block.now, daysAgo);
    return [transactionId(user, place), type, from, to, stakeId, amount, description, requestKey(user, place), at];
  });
}

function miningRows(user: number, { now }: SeedBlock): Row[] {
  const at = daysBefore(now, 30);
  const score = (60 + (user % 40)) / 100;
  // A number in hex instead of a digest: it is unique, and hashing every row takes too long.
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
      transactionId(user, 1),
      at,
      at,
      at,
    ],
  ];
}
