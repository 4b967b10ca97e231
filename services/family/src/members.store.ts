import { newId } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Family } from './client';
import { memberNotFound, readInput } from './errors';
import type { Mood } from './generated/client';
import { contentText, moodInput, titleText } from './input';
import { callFor, type Member, modelOf, type Row } from './rows';

/** How a member sees a relative: as its parent, its child and so on. */
const RELATIONS = ['parent', 'child', 'sibling', 'friend', 'coordinator', 'coordinated'] as const;

/** Read as: the member is the <relation> of the relative. */
export type Relation = (typeof RELATIONS)[number];

export interface SaveMemberInput {
  /** The name in code: lower-case letters, digits and single hyphens. */
  readonly slug: string;
  readonly name: string;
  readonly role: string;
  /** The background from which prompts are built. */
  readonly background: string;
  /** 1 to 20 words. */
  readonly traits: readonly string[];
  /** The mood at the start of a conversation; neutral when absent. */
  readonly mood?: Mood;
  /** Sampling temperature of the answers, 0 to 2; 0.7 when absent. */
  readonly temperature?: number;
  readonly avatarUrl?: string;
  /** True when absent. An inactive member keeps its history and takes part in nothing new. */
  readonly isActive?: boolean;
}

export interface GetMemberInput {
  readonly slug: string;
}

export interface ListMembersInput {
  /** Inactive members as well. */
  readonly inactive?: boolean;
}

export interface RelateMembersInput {
  readonly memberId: string;
  readonly relativeId: string;
  readonly relation: Relation;
}

export interface ListRelationshipsInput {
  readonly memberId: string;
}

/** A relationship as one of its two members sees it. */
export interface Relationship {
  readonly memberId: string;
  readonly relativeId: string;
  readonly relation: Relation;
  readonly createdAt: Date;
}

const slugInput = z
  .string()
  .max(100)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'is not made of lower-case letters, digits and single hyphens');
const saveInput = z.strictObject({
  slug: slugInput,
  name: titleText,
  role: titleText,
  background: contentText,
  traits: z.array(textInput(100)).min(1).max(20),
  mood: moodInput.default('neutral'),
  temperature: z.number().min(0).max(2).default(0.7),
  avatarUrl: textInput(2_000).optional(),
  isActive: z.boolean().default(true),
});
const getInput = z.strictObject({ slug: slugInput });
const listInput = z.strictObject({ inactive: z.boolean().default(false) });
const relateInput = z.strictObject({ memberId: idInput, relativeId: idInput, relation: z.enum(RELATIONS) });
const tiesInput = z.strictObject({ memberId: idInput });

/**
 * Adds the member with this slug, or replaces what it says about itself.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.NAME_TAKEN`
 */
export async function saveMember(family: Family, input: SaveMemberInput): Promise<Member> {
  const body = readInput(saveInput, input);
  return callFor(family, 'SELECT * FROM save_member($1, $2)', [newId(), JSON.stringify(body)]);
}

/**
 * A member by its slug.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.MEMBER_NOT_FOUND`
 */
export async function getMember(family: Family, input: GetMemberInput): Promise<Member> {
  const { slug } = readInput(getInput, input);
  const [row] = await family.query<Row>({ text: 'SELECT * FROM family_members WHERE slug = $1', values: [slug] });
  if (row === undefined) throw memberNotFound({ slug });
  return modelOf<Member>(row);
}

/**
 * The members by name; they are few, so the list has no pages.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function listMembers(family: Family, input: ListMembersInput = {}): Promise<readonly Member[]> {
  const { inactive } = readInput(listInput, input);
  const text = 'SELECT * FROM family_members WHERE is_active OR $1 ORDER BY name, id';
  return (await family.query<Row>({ text, values: [inactive] })).map((row) => modelOf<Member>(row));
}

/**
 * Relates two members. Both see the relationship at once, each from its side; one that exists stays.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.MEMBER_NOT_FOUND`, `FAMILY.RELATIONSHIP_CYCLE`, `FAMILY.RELATIONSHIP_CONFLICT`
 */
export async function relateMembers(family: Family, input: RelateMembersInput): Promise<void> {
  const { memberId, relativeId, relation } = readInput(relateInput, input);
  await family.query({ text: 'SELECT relate_members($1, $2, $3)', values: [memberId, relativeId, relation] });
}

/**
 * Removes a relationship from both sides. Returns whether it existed.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function unrelateMembers(family: Family, input: RelateMembersInput): Promise<boolean> {
  const { memberId, relativeId, relation } = readInput(relateInput, input);
  const values = [memberId, relativeId, relation];
  const [row] = await family.query<{ existed: boolean }>({
    text: 'SELECT unrelate_members($1, $2, $3) AS existed',
    values,
  });
  return row?.existed === true;
}

/**
 * The relationships of a member as it sees them, by relation.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function listRelationships(
  family: Family,
  input: ListRelationshipsInput,
): Promise<readonly Relationship[]> {
  const { memberId } = readInput(tiesInput, input);
  const text = 'SELECT * FROM ties_of($1) ORDER BY relation, relative_id';
  return (await family.query<Row>({ text, values: [memberId] })).map((row) => modelOf<Relationship>(row));
}
