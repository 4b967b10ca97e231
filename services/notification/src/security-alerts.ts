import { type CloudEvent, defineConsumer } from '@azora/db-core/events';
import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { NotificationsTransaction } from './client';
import { readInput } from './errors';
import type { NotificationType } from './generated/client';
import { notifyWithin } from './notify.store';

interface Alert {
  readonly type: NotificationType;
  readonly title: string;
  readonly message: string;
}

const warning = (title: string, message: string): Alert => ({ type: 'warning', title, message });
const NOT_YOU = 'If it was not you, reset your password at once.';

/** What a user is told about each security event of auth. */
const ALERTS: Readonly<Record<string, Alert>> = {
  'auth.password-changed.v1': warning('Your password was changed', `All other sessions have ended. ${NOT_YOU}`),
  'auth.password-reset.v1': warning('Your password was reset', `All sessions have ended. ${NOT_YOU}`),
  'auth.account-locked.v1': warning(
    'Your account is locked for a time',
    `There were too many wrong passwords or codes. ${NOT_YOU}`,
  ),
  'auth.account-unlocked.v1': { type: 'info', title: 'Your account is unlocked', message: 'You can sign in again.' },
  'auth.factor-blocked.v1': {
    type: 'error',
    title: 'Your second factor is blocked',
    message: 'After too many wrong codes, only a recovery code is accepted.',
  },
  'auth.token-reused.v1': {
    type: 'error',
    title: 'A session was ended for your safety',
    message: `Someone used an old token of it. ${NOT_YOU}`,
  },
  'auth.sessions-revoked.v1': warning('Your sessions were ended', 'Sign in again on your other devices.'),
  'auth.mfa-enabled.v1': { type: 'success', title: 'A second factor is on', message: 'Your account is safer now.' },
  'auth.mfa-disabled.v1': warning('All second factors are off', `Your password alone opens the account. ${NOT_YOU}`),
  'auth.recovery-codes-replaced.v1': warning('You have new recovery codes', `The earlier ones do not work. ${NOT_YOU}`),
};

const ofUser = z.looseObject({ userId: idInput });

/**
 * Tells users what happened to the security of their accounts, at once and whatever they prefer, in the app and by email. A process
 * passes it to `bus.subscribe`.
 */
export const securityAlerts = defineConsumer({
  name: 'notification.security-alerts',
  types: Object.keys(ALERTS),
  handle: async (tx: NotificationsTransaction, { id, type, data }: CloudEvent) => {
    const alert = ALERTS[type];
    if (alert === undefined) return;
    const { userId } = readInput(ofUser, data);
    await notifyWithin(tx, {
      ...alert,
      userId,
      source: 'auth',
      actionUrl: '/settings/security',
      channels: ['email'],
      urgent: true,
      idempotencyKey: `auth-event:${id}`,
    });
  },
});
