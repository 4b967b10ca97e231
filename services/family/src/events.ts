import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id of this or another service, as `newId` and the seed make them. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);

const family = { service: 'family', version: 1 } as const;
const ofConversation = ({ conversationId }: { readonly conversationId: string }) => conversationId;
const conversation = { conversationId: id, userId: id, memberId: id };

export const memberSaved = defineEvent({
  ...family,
  name: 'member-saved',
  about: 'A member was added or changed.',
  data: z.strictObject({ memberId: id, isActive: z.boolean() }),
  key: ({ memberId }) => memberId,
});

export const conversationStarted = defineEvent({
  ...family,
  name: 'conversation-started',
  about: 'A user started a conversation with a member.',
  data: z.strictObject(conversation),
  key: ofConversation,
});

export const conversationEnded = defineEvent({
  ...family,
  name: 'conversation-ended',
  about: 'A conversation ended; nothing is added to it any more.',
  data: z.strictObject({ ...conversation, messages: z.int().min(0) }),
  key: ofConversation,
});

export const conversationDeleted = defineEvent({
  ...family,
  name: 'conversation-deleted',
  about: 'A user deleted a conversation with its messages.',
  data: z.strictObject(conversation),
  key: ofConversation,
});

export const messageAdded = defineEvent({
  ...family,
  name: 'message-added',
  about: 'A message was added to a conversation. The member is the one who answers, or whom the user talks with.',
  data: z.strictObject({
    ...conversation,
    messageId: id,
    role: z.enum(['user', 'member', 'system']),
    position: z.int().min(1),
  }),
  key: ofConversation,
});

export const interactionRecorded = defineEvent({
  ...family,
  name: 'interaction-recorded',
  about: 'A user and a member interacted, in a conversation or otherwise.',
  data: z.strictObject({
    ...{ interactionId: id, userId: id, memberId: id },
    kind: z.enum(['greeting', 'question', 'advice', 'encouragement', 'celebration', 'story', 'routing']),
  }),
  key: ({ userId }) => userId,
});

/** The events that family publishes; prisma/migrations/20261202000002_operations writes them. */
export const EVENTS = [
  memberSaved,
  conversationStarted,
  conversationEnded,
  conversationDeleted,
  messageAdded,
  interactionRecorded,
] as const;
