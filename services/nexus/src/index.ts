export { type Nexus, type NexusTransaction, openNexus } from './client';
export { Prisma, $Enums } from './generated/client';
