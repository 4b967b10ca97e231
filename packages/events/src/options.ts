import { inputReader } from '@azora/db-core/input';
import { z } from 'zod';

/** Rejects options with `EVENTS.INVALID_INPUT`. With them, a bus would stand still, or repeat what the database rejects. */
export const readOptions = inputReader('EVENTS.INVALID_INPUT');

export const busOptions = z.object({ pollMs: z.int().min(1).max(3_600_000) });

export const relayOptions = z.object({ service: z.string().regex(/^[a-z][a-z0-9-]{0,49}$/) });

export const subscribeOptions = z.object({
  batch: z.int().min(1).max(10_000).optional(),
  from: z.enum(['start', 'now']).optional(),
});
