import { createHash, randomBytes } from 'node:crypto';
import { idInput, rowIdInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Debate } from './client';
import { readInput } from './errors';
import { lifetimeInput } from './input';
import { callFor, listRows, type ShareLink } from './rows';

/** `private` is for the owner, `team` for the organization, `public` for everybody with the token. */
export type Visibility = 'private' | 'team' | 'public';

interface ShareRules {
  readonly visibility?: Visibility;
  /** An auth.Organization; a team link needs one. */
  readonly orgId?: string;
  /** Milliseconds from now; a link without it never expires. */
  readonly expiresInMs?: number;
  readonly allowComments?: boolean;
  readonly allowForking?: boolean;
}

export interface CreateShareLinkInput extends ShareRules {
  readonly debateId: string;
  /** An auth.User. */
  readonly ownerId: string;
}

export interface ShareLinkInput {
  readonly debateId: string;
  /** The owner. */
  readonly by: string;
}

export interface UpdateShareLinkInput extends ShareLinkInput, Omit<ShareRules, 'expiresInMs'> {
  /** Null removes the expiry. */
  readonly expiresInMs?: number | null;
}

export interface FollowShareLinkInput {
  readonly token: string;
  /** Who looks; nobody who is signed in when absent. */
  readonly userId?: string;
  /** The organizations in which the caller has found this person to be a member. */
  readonly orgIds?: readonly string[];
}

export interface ListShareLinksInput extends PageInput {
  readonly ownerId: string;
}

export interface NewShareLink {
  /** Shown once: the database has only its hash. */
  readonly token: string;
  readonly link: ShareLink;
}

const TOKEN_BYTES = 32;

const rules = {
  orgId: idInput.optional(),
  allowComments: z.boolean().optional(),
  allowForking: z.boolean().optional(),
};
const visibilityInput = z.enum(['private', 'team', 'public']);
const createInput = z.strictObject({
  ...rules,
  debateId: idInput,
  ownerId: idInput,
  visibility: visibilityInput.default('private'),
  expiresInMs: lifetimeInput.optional(),
  allowComments: z.boolean().default(false),
  allowForking: z.boolean().default(false),
});
const oneInput = z.strictObject({ debateId: rowIdInput, by: rowIdInput });
const updateInput = oneInput.extend({
  ...rules,
  visibility: visibilityInput.optional(),
  expiresInMs: lifetimeInput.nullable().optional(),
});
const followInput = z.strictObject({
  token: textInput(200),
  userId: rowIdInput.optional(),
  orgIds: z.array(rowIdInput).max(1_000).default([]),
});
const listInput = z.strictObject({ ownerId: rowIdInput, ...pageFields });

/** A token that nobody can guess, and what the database keeps of it. */
function newToken(): { readonly token: string; readonly hash: string } {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  return { token, hash: hashOf(token) };
}

function hashOf(token: string): string {
  return `sha256:${createHash('sha256').update(token).digest('hex')}`;
}

/**
 * Makes the link of a debate and returns its token, which cannot be read again.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.SHARE_EXISTS`
 */
export async function createShareLink(debate: Debate, input: CreateShareLinkInput): Promise<NewShareLink> {
  const { token, hash } = newToken();
  const values = [hash, JSON.stringify(readInput(createInput, input))];
  return { token, link: await callFor<ShareLink>(debate, 'SELECT * FROM create_share_link($1, $2)', values) };
}

const UPDATE = 'SELECT * FROM update_share_link($1, $2, $3, $4)';

/**
 * Changes who can see a debate and what they can do; fields that are absent stay.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.SHARE_NOT_FOUND`
 */
export async function updateShareLink(debate: Debate, input: UpdateShareLinkInput): Promise<ShareLink> {
  const { debateId, by, ...changes } = readInput(updateInput, input);
  return callFor(debate, UPDATE, [debateId, by, null, JSON.stringify(changes)]);
}

/**
 * Gives a link a new token; the old one ends.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.SHARE_NOT_FOUND`
 */
export async function rotateShareToken(debate: Debate, input: ShareLinkInput): Promise<NewShareLink> {
  const { debateId, by } = readInput(oneInput, input);
  const { token, hash } = newToken();
  return { token, link: await callFor<ShareLink>(debate, UPDATE, [debateId, by, hash, '{}']) };
}

/**
 * Deletes the link of a debate.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.SHARE_NOT_FOUND`
 */
export async function revokeShareLink(debate: Debate, input: ShareLinkInput): Promise<ShareLink> {
  const { debateId, by } = readInput(oneInput, input);
  return callFor(debate, 'SELECT * FROM revoke_share_link($1, $2)', [debateId, by]);
}

/**
 * Opens a link: checks visibility and expiry by the clock of the database, counts the view and returns the link; concurrent views are all
 * counted.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`, `DEBATE.SHARE_NOT_FOUND`
 */
export async function followShareLink(debate: Debate, input: FollowShareLinkInput): Promise<ShareLink> {
  const { token, userId, orgIds } = readInput(followInput, input);
  return callFor(debate, 'SELECT * FROM follow_share_link($1, $2, $3)', [hashOf(token), userId ?? null, orgIds]);
}

/**
 * A page of the links of a person, newest first.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function listShareLinks(debate: Debate, input: ListShareLinksInput): Promise<Page<ShareLink>> {
  const { ownerId, limit, cursor } = readInput(listInput, input);
  const where = { owner_id: ownerId };
  return listRows<ShareLink>(debate, { table: 'share_links', where, key: 'debate_id', limit, cursor });
}
