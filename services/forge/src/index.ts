export type { Difference } from '@azora/db-core';
export type { Page, PageInput } from '@azora/db-core/paging';
export {
  type AcceptInput,
  type ApplicationActionInput,
  type ApplyInput,
  acceptApplication,
  applyToJob,
  type GetApplicationInput,
  getApplication,
  type ListApplicationsInput,
  listApplications,
  type MilestoneInput,
  rejectApplication,
  shortlistApplication,
  withdrawApplication,
} from './applications.store';
export { type Forge, type ForgeTransaction, openForge } from './client';
export {
  approveWork,
  type CancelContractInput,
  type ContractDetails,
  cancelContract,
  type GetContractInput,
  getContract,
  type ListContractsInput,
  listContracts,
  type MilestoneActionInput,
  refundMilestone,
  requestChanges,
  submitWork,
  type WorkInput,
} from './contracts.store';
export {
  type Award,
  type DisputeActionInput,
  type GetDisputeInput,
  getDispute,
  type ListDisputesInput,
  listDisputes,
  type OpenDisputeInput,
  openDispute,
  type ResolveDisputeInput,
  resolveDispute,
  reviewDispute,
  withdrawDispute,
} from './disputes.store';
export { FORGE_ERROR_CODES, type ForgeErrorCode } from './errors';
export {
  type ConfirmFundingInput,
  type ConfirmSettlementInput,
  cancelFunding,
  confirmFunding,
  confirmSettlement,
  type FundMilestoneInput,
  fundMilestone,
  type GetEscrowInput,
  getEscrow,
} from './escrow.store';
export { EVENTS } from './events';
export { $Enums, Prisma } from './generated/client';
export {
  cancelJob,
  closeJob,
  deleteJob,
  type GetJobInput,
  getJob,
  type JobActionInput,
  type ListJobsInput,
  listJobs,
  type PostJobInput,
  postJob,
  publishJob,
  restoreJob,
  type SearchJobsInput,
  searchJobs,
  type UpdateJobInput,
  updateJob,
} from './jobs.store';
export { type Erasure, erasePerson, exportPerson, type PersonExport } from './person.store';
export {
  type FindSkillProfileInput,
  findSkillProfile,
  type ListSkillProfilesInput,
  listSkillProfiles,
  type SaveSkillProfileInput,
  saveSkillProfile,
} from './profiles.store';
export {
  type GetReputationInput,
  getReputation,
  type ListRatingsInput,
  listRatings,
  type RateContractInput,
  type Reputation,
  rateContract,
  type Score,
} from './ratings.store';
export { reconcile } from './reconcile.store';
export type { Application, Contract, Dispute, Escrow, Job, Milestone, Rating, SkillProfile } from './rows';
