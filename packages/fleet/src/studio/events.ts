import { z } from 'zod';
import { changeDeadIn } from '../operations/events/consumers';
import { withLog } from '../operations/events/log-target';
import type { StudioContext } from '../operations/studio/context';
import { canChangeEvents } from '../operations/studio/events';
import { type Caller, recordAction } from './audit';
import { badRequest, readOnly } from './errors';

const DeadLetterRequest = z.strictObject({
  action: z.enum(['retry', 'discard']),
  consumer: z.string().min(1).max(100),
  position: z.string().regex(/^\d{1,18}$/),
});

/** For the administrator's session: the page waits for the answer. */
const LIMITS = `SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '15s'`;

/**
 * Delivers a dead letter again or gives it up, and records this in the audit log of nexus in the same transaction.
 * @throws {SuiteError} `STUDIO.READ_ONLY`, `STUDIO.BAD_REQUEST`, `EVENTS.UNKNOWN_CONSUMER`, `EVENTS.NO_DEAD_LETTER`
 */
export async function changeDeadLetter(context: StudioContext, body: unknown, caller: Caller): Promise<unknown> {
  if (!canChangeEvents(context)) throw readOnly();
  const { success, data } = DeadLetterRequest.safeParse(body);
  if (!success) throw badRequest('It must be { action, consumer, position }.');
  const { action, consumer, position } = data;
  return withLog(context.targets, async (client) => {
    await client.query(`BEGIN; ${LIMITS}`);
    // Without a COMMIT, the end of the session rolls back.
    const positions = await changeDeadIn(client, action, consumer, position);
    const resource = { type: 'deliveries', id: `${position},${consumer}` };
    await recordAction(client, { action: `studio.${action}-dead-letter`, resource }, caller);
    await client.query('COMMIT');
    return { ok: true, positions };
  });
}
