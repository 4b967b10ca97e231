import { type Consumer, defineConsumer } from '@azora/db-core/events';
import { idInput } from '@azora/db-core/input';
import { defineSaga, type SagaType, startSaga } from '@azora/db-events';
import { cancelFunding, confirmFunding, confirmSettlement, type Escrow, getContract, getEscrow } from '@azora/forge';
import { capture, getWallet, hold, release } from '@azora/mint';
import type { Prisma as NexusPrisma, NexusTransaction } from '@azora/nexus';
import { z } from 'zod';
import { wrongWallet } from './errors';
import { mustSucceed, releaseHoldOf } from './saga-steps';
import type { Stores } from './stores';

/** The names of the sagas, for `findSaga`; their key is the id of the escrow. */
export const ESCROW_FUNDING = 'forge.escrow-funding';
export const ESCROW_SETTLEMENT = 'forge.escrow-settlement';

export interface EscrowInput {
  readonly escrowId: string;
}

interface FundingResults {
  readonly request: { readonly contractId: string };
  readonly hold: { readonly holdId: string };
  readonly confirm: { readonly heldAt: string };
}

interface SettlementResults {
  /** Null if everything returned to the payer. */
  readonly move: { readonly transactionId: string | null };
  readonly confirm: { readonly status: string };
}

/** As long as mint allows: an escrow ends by a decision of the parties or an arbiter, and not by itself. */
const KEPT_MS = 3_650 * 86_400_000;

const escrowInput = z.strictObject({ escrowId: idInput });

/**
 * Sets the money of a requested escrow aside: hold it on the wallet of the employer, and confirm the funding in forge. If mint refuses
 * the hold, or the wallets are not those of the parties, the request is cancelled. If forge refuses the confirmation, the hold is
 * released. No step has a deadline, because a hold that arrived after it would last for years.
 */
export function escrowFunding({ forge, mint }: Stores<'forge' | 'mint'>): SagaType<EscrowInput> {
  return defineSaga<EscrowInput, FundingResults>({
    name: ESCROW_FUNDING,
    input: escrowInput,
    steps: [
      {
        // The effect was the request itself, whose event started the saga.
        name: 'request',
        run: async ({ input }) => ({ contractId: (await getEscrow(forge, input)).contractId }),
        undo: async ({ input }) => {
          await cancelFunding(forge, input);
        },
      },
      {
        name: 'hold',
        run: async ({ input, idempotencyKey }) => {
          const escrow = await getEscrow(forge, input);
          await checkWallets({ forge, mint }, escrow);
          const { payerWalletId: from, payeeWalletId: to, amount } = escrow;
          return { holdId: (await hold(mint, { from, to, amount, expiresIn: KEPT_MS, idempotencyKey })).id };
        },
        undo: ({ runKey, idempotencyKey }) => releaseHoldOf(mint, runKey, idempotencyKey),
      },
      {
        name: 'confirm',
        run: async ({ input: { escrowId }, resultOf }) => {
          const { heldAt } = await confirmFunding(forge, { escrowId, holdId: resultOf('hold').holdId });
          return { heldAt: heldAt?.toISOString() ?? '' };
        },
      },
    ],
  });
}

/**
 * Pays a decided escrow: captures the payout, which makes the rest available again, or releases the hold if there is no payout, and
 * confirms it in forge. The decision is final, so nothing is undone: a saga that cannot continue gets stuck.
 */
export function escrowSettlement({ forge, mint }: Stores<'forge' | 'mint'>): SagaType<EscrowInput> {
  return defineSaga<EscrowInput, SettlementResults>({
    name: ESCROW_SETTLEMENT,
    input: escrowInput,
    steps: [
      {
        name: 'move',
        run: ({ input, idempotencyKey }) =>
          mustSucceed(async () => {
            const { holdId, payoutAmount } = await getEscrow(forge, input);
            if (holdId === null || payoutAmount === null) throw new Error('The escrow has no hold or no decision');
            if (payoutAmount.isZero()) {
              await release(mint, { holdId, idempotencyKey });
              return { transactionId: null };
            }
            return { transactionId: (await capture(mint, { holdId, amount: payoutAmount, idempotencyKey })).id };
          }),
      },
      {
        name: 'confirm',
        run: ({ input: { escrowId }, resultOf }) =>
          mustSucceed(async () => {
            const { transactionId } = resultOf('move');
            const payment = transactionId === null ? {} : { transactionId };
            return { status: (await confirmSettlement(forge, { escrowId, ...payment })).status };
          }),
      },
    ],
  });
}

const REQUESTED = 'forge.escrow-requested.v1';
const SETTLING = 'forge.escrow-settling.v1';
const ofEscrow = z.looseObject({ escrowId: idInput });

/** Starts the saga of each request and of each decision. A process passes it to `bus.subscribe` with the store of nexus. */
export function escrowConsumer(stores: Stores<'forge' | 'mint'>): Consumer<NexusPrisma.TransactionClient> {
  const [funding, settlement] = [escrowFunding(stores), escrowSettlement(stores)];
  return defineConsumer({
    name: 'nexus.escrow',
    types: [REQUESTED, SETTLING],
    handle: async (tx: NexusTransaction, { type, data }) => {
      const { escrowId } = ofEscrow.parse(data);
      await startSaga(tx, type === REQUESTED ? funding : settlement, { key: escrowId, input: { escrowId } });
    },
  });
}

/** Forge does not read mint, so an employer could name the wallet of another person. */
async function checkWallets({ forge, mint }: Stores<'forge' | 'mint'>, escrow: Escrow): Promise<void> {
  const { employerId, freelancerId } = await getContract(forge, { contractId: escrow.contractId });
  for (const [party, userId, walletId] of [
    ['employer', employerId, escrow.payerWalletId],
    ['freelancer', freelancerId, escrow.payeeWalletId],
  ] as const) {
    const wallet = await getWallet(mint, { walletId });
    if (wallet.userId !== userId || wallet.currency !== escrow.currency) throw wrongWallet({ walletId, party });
  }
}
