import { SuiteError } from '@azora/db-core';
import { type Hold, type Mint, release } from '@azora/mint';

/**
 * Runs an action that must succeed, because the money has moved or a decision is final. A refusal would end the saga; as an error without
 * a code it is tried again, and the saga gets stuck, where `azora-db migrate doctor` reports it and `retrySaga` continues it.
 */
export async function mustSucceed<Result>(action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof SuiteError) || error.code.startsWith('DATABASE.')) throw error;
    const temporary = new Error(error.message, { cause: error });
    // The table of sagas keeps the name of an error.
    temporary.name = error.code;
    throw temporary;
  }
}

/** Releases the hold that a step placed under its key, if it did and the hold is still open. */
export async function releaseHoldOf(mint: Mint, runKey: string, idempotencyKey: string): Promise<void> {
  const open: Pick<Hold, 'id'> | null = await mint.prisma.hold.findFirst({
    where: { requestKey: runKey, status: 'held' },
    select: { id: true },
  });
  if (open !== null) await release(mint, { holdId: open.id, idempotencyKey });
}
