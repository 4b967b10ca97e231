import { login, register, verifyEmail } from '@azora/auth';
import { mint, openWallet } from '@azora/mint';
import type { Journey } from './context';

export interface Person {
  readonly name: string;
  readonly email: string;
  readonly password: string;
  readonly userId: string;
  /** The AZR wallet. */
  readonly walletId: string;
}

/** Ada learns and works, Ben teaches, and Kofi has work. */
export type People = Readonly<Record<'ada' | 'ben' | 'kofi', Person>>;

/** People register, verify their addresses, and get a wallet with the money that they bring along. */
export async function signUp(journey: Journey): Promise<People> {
  const people = {
    ada: await join(journey, 'Ada', '60'),
    ben: await join(journey, 'Ben', '0'),
    kofi: await join(journey, 'Kofi', '300'),
  };
  const { ada } = people;
  await login(journey.stores.auth, { email: ada.email, password: ada.password });
  journey.say('Ada, Ben and Kofi sign up. Ada brings 60 AZR, and Kofi 300 AZR.');
  return people;
}

async function join({ stores: { auth, mint: ledger }, run }: Journey, name: string, brings: string): Promise<Person> {
  const email = `${name.toLowerCase()}.${run}@example.com`;
  const password = `journey of ${run} and back`;
  // An address for documentation: registrations are limited for each network.
  const device = { ipAddress: `2001:db8:${run.slice(0, 4)}:${run.slice(4)}::1` };
  const { userId, verificationToken } = await register(auth, { email, password, name, device });
  await verifyEmail(auth, { token: verificationToken, device });
  const { id: walletId } = await openWallet(ledger, { userId, currency: 'AZR' });
  if (brings !== '0') await mint(ledger, { to: walletId, amount: brings, idempotencyKey: `journey:${userId}` });
  return { name, email, password, userId, walletId };
}
