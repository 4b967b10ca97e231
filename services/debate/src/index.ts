export { type Debate, type DebateTransaction, openDebate } from './client';
export { $Enums, Prisma } from './generated/client';
