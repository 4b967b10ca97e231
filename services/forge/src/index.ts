export { type Forge, type ForgeTransaction, openForge } from './client';
export { $Enums, Prisma } from './generated/client';
