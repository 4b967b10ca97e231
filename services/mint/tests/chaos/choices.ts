import { textOf } from './acknowledged';
import {
  burnOf,
  captureOf,
  claimOf,
  holdOf,
  issueOf,
  knowledgeOf,
  type Operation,
  releaseOf,
  stakeOf,
  transferManyOf,
  transferOf,
  unstakeOf,
} from './operations';
import type { Random } from './random';
import type { ChaosWallet, World } from './world';

type Choice = (world: World, random: Random, key: string) => Operation | undefined;

const HOUR_MS = 3_600_000;
const ACTIVITIES = ['lesson', 'course', 'assessment', 'tutoring', 'contribution'] as const;

/** The first wallet is chosen more often than the others. */
function pickWallet({ wallets }: World, random: Random): ChaosWallet {
  return random.pick(random.chance(0.1) ? wallets.slice(0, 1) : wallets);
}

/** Mostly another wallet of the same currency; sometimes any wallet, which may be rejected. */
function pickReceiver({ wallets }: World, random: Random, { id, currency }: ChaosWallet): string {
  if (random.chance(0.01)) return random.pick(wallets).id;
  return random.pick(wallets.filter((wallet) => wallet.currency === currency && wallet.id !== id)).id;
}

/** Up to 100, sometimes a few units of the last decimal, sometimes more than any balance. */
function pickAmount(random: Random): string {
  if (random.chance(0.02)) return String(1_000_000 + random.int(1_000_000));
  if (random.chance(0.05)) return textOf(BigInt(1 + random.int(100)));
  return textOf(BigInt(1 + random.int(100)) * 10n ** 8n - BigInt(random.int(10 ** 8)));
}

/** Mostly removes the item from the list; sometimes leaves it, so that other clients compete for it. */
function takeOrShare<Item>(items: Item[], random: Random): Item | undefined {
  const index = random.int(items.length);
  const item = items[index];
  const last = items.length - 1;
  if (item !== undefined && random.chance(0.7)) {
    items[index] = items[last] ?? item;
    items.pop();
  }
  return item;
}

function chooseTransfer(world: World, random: Random, idempotencyKey: string): Operation {
  const payer = pickWallet(world, random);
  const to = pickReceiver(world, random, payer);
  const description = random.chance(0.2) ? { description: `Rent’s “due”; ${idempotencyKey}` } : {};
  return transferOf({ from: payer.id, to, amount: pickAmount(random), ...description, idempotencyKey });
}

function chooseTransfers(world: World, random: Random, idempotencyKey: string): Operation {
  const transfers = Array.from({ length: 2 + random.int(7) }, () => {
    const payer = pickWallet(world, random);
    return { from: payer.id, to: pickReceiver(world, random, payer), amount: pickAmount(random) };
  });
  return transferManyOf({ transfers, idempotencyKey });
}

function chooseHold(world: World, random: Random, idempotencyKey: string): Operation {
  const payer = pickWallet(world, random);
  const to = random.chance(0.5) ? { to: pickReceiver(world, random, payer) } : {};
  const hours = random.chance(0.2) ? 3 + random.int(24) : 48 + random.int(100);
  return holdOf({
    ...{ from: payer.id, ...to, amount: pickAmount(random), expiresIn: hours * HOUR_MS, idempotencyKey },
  });
}

const chooseCapture: Choice = (world, random, idempotencyKey) => {
  const found = takeOrShare(world.openHolds, random);
  if (found === undefined) return undefined;
  const { id: holdId, wallet, isDecided, units } = found;
  const isPart = units > 1n && random.chance(0.4);
  const part = isPart ? { amount: textOf(units / BigInt(2 + random.int(3)) || 1n) } : {};
  const to = isDecided ? {} : { to: pickReceiver(world, random, wallet) };
  return captureOf({ holdId, ...to, ...part, idempotencyKey }, units);
};

const chooseRelease: Choice = (world, random, idempotencyKey) => {
  const found = takeOrShare(world.openHolds, random);
  return found && releaseOf({ holdId: found.id, idempotencyKey });
};

const chooseStake: Choice = (world, random, idempotencyKey) => {
  const { id: walletId, currency } = pickWallet(world, random);
  const rate = random.chance(0.5) ? { annualRate: textOf(BigInt(1 + random.int(99)) * 10n ** 6n).slice(0, 4) } : {};
  const terms = { lockDays: 1 + random.int(4), ...rate };
  return stakeOf({ walletId, amount: pickAmount(random), ...terms, idempotencyKey }, world.system[currency]);
};

const chooseClaim: Choice = ({ activeStakes }, random, idempotencyKey) =>
  activeStakes.length === 0 ? undefined : claimOf({ stakeId: random.pick(activeStakes).id, idempotencyKey });

const chooseUnstake: Choice = ({ activeStakes, system }, random, idempotencyKey) => {
  // The older half, whose locks have ended more often.
  const found = activeStakes[random.int(Math.ceil(activeStakes.length / 2))];
  return found && unstakeOf({ stakeId: found.id, idempotencyKey }, system[found.currency], found.units);
};

const chooseIssue: Choice = (world, random, idempotencyKey) => {
  const type = random.chance(0.5) ? ('mint' as const) : ('reward' as const);
  return issueOf({ to: pickWallet(world, random).id, amount: pickAmount(random), type, idempotencyKey });
};

const chooseBurn: Choice = (world, random, idempotencyKey) =>
  burnOf({ from: pickWallet(world, random).id, amount: pickAmount(random), idempotencyKey });

const chooseKnowledge: Choice = (world, random, idempotencyKey) => {
  const learner = random.pick(world.wallets.filter(({ currency }) => currency === 'AZR'));
  const asked = { activity: random.pick(ACTIVITIES), proof: `proof ${random.int(100)}`, knowledgeScore: '0.9' };
  return knowledgeOf({ walletId: learner.id, ...asked, idempotencyKey }, world.system.AZR);
};

const MIX: readonly (readonly [weight: number, choice: Choice])[] = [
  [40, chooseTransfer],
  [4, chooseTransfers],
  [16, chooseHold],
  [10, chooseCapture],
  [5, chooseRelease],
  [5, chooseStake],
  [8, chooseClaim],
  [5, chooseUnstake],
  [2, chooseIssue],
  [2, chooseBurn],
  [3, chooseKnowledge],
];
const DECK = MIX.flatMap(([weight, choice]) => Array<Choice>(weight).fill(choice));

/** An operation under a new key. */
export function chooseOperation(world: World, random: Random, key: string): Operation {
  return random.pick(DECK)(world, random, key) ?? chooseTransfer(world, random, key);
}

/** Another request under a used key: its random amounts differ from those of the first request. */
export function chooseReuse(world: World, random: Random, key: string): Operation {
  return random.pick([chooseTransfer, chooseTransfers, chooseHold])(world, random, key);
}
