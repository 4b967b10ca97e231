export { type Health, type HealthTransaction, openHealth } from './client';
export { Prisma, $Enums } from './generated/client';
