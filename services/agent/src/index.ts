export { type Agent, type AgentTransaction, openAgent } from './client';
export { $Enums, Prisma } from './generated/client';
