import type { Template } from './client';
import type { ItemModel } from './generated/models';

export interface AddItemInput {
  /** An auth.User. */
  readonly userId: string;
  readonly name: string;
}

export interface ListItemsInput {
  readonly userId: string;
}

/** Adds an item to those of a user, once per name: a repeated call returns the item that the first call added. */
export function addItem(template: Template, { userId, name }: AddItemInput): Promise<ItemModel> {
  return template.transaction(async (tx) => {
    await tx.item.createMany({ data: { userId, name }, skipDuplicates: true });
    return tx.item.findUniqueOrThrow({ where: { userId_name: { userId, name } } });
  });
}

/** Returns the items of a user, the newest first. */
export function listItems({ prisma }: Template, { userId }: ListItemsInput): Promise<readonly ItemModel[]> {
  return prisma.item.findMany({ where: { userId }, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] });
}
