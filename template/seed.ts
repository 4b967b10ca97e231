import { defineSeed, type SeedContext, seedId } from '@azora/db-core';
import { volume } from './seed/volume';
import { openTemplate, type Template } from './src/index';

const HOUR_MS = 3_600_000;

/** The time in hours ago, the owner and the name. */
const ITEMS = [
  [48, 'student', 'Notebook'],
  [24, 'student', 'Pencil'],
  [12, 'educator', 'Whiteboard'],
] as const;

export const seed = defineSeed({ open: openTemplate, base, volume });

async function base({ prisma }: Template, { now, people }: SeedContext): Promise<void> {
  await prisma.item.createMany({
    data: ITEMS.map(([hoursAgo, person, name], index) => {
      const createdAt = new Date(now.getTime() - hoursAgo * HOUR_MS);
      return {
        id: seedId(`template.Item.${index}`),
        userId: people[person].id,
        name,
        createdAt,
        updatedAt: createdAt,
      };
    }),
    skipDuplicates: true,
  });
}
