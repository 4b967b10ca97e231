export { type Family, type FamilyTransaction, openFamily } from './client';
export { Prisma, $Enums } from './generated/client';
