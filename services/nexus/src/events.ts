import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id of this or another service, as `newId` and the seed make them. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);

const nexus = { service: 'nexus', version: 1 } as const;
const ofUser = ({ userId }: { readonly userId: string }) => userId;
const profile = { profileId: id, userId: id };

export const profileCreated = defineEvent({
  ...nexus,
  name: 'profile-created',
  about: 'A person has a profile: it was saved, or the first interaction or recommendation made it.',
  data: z.strictObject(profile),
  key: ofUser,
});

export const profileChanged = defineEvent({
  ...nexus,
  name: 'profile-changed',
  about: 'Fields of a profile changed; their values are not in the event.',
  data: z.strictObject({
    ...profile,
    fields: z.array(z.enum(['interests', 'preferences', 'locale', 'personalized'])).min(1),
  }),
  key: ofUser,
});

export const profileErased = defineEvent({
  ...nexus,
  name: 'profile-erased',
  about: 'The profile of a person was deleted, with everything that belonged to it.',
  data: z.strictObject(profile),
  key: ofUser,
});

export const recommended = defineEvent({
  ...nexus,
  name: 'recommended',
  about: 'Items were recommended to a person that were not open to the person before.',
  data: z.strictObject({ userId: id, recommendationIds: z.array(id).min(1).max(100) }),
  key: ofUser,
});

export const recommendationAnswered = defineEvent({
  ...nexus,
  name: 'recommendation-answered',
  about: 'A person accepted or dismissed a recommendation.',
  data: z.strictObject({
    recommendationId: id,
    userId: id,
    itemType: z.string().regex(/^[a-z][a-z0-9-]{0,49}$/),
    itemId: id,
    answer: z.enum(['accepted', 'dismissed']),
  }),
  key: ofUser,
});

/** Every event that this service publishes. */
export const EVENTS = [profileCreated, profileChanged, profileErased, recommended, recommendationAnswered] as const;
