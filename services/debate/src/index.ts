export { type Debate, type DebateTransaction, openDebate } from './client';
export { Prisma, $Enums } from './generated/client';
