export { type Auth, type AuthTransaction, openAuth } from './client';
export { Prisma, $Enums } from './generated/client';
