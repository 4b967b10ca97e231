export type { Difference } from '@azora/db-core';
export type { Json, JsonObject } from '@azora/db-core/input';
export type { Page, PageInput } from '@azora/db-core/paging';
export { type ListAuditInput, listAudit, type RecordAuditInput, recordAudit } from './audit.store';
export { type Nexus, type NexusTransaction, openNexus } from './client';
export { NEXUS_ERROR_CODES, type NexusErrorCode } from './errors';
export { EVENTS } from './events';
export { $Enums, Prisma } from './generated/client';
export type { BatchInput } from './input';
export {
  type InteractionInput,
  type InteractionKind,
  type ListInteractionsInput,
  listInteractions,
  type Tracked,
  type TrackInput,
  track,
} from './interactions.store';
export {
  type GetItemInput,
  getItem,
  type ItemInput,
  type ListItemsInput,
  type ListSimilarItemsInput,
  listItems,
  listSimilarItems,
  type SaveItemsInput,
  type SimilarItem,
  saveItems,
} from './items.store';
export {
  expireRecommendations,
  type Pruned,
  pruneHistory,
  reconcile,
  refreshProfiles,
} from './maintenance.store';
export { type Erasure, erasePerson, exportPerson, type PersonExport } from './person.store';
export {
  findProfile,
  type GetProfileInput,
  getProfile,
  listProfiles,
  type SaveProfileInput,
  saveProfile,
} from './profiles.store';
export {
  acceptRecommendation,
  dismissRecommendation,
  getRecommendation,
  type ListRecommendationsInput,
  listRecommendations,
  type MarkShownInput,
  markShown,
  type RecommendationContext,
  type RecommendationInput,
  type RecommendInput,
  recommend,
} from './recommendations.store';
export type { AuditEntry, Interaction, Item, Profile, Recommendation } from './rows';
