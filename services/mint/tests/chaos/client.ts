import { setTimeout as sleep } from 'node:timers/promises';
import { accrueRewards, type Mint, releaseExpired } from '../../src';
import { writeEnds } from './acknowledged';
import { chooseOperation, chooseReuse } from './choices';
import { databaseTime } from './clock';
import { type Answer, codeOf, isLost, isWithoutEffect, type Operation } from './operations';
import { type Random, randomOf } from './random';
import { acknowledge, blame, count, isOver, type World } from './world';

/** Without an answer in this time the run has a problem. */
const ANSWER_TIMEOUT_MS = 120_000;

/** Runs operations one after the other until the run is over. */
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

/** Sends an acknowledged request again: it must get its first answer. */
async function repeat(world: World, mint: Mint, random: Random): Promise<void> {
  if (world.recent.length === 0) return;
  const { operation, text } = random.pick(world.recent);
  const again = await answerOf(world, mint, { ...operation, expected: [] }, random);
  count(world.answered, 'repeat');
  if (again !== undefined && again.text !== text) {
    blame(world, `${operation.kind} ${operation.key} got the answer ${text}, then ${again.text}`);
  }
}

/** Sends another request under a used key. */
async function reuse(world: World, mint: Mint, random: Random): Promise<void> {
  if (world.recent.length === 0) return;
  const { operation } = random.pick(world.recent);
  const other = chooseReuse(world, random, operation.key);
  const answer = await answerOf(world, mint, { ...other, kind: 'reuse', expected: ['MINT.KEY_REUSED'] }, random);
  if (answer !== undefined)
    blame(world, `the key ${operation.key} was used by a ${operation.kind}, then by a ${other.kind}`);
}

/** Sends one request twice at once: it takes effect once, and both calls get its answer. */
async function sendTwins(world: World, mint: Mint, random: Random, key: string): Promise<void> {
  const operation = chooseOperation(world, random, key);
  const answers = await Promise.all([0, 1].map(() => answerOf(world, mint, operation, random)));
  const [first, second] = answers.filter((answer) => answer !== undefined);
  if (first === undefined) return;
  if (second !== undefined) count(world.answered, 'twins');
  if (second !== undefined && first.text !== second.text) {
    blame(world, `the twins ${operation.kind} ${key} got the answers ${first.text} and ${second.text}`);
  }
  acknowledge(world, operation, first, random);
}

/** Sends a request until it has an answer; undefined when it is rejected. */
export async function answerOf(
  world: World,
  mint: Mint,
  operation: Operation,
  random: Random,
): Promise<Answer | undefined> {
  let lost = 0;
  for (const deadline = Date.now() + ANSWER_TIMEOUT_MS; Date.now() < deadline; await sleep(random.int(20))) {
    const outcome = await attempt(world, mint, operation, lost > 0);
    if (typeof outcome !== 'string') return outcome;
    if (!isLost(outcome) && !isWithoutEffect(outcome)) {
      reject(world, operation, outcome, lost);
      return undefined;
    }
    lost += Number(isLost(outcome));
    count(world.events, isLost(outcome) ? 'answers lost' : 'without effect');
  }
  blame(world, `${operation.kind} ${operation.key} had no answer within ${ANSWER_TIMEOUT_MS / 1000} s`);
  return undefined;
}

/** Sends a request once: its answer, or the code of its error. */
async function attempt(world: World, mint: Mint, operation: Operation, wasLost: boolean): Promise<Answer | string> {
  // An answer that is older than this attempt is the answer of a lost one.
  const sentAt = wasLost ? await databaseTime(mint) : undefined;
  try {
    const answer = await operation.send(mint);
    if (sentAt !== undefined && answer.at !== undefined)
      count(world.events, answer.at < sentAt ? 'arrived' : 'not arrived');
    return answer;
  } catch (error) {
    return codeOf(error);
  }
}

function reject(world: World, operation: Operation, code: string, lost: number): void {
  const { kind, key, expected } = operation;
  if (!expected.includes(code)) blame(world, `${kind} ${key} was rejected: ${code}`);
  count(world.rejected, `${kind} ${code}`);
  if (lost > 0 && code !== 'MINT.KEY_REUSED') world.inDoubt.push(operation);
}

/** Releases expired holds. The call has no key, so nobody knows what it released when its answer is lost. */
async function sweep(world: World, mint: Mint): Promise<void> {
  try {
    const freed = await releaseExpired(mint);
    count(world.answered, 'sweep');
    writeEnds(
      world.acknowledged,
      freed.map(({ id }) => ({ holdId: id, how: 'expired 0' })),
    );
  } catch (error) {
    const code = codeOf(error);
    if (isLost(code)) world.lostSweeps += 1;
    else if (!isWithoutEffect(code)) blame(world, `a sweep was rejected: ${code}`);
  }
}

/** Accrues the rewards of one stake, sometimes of all. Accruing is idempotent, so a lost answer does not matter. */
async function accrue(world: World, mint: Mint, random: Random): Promise<void> {
  const { activeStakes } = world;
  const isOfAll = activeStakes.length === 0 || random.chance(0.02);
  try {
    await accrueRewards(mint, isOfAll ? {} : { stakeId: random.pick(activeStakes).id });
    count(world.answered, isOfAll ? 'accrue all' : 'accrue');
  } catch (error) {
    const code = codeOf(error);
    if (!isLost(code) && !isWithoutEffect(code)) blame(world, `an accrual was rejected: ${code}`);
  }
}
