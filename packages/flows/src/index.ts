export {
  ESCROW_FUNDING,
  ESCROW_SETTLEMENT,
  type EscrowInput,
  escrowConsumer,
  escrowFunding,
  escrowSettlement,
} from './escrow';
export type { JourneyStores } from './journey/context';
export type { Facts, JourneyReport } from './journey/facts';
export { type JourneyOptions, runJourney } from './journey/journey';
export {
  PAID_ENROLLMENT,
  type PaidEnrollment,
  paidEnrollment,
  type StartPaidEnrollmentInput,
  startPaidEnrollment,
} from './paid-enrollment';
export { REFUND, type Refund, refund, refundConsumer } from './refunds';
export { EVENT_TYPES, type FlowsOptions, flowSagas, runFlows } from './run-flows';
export type { FlowStores, Stores } from './stores';
