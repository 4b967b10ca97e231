import { rowIdInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

export const descriptionInput: z.ZodType<string> = textInput(500);

export const currencyInput = z.enum(['AZR', 'BTC', 'ETH', 'USD']);

export const walletInput = z.strictObject({ walletId: rowIdInput });
