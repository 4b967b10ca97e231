/**
 * Waits for statements that were begun at once, each in a session of its own as copies of a service have, and returns the
 * names of the constraints that refused some of them.
 */
export async function refusalsOf(statements: readonly Promise<unknown>[]): Promise<readonly unknown[]> {
  const settled = await Promise.allSettled(statements);
  return settled.flatMap((result) => (result.status === 'rejected' ? [result.reason.constraint ?? result.reason] : []));
}
