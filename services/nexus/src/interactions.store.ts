import { newId } from '@azora/db-core';
import { idInput, type JsonObject, jsonObjectInput, textInput, timeInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Nexus } from './client';
import { readInput } from './errors';
import { itemFields } from './input';
import { type Interaction, listRows, onlyRow } from './rows';

const MAX_INTERACTIONS = 10_000;
const MAX_CONTEXT = 4_096;
const MAX_DURATION_MS = 7 * 86_400_000;

export type InteractionKind = z.infer<typeof kindInput>;

export interface InteractionInput {
  /** An auth.User; makes the profile if it is missing. */
  readonly userId: string;
  /** Names the event of the user: an event that is sent again counts once. */
  readonly eventId: string;
  readonly kind: InteractionKind;
  /** Such as course, job, path or member. The item is added to the catalog, except the item of a search. */
  readonly itemType: string;
  /** The id of the item in the service that owns it; of a search, the words with hyphens. */
  readonly itemId: string;
  /** 1, the worst, to 5; of the kind `rate`, which needs it. */
  readonly rating?: number;
  /** Milliseconds, at most 7 days. */
  readonly durationMs?: number;
  /** Now when absent; at most a year ago. Up to 5 minutes in the future count as now. */
  readonly occurredAt?: Date;
  /** Where it happened, as a JSON object of at most 4096 characters. */
  readonly context?: JsonObject;
}

export interface TrackInput {
  /** 1 to 10000, of any users. */
  readonly interactions: readonly InteractionInput[];
}

export interface Tracked {
  readonly recorded: number;
  /** Events that were recorded before, or are twice in the call. */
  readonly repeated: number;
}

export interface ListInteractionsInput extends PageInput {
  readonly userId: string;
  readonly kind?: InteractionKind;
}

const kindInput = z.enum(['view', 'click', 'search', 'complete', 'dismiss', 'rate']);
const interactionInput = z
  .strictObject({
    userId: idInput,
    eventId: textInput(200),
    kind: kindInput,
    ...itemFields,
    rating: z.int().min(1).max(5).optional(),
    durationMs: z.int().min(0).max(MAX_DURATION_MS).optional(),
    occurredAt: timeInput.transform((time) => time.toISOString()).optional(),
    context: jsonObjectInput(MAX_CONTEXT, 'characters').default({}),
  })
  .refine(({ kind, rating }) => (kind === 'rate') === (rating !== undefined), {
    message: 'belongs to the kind rate, which needs it',
    path: ['rating'],
  });
const trackInput = z.strictObject({ interactions: z.array(interactionInput).min(1).max(MAX_INTERACTIONS) });
const listInput = z.strictObject({ userId: idInput, kind: kindInput.optional(), ...pageFields });

/**
 * Records interactions in one transaction, each event of a user once: all of them, or none. The next recommendations of the user take
 * them into account at once, those of others after refreshProfiles().
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`, `NEXUS.EVENT_REUSED`
 */
export async function track(nexus: Nexus, input: TrackInput): Promise<Tracked> {
  const { interactions } = readInput(trackInput, input);
  const profiles = [...new Set(interactions.map(({ userId }) => userId))].map((userId) => ({ id: newId(), userId }));
  const rows = interactions.map((interaction) => ({ id: newId(), ...interaction }));
  return onlyRow(
    await nexus.query<Tracked & Record<string, unknown>>({
      text: 'SELECT recorded, repeated FROM track_interactions($1, $2)',
      values: [JSON.stringify(profiles), JSON.stringify(rows)],
    }),
  );
}

/**
 * A page of the interactions of a user, the last that arrived first.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function listInteractions(nexus: Nexus, input: ListInteractionsInput): Promise<Page<Interaction>> {
  const { userId, kind, limit, cursor } = readInput(listInput, input);
  const from = '(SELECT n.*, u.user_id FROM interactions AS n JOIN user_profiles AS u ON u.id = n.profile_id) AS n';
  const page = await listRows<Interaction & { userId?: string }>(nexus, {
    from,
    where: { user_id: userId, kind },
    limit,
    cursor,
  });
  return { ...page, items: page.items.map(({ userId: _userId, ...interaction }) => interaction) };
}
