export { type Nexus, type NexusTransaction, openNexus } from './client';
export { $Enums, Prisma } from './generated/client';
