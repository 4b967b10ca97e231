import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
const serviceName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/);
const port = z.int().min(1).max(65_535);
const status = z.enum(['running', 'stopped', 'degraded', 'error']);

const health = { service: 'health', version: 1 } as const;

export const statusChanged = defineEvent({
  ...health,
  name: 'status-changed',
  about: 'A check found an endpoint in another state than the check before, or for the first time.',
  data: z.strictObject({ serviceName, port, from: status.nullable(), to: status }),
  key: (data) => data.serviceName,
});

export const checkRecorded = defineEvent({
  ...health,
  name: 'check-recorded',
  about: 'An action of a service was checked against the constitution.',
  data: z.strictObject({ checkId: id, service: serviceName, verdict: z.enum(['compliant', 'warning', 'violation']) }),
  key: (data) => data.service,
});

const alert = z.strictObject({
  alertId: id,
  rule: z.string().regex(/^[a-z][a-z0-9-]{0,99}$/),
  kind: z.enum(['down', 'slow', 'silent', 'errors']),
  serviceName,
  /** Null for a rule about log lines. */
  port: port.nullable(),
});
const ofService = (data: { readonly serviceName: string }) => data.serviceName;

export const alertOpened = defineEvent({
  ...health,
  name: 'alert-opened',
  about: 'An endpoint or a service broke a rule.',
  data: alert,
  key: ofService,
});

export const alertAcknowledged = defineEvent({
  ...health,
  name: 'alert-acknowledged',
  about: 'A person has taken charge of an alert.',
  data: alert,
  key: ofService,
});

export const alertResolved = defineEvent({
  ...health,
  name: 'alert-resolved',
  about: 'The rule of an alert is kept again, was disabled, or a person resolved the alert.',
  data: alert,
  key: ofService,
});

/** The events that this service publishes. */
export const EVENTS = [statusChanged, checkRecorded, alertOpened, alertAcknowledged, alertResolved] as const;
