export { type Mint, type MintTransaction, openMint } from './client';
export { Prisma, $Enums } from './generated/client';
