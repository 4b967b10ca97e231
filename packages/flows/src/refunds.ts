import { type Consumer, defineConsumer } from '@azora/db-core/events';
import { idInput } from '@azora/db-core/input';
import { defineSaga, type SagaType, startSaga } from '@azora/db-events';
import { getEnrollment, refundKey } from '@azora/education';
import { transfer } from '@azora/mint';
import type { Prisma as NexusPrisma, NexusTransaction } from '@azora/nexus';
import { z } from 'zod';
import { mustSucceed } from './saga-steps';
import type { Stores } from './stores';

/** The name of the saga, for `findSaga`; its key is the id of the enrollment. */
export const REFUND = 'education.refund';

export interface Refund {
  readonly enrollmentId: string;
}

/**
 * Pays the refund of an enrollment back, from the wallet that got the price to the wallet that paid it. If mint refuses it, for example
 * because the money is spent, the saga gets stuck until an operator has solved it.
 */
export function refund({ education, mint }: Stores<'education' | 'mint'>): SagaType<Refund> {
  return defineSaga<Refund, { readonly 'pay-back': { readonly transactionId: string } }>({
    name: REFUND,
    input: z.strictObject({ enrollmentId: idInput }),
    steps: [
      {
        name: 'pay-back',
        run: ({ input: { enrollmentId } }) =>
          mustSucceed(async () => {
            const enrollment = await getEnrollment(education, { enrollmentId });
            const { refundAmount: amount, paymentTransactionId } = enrollment;
            const payment = await mint.prisma.transaction.findUniqueOrThrow({
              where: { id: paymentTransactionId ?? '' },
              select: { fromId: true, toId: true },
            });
            const order = { from: payment.toId, to: payment.fromId, amount: amount ?? '0' };
            // The key of education, by which the study wallet recognizes the refund.
            const { id } = await transfer(mint, { ...order, idempotencyKey: refundKey(enrollmentId) });
            return { transactionId: id };
          }),
      },
    ],
  });
}

const REFUND_DUE = 'education.refund-due.v1';
const refundDue = z.looseObject({ enrollmentId: idInput });

/** Starts the saga for each refund that education owes. A process passes it to `bus.subscribe` with the store of nexus. */
export function refundConsumer(stores: Stores<'education' | 'mint'>): Consumer<NexusPrisma.TransactionClient> {
  const saga = refund(stores);
  return defineConsumer({
    name: 'nexus.refunds',
    types: [REFUND_DUE],
    handle: async (tx: NexusTransaction, { data }) => {
      const { enrollmentId } = refundDue.parse(data);
      await startSaga(tx, saga, { key: enrollmentId, input: { enrollmentId } });
    },
  });
}
