import type { Education } from '@azora/education';
import type { Forge } from '@azora/forge';
import type { Health } from '@azora/health';
import type { Mint } from '@azora/mint';
import type { Nexus } from '@azora/nexus';
import type { Notifications } from '@azora/notification';

/** The open stores that the flows call. The caller closes them after the flows have ended. */
export interface FlowStores {
  readonly education: Education;
  readonly forge: Forge;
  readonly health: Health;
  readonly mint: Mint;
  /** Keeps the sagas and the log of events. */
  readonly nexus: Nexus;
  readonly notification: Notifications;
}

/** Some of the stores, by their names. */
export type Stores<Name extends keyof FlowStores> = Pick<FlowStores, Name>;
