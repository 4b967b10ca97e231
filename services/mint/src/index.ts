export { type Mint, type MintTransaction, openMint } from './client';
export { $Enums, Prisma } from './generated/client';
