import type { ConstraintErrors } from '../database-errors';
import { SuiteError } from '../errors';

/** `EVENTS.INVALID_EVENT`: the outbox cannot hold this event. Names the field and never shows its value. */
export function invalidEvent(field: string, problem: string): SuiteError {
  return new SuiteError('EVENTS.INVALID_EVENT', 'The event cannot be published', {
    kind: 'usage',
    why: `${field}: ${problem}.`,
    next: 'Correct the event and repeat the transaction',
    meta: { fields: [field] },
  });
}

/** The errors of every store by the constraints of its outbox. SQL of the service may publish as well. */
export const EVENT_CONSTRAINT_ERRORS: ConstraintErrors = {
  outbox_type_check: () => invalidEvent('type', 'is not of the form service.name.v1'),
  outbox_service_check: () => invalidEvent('type', 'belongs to another service'),
  outbox_key_check: () => invalidEvent('key', 'is blank'),
  outbox_payload_check: () => invalidEvent('data', 'is not an object'),
  outbox_payload_size_check: () => invalidEvent('data', 'is larger than 128 KiB'),
  outbox_trace_parent_check: () => invalidEvent('traceParent', 'is not a W3C traceparent'),
};
