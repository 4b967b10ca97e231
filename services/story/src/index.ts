export { openStory, type Story, type StoryTransaction } from './client';
export { $Enums, Prisma } from './generated/client';
