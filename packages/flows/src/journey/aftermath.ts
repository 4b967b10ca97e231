import { changePassword } from '@azora/auth';
import { findWallet } from '@azora/education';
import { listLogs } from '@azora/health';
import { getWallet } from '@azora/mint';
import { listNotifications } from '@azora/notification';
import type { Journey } from './context';
import type { Story } from './facts';
import type { People } from './sign-up';

/** Ada changes her password, and the flow of security alerts tells her that it was changed. */
export async function beNotified({ stores, run, say, until }: Journey, { ada }: People): Promise<void> {
  const { auth, notification } = stores;
  const passwords = { currentPassword: ada.password, newPassword: `another journey of ${run}` };
  await changePassword(auth, { userId: ada.userId, ...passwords });
  const told = await until('the notification about the password', async () => {
    const { notifications } = await listNotifications(notification, { userId: ada.userId, source: 'auth' });
    return notifications.find(({ title }) => title === 'Your password was changed');
  });
  say(`${ada.name} changes her password, and is told: "${told.title}".`);
}

/** The last events of each service reach the log of health, and the study wallet of Ada has the balance of mint. */
export async function beLogged({ stores, say, until }: Journey, { people, enrollment, job }: Story): Promise<void> {
  const { education, health, mint } = stores;
  const { userId, walletId } = people.ada;
  const events = {
    'auth.password-changed.v1': userId,
    'education.certificate-issued.v1': enrollment.studentId,
    'forge.contract-rated.v1': job.contractId,
    'mint.knowledge-rewarded.v1': walletId,
    'notification.notification-sent.v1': userId,
  };
  for (const [type, key] of Object.entries(events)) {
    await until(`${type} in the log of health`, async () => {
      const { lines } = await listLogs(health, { text: `"${key}"`, limit: 1_000 });
      return lines.find(({ message }) => message === `${type} ${key}`);
    });
  }
  const { balance } = await getWallet(mint, { walletId });
  await until('the balance of the study wallet', async () => {
    const copy = await findWallet(education, { studentId: enrollment.studentId });
    return copy?.balance.eq(balance) === true ? copy : null;
  });
  say('Every event is in the log of health, by its ids.');
}
