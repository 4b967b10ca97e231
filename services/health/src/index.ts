export { type Health, type HealthTransaction, openHealth } from './client';
export { $Enums, Prisma } from './generated/client';
