import type { Context } from '../context/prompt';
import type { InteractionKind, Mood } from '../generated/client';
import type { Message } from '../rows';

/** What a member answers. */
export interface Reply {
  /** At most 20,000 characters. */
  readonly content: string;
  /** The mood of the conversation when absent. */
  readonly mood?: Mood;
  /** What the exchange was; question when absent. */
  readonly kind?: InteractionKind;
}

export interface RespondOptions {
  /** Aborts a running answer. */
  readonly signal?: AbortSignal;
}

/** Makes the answers of the members. A team passes its own, or one of this package. */
export interface Responder {
  respond(context: Context, options?: RespondOptions): Promise<Reply>;
  /** The messages in short, together with the summary of what was said before them. */
  summarize(earlier: string | null, messages: readonly Message[], options?: RespondOptions): Promise<string>;
}
