export { type Forge, type ForgeTransaction, openForge } from './client';
export { Prisma, $Enums } from './generated/client';
