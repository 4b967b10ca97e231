export { type Sapiens, type SapiensTransaction, openSapiens } from './client';
export { Prisma, $Enums } from './generated/client';
