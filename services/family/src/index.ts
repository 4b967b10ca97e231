export { type Family, type FamilyTransaction, openFamily } from './client';
export { $Enums, Prisma } from './generated/client';
