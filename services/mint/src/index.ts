export { type Anchor, type AnchorPage, type ListAnchorsInput, listAnchors } from './anchors.store';
export { type Mint, type MintTransaction, openMint } from './client';
export { MINT_ERROR_CODES, type MintErrorCode } from './errors';
export { EVENTS } from './events';
export {
  $Enums,
  type MiningActivity,
  Prisma,
} from './generated/client';
export { type BalanceAtInput, balanceAt, type HistoryInput, type HistoryPage, history } from './history.store';
export {
  type CaptureInput,
  capture,
  type GetHoldInput,
  getHold,
  type HoldInput,
  hold,
  type ReleaseExpiredInput,
  type ReleaseInput,
  release,
  releaseExpired,
} from './holds.store';
export { type BurnInput, burn, type MintInput, mint } from './issuance.store';
export { type SubmitKnowledgeInput, submitKnowledge } from './knowledge.store';
export {
  halvings,
  KNOWLEDGE_SCHEDULE,
  type KnowledgeRewardInput,
  knowledgeDifficulty,
  knowledgeReward,
} from './knowledge-schedule';
export { type SnapshotMetricsInput, snapshotMetrics } from './metrics.store';
export {
  divideHalfEven,
  type FractionInput,
  type Numeric,
  SECONDS_A_YEAR,
  type StakingRewardInput,
  stakingReward,
} from './rates';
export { type Difference, type ReconcileInput, reconcile } from './reconcile.store';
export type { EconomicMetrics, Hold, MiningRecord, Stake, Transaction, Wallet } from './rows';
export {
  type AccruedRewards,
  type AccrueRewardsInput,
  accrueRewards,
  type ClaimRewardsInput,
  claimRewards,
  DEFAULT_RATES,
  defaultRate,
  type GetStakeInput,
  getStake,
  LOCK_DAYS,
  type StakeInput,
  stake,
  type Unstaked,
  type UnstakeInput,
  unstake,
} from './stakes.store';
export type { TransferInput, TransferOrder } from './transfer-input';
export { type TransferManyInput, transfer, transferMany } from './transfers.store';
export {
  type CloseWalletInput,
  closeWallet,
  findWallet,
  type GetWalletInput,
  getWallet,
  type OpenWalletInput,
  openWallet,
} from './wallets.store';
