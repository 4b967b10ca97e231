export { openSapiens, type Sapiens, type SapiensTransaction } from './client';
export { $Enums, Prisma } from './generated/client';
