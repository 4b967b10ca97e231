export { type Auth, type AuthTransaction, openAuth } from './client';
export { $Enums, Prisma } from './generated/client';
