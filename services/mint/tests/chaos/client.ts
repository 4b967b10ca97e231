import { setTimeout as sleep } from 'node:timers/promises';
import { accrueRewards, type Mint, releaseExpired } from '../../src';
import { chooseOperation, chooseReuse } from './choices';
import { type Answer, codeOf, isLost, type Operation } from './operations';
import { type Random, randomOf } from './random';
import { writeEnds } from './told';
import { acknowledge, blame, count, isOver, type World } from './world';

/** A server that does not come back in this time is a fault. */
const PATIENCE_MS = 120_000;

/** Does one thing after the other until the world has had enough of them. */
export async function runClient(world: World, mint: Mint, name: string): Promise<void> {
  const random = randomOf(`${world.seed} ${name}`);
  for (let n = 0; !isOver(world); n += 1) {
    world.begun += 1;
    await takeTurn(world, mint, random, `${name}-${n}`);
  }
}

async function takeTurn(world: World, mint: Mint, random: Random, key: string): Promise<void> {
  const turn = random.int(1_000);
  if (turn < 100) return repeat(world, mint, random);
  if (turn < 120) return reuse(world, mint, random);
  if (turn < 150) return sendTwins(world, mint, random, key);
  if (turn < 155) return sweep(world, mint);
  if (turn < 200) return accrue(world, mint, random);
  const operation = chooseOperation(world, random, key);
  const answer = await answerOf(world, mint, operation, random);
  if (answer !== undefined) acknowledge(world, operation, answer, random);
}

/** Sends what was acknowledged again: the answer is the first one. */
async function repeat(world: World, mint: Mint, random: Random): Promise<void> {
  if (world.recent.length === 0) return;
  const { operation, text } = random.pick(world.recent);
  const again = await answerOf(world, mint, { ...operation, expected: [] }, random);
  count(world.answered, 'repeat');
  if (again !== undefined && again.text !== text) {
    blame(world, `${operation.kind} ${operation.key} was answered ${text}, then ${again.text}`);
  }
}

/** Sends another request under a key that is taken. */
async function reuse(world: World, mint: Mint, random: Random): Promise<void> {
  if (world.recent.length === 0) return;
  const { operation } = random.pick(world.recent);
  const other = chooseReuse(world, random, operation.key);
  const answer = await answerOf(world, mint, { ...other, kind: 'reuse', expected: ['MINT.KEY_REUSED'] }, random);
  if (answer !== undefined) blame(world, `${operation.key} was taken by a ${operation.kind}, then by a ${other.kind}`);
}

/** Sends the same request twice at once: one takes effect, and both have its answer. */
async function sendTwins(world: World, mint: Mint, random: Random, key: string): Promise<void> {
  const operation = chooseOperation(world, random, key);
  const answers = await Promise.all([0, 1].map(() => answerOf(world, mint, operation, random)));
  const [first, second] = answers.filter((answer) => answer !== undefined);
  if (first === undefined) return;
  if (second !== undefined) count(world.answered, 'twins');
  if (second !== undefined && first.text !== second.text) {
    blame(world, `twins ${operation.kind} ${key} were answered ${first.text} and ${second.text}`);
  }
  acknowledge(world, operation, first, random);
}

/** Sends a request until it is answered; undefined when it is refused. */
export async function answerOf(
  world: World,
  mint: Mint,
  operation: Operation,
  random: Random,
): Promise<Answer | undefined> {
  let lost = 0;
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await sleep(random.int(20))) {
    const sending = operation.send(mint);
    // The store looks at the clock before it waits for anything.
    const sentAt = world.clock.last();
    try {
      const answer = await sending;
      if (lost > 0 && answer.at !== undefined) count(world.events, answer.at === sentAt ? 'not arrived' : 'arrived');
      return answer;
    } catch (error) {
      const code = codeOf(error);
      if (!isLost(code)) {
        refuse(world, operation, code, lost);
        return undefined;
      }
      lost += 1;
      count(world.events, 'answers lost');
    }
  }
  blame(world, `${operation.kind} ${operation.key} had no answer in ${PATIENCE_MS / 1000} s`);
  return undefined;
}

function refuse(world: World, operation: Operation, code: string, lost: number): void {
  const { kind, key, expected } = operation;
  if (!expected.includes(code)) blame(world, `${kind} ${key} was refused: ${code}`);
  count(world.refused, `${kind} ${code}`);
  if (lost > 0 && code !== 'MINT.KEY_REUSED') world.inDoubt.push(operation);
}

/** Frees expired holds. There is no key, so of an answer that was lost only the time is known. */
async function sweep(world: World, mint: Mint): Promise<void> {
  const sending = releaseExpired(mint);
  const sentAt = world.clock.last();
  try {
    const freed = await sending;
    count(world.answered, 'sweep');
    writeEnds(
      world.told,
      freed.map(({ id }) => ({ holdId: id, how: 'expired 0' })),
    );
  } catch (error) {
    if (!isLost(codeOf(error))) blame(world, `a sweep was refused: ${codeOf(error)}`);
    world.lostSweeps.add(sentAt);
  }
}

/** Counts the rewards of one stake, sometimes of all. It does not matter how often, so nothing is repeated. */
async function accrue(world: World, mint: Mint, random: Random): Promise<void> {
  const { activeStakes } = world;
  const isOfAll = activeStakes.length === 0 || random.chance(0.02);
  try {
    await accrueRewards(mint, isOfAll ? {} : { stakeId: random.pick(activeStakes).id });
    count(world.answered, isOfAll ? 'accrue all' : 'accrue');
  } catch (error) {
    if (!isLost(codeOf(error))) blame(world, `an accrual was refused: ${codeOf(error)}`);
  }
}
