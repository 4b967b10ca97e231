import type { TestDatabase } from '@azora/db-testkit';
import {
  type Conversation,
  type Family,
  type Member,
  openFamily,
  type SaveMemberInput,
  saveMember,
  startConversation,
} from '../src';

let made = 0;

/** A name that no other row of the test file has. */
export function fresh(what: string): string {
  made += 1;
  return `${what}-${made}`;
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Family[] {
  return Array.from({ length: count }, () => openFamily({ url: db.url, pool: { max: 4, connectTimeoutMs: 60_000 } }));
}

export function givenMember(family: Family, change: Partial<SaveMemberInput> = {}): Promise<Member> {
  const slug = fresh('member');
  return saveMember(family, {
    ...{ slug, name: slug, role: 'Teacher', background: 'Taught half the village.', traits: ['wise'] },
    ...change,
  });
}

/** An open conversation of a new user, with a new member unless one is given. */
export async function givenTalk(family: Family, memberId?: string): Promise<Conversation> {
  return startConversation(family, { userId: fresh('ada'), memberId: memberId ?? (await givenMember(family)).id });
}

/** The ids of a conversation, as most functions take them. */
export function idsOf({ id, userId }: Conversation): { readonly conversationId: string; readonly userId: string } {
  return { conversationId: id, userId };
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}

/** The names of the events of a key in the outbox, in order, without service and version. */
export async function eventsFor(db: TestDatabase, key: string): Promise<readonly string[]> {
  const rows = await db.admin('SELECT type FROM outbox WHERE key = $1 ORDER BY position', [key]);
  return rows.map(({ type }) => String(type).replace(/^family\.(.*)\.v1$/, '$1'));
}
