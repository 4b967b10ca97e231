import {
  type Cursor,
  cursorInput,
  microsOf,
  type Page,
  type PageInput,
  pageFields,
  pageOf,
  timeOfMicros,
} from '@azora/db-core/paging';
import { z } from 'zod';
import type { Nexus } from './client';
import { itemNotFound, readInput } from './errors';
import { itemFields, itemTypeInput, itemTypesInput, localeInput, topicsInput } from './input';
import { type Item, modelOf, onlyRow, type Row } from './rows';

const MAX_ITEMS = 10_000;
const MAX_SIMILAR = 100;

export interface ItemInput {
  /** Such as course, job, path or member. */
  readonly itemType: string;
  /** The id of the item in the service that owns it. */
  readonly itemId: string;
  /** At most 50 topics, like the interests of people; upper and lower case are the same. */
  readonly tags?: readonly string[];
  /** Recommend it only to people of this language; null recommends it to everybody. */
  readonly locale?: string | null;
  /** False: recommend it to nobody. True for a new item. */
  readonly isAvailable?: boolean;
}

export interface SaveItemsInput {
  /** 1 to 10000, each item once. */
  readonly items: readonly ItemInput[];
}

export interface GetItemInput {
  readonly itemType: string;
  readonly itemId: string;
}

export interface ListItemsInput extends PageInput {
  readonly itemType?: string;
}

export interface ListSimilarItemsInput extends GetItemInput {
  readonly itemTypes?: readonly string[];
  /** 1 to 100; 10 when absent. */
  readonly limit?: number;
}

/** An item that people use together with another one. */
export interface SimilarItem {
  readonly itemType: string;
  readonly itemId: string;
  /** Above 0, at most 1. */
  readonly similarity: number;
}

const saveInput = z.strictObject({
  items: z
    .array(
      z.strictObject({
        ...itemFields,
        tags: topicsInput.optional(),
        locale: localeInput.nullable().optional(),
        isAvailable: z.boolean().optional(),
      }),
    )
    .min(1)
    .max(MAX_ITEMS)
    .refine(
      (items) => new Set(items.map(({ itemType, itemId }) => `${itemType} ${itemId}`)).size === items.length,
      'names an item twice',
    ),
});
const getInput = z.strictObject(itemFields);
const listInput = z.strictObject({
  itemType: itemTypeInput.optional(),
  limit: pageFields.limit,
  // An item is listed by its number.
  cursor: cursorInput.refine(({ id }) => /^\d{1,18}$/.test(id), 'is not a cursor of this list').optional(),
});
const similarInput = z.strictObject({
  ...itemFields,
  itemTypes: itemTypesInput.optional(),
  limit: z.int().min(1).max(MAX_SIMILAR).default(10),
});

/**
 * Describes items for recommendations, in one statement; the fields of an item that are absent keep their values. Returns the number
 * of items.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function saveItems(nexus: Nexus, input: SaveItemsInput): Promise<number> {
  const { items } = readInput(saveInput, input);
  const rows = await nexus.query<{ saved: number }>({
    text: 'SELECT save_items($1) AS saved',
    values: [JSON.stringify(items)],
  });
  return onlyRow(rows).saved;
}

/**
 * An item of the catalog.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`, `NEXUS.ITEM_NOT_FOUND`
 */
export async function getItem(nexus: Nexus, input: GetItemInput): Promise<Item> {
  const { itemType, itemId } = readInput(getInput, input);
  const [row] = await nexus.query<Row>({
    text: `SELECT ${COLUMNS} FROM items WHERE item_type = $1 AND item_id = $2`,
    values: [itemType, itemId],
  });
  if (row === undefined) throw itemNotFound({ itemType, itemId });
  return modelOf<Item>(row);
}

const COLUMNS = 'item_type, item_id, tags, locale, is_available, created_at, updated_at';
const LIST = `SELECT ${COLUMNS}, id::text, ${microsOf('created_at')} AS micros FROM items
  WHERE ($1::text IS NULL OR item_type = $1)
    AND ($2::bigint IS NULL OR (created_at, id) < (${timeOfMicros('$2')}, $3::bigint))
  ORDER BY created_at DESC, id DESC LIMIT $4`;

/**
 * A page of the catalog, newest first.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function listItems(nexus: Nexus, input: ListItemsInput = {}): Promise<Page<Item>> {
  const { itemType, limit, cursor } = readInput(listInput, input);
  const found = await nexus.query<Row & Cursor>({
    text: LIST,
    values: [itemType ?? null, cursor?.micros ?? null, cursor?.id ?? null, limit + 1],
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { items: rows.map(({ id: _id, ...row }) => modelOf<Item>(row)), nextCursor };
}

const SIMILAR = 'SELECT item_type, item_id, similarity FROM similar_items($1, $2, $3, $4)';

/**
 * The available items that people use together with an item, the most similar first: the weight of the pair over the root of the
 * product of the popularities (cosine), damped by three fresh signals. Empty for an item that nobody has used.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function listSimilarItems(nexus: Nexus, input: ListSimilarItemsInput): Promise<readonly SimilarItem[]> {
  const { itemType, itemId, itemTypes, limit } = readInput(similarInput, input);
  const rows = await nexus.query<Row>({ text: SIMILAR, values: [itemType, itemId, itemTypes ?? null, limit] });
  return rows.map((row) => modelOf<SimilarItem>(row));
}
