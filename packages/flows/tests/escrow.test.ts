/** @server any */
import {
  approveWork,
  cancelFunding,
  type Escrow,
  getContract,
  getEscrow,
  openDispute,
  refundMilestone,
  resolveDispute,
  submitWork,
} from '@azora/forge';
import { getWallet, openWallet } from '@azora/mint';
import { ESCROW_FUNDING, ESCROW_SETTLEMENT, escrowConsumer, flowSagas } from '../src';
import { fresh, fund, type GivenContract, givenContract, givenPerson, useFlows } from './flows-given';
import { withPoints } from './saga-points';

describe('an escrow', () => {
  const { stores, work, deliver, ended, differences } = useFlows();

  /** Gives the flows every event that forge has published so far, and waits for the end of the saga. */
  async function run(name: string, escrowId: string) {
    await deliver('forge', escrowConsumer(stores()));
    return ended(name, escrowId);
  }

  /** A milestone whose money is held. */
  async function givenHeld(given: GivenContract, milestone = 0): Promise<Escrow> {
    const { id } = await fund(stores(), given, { milestone });
    await run(ESCROW_FUNDING, id);
    return getEscrow(stores().forge, { escrowId: id });
  }

  async function moneyOf({ employer, freelancer }: GivenContract): Promise<readonly string[]> {
    const wallets = [employer, freelancer].map(({ walletId }) => getWallet(stores().mint, { walletId }));
    return (await Promise.all(wallets)).map(({ balance, held }) => `${balance} held ${held}`);
  }

  async function submit({ milestoneIds, freelancer }: GivenContract, milestone = 0): Promise<string> {
    const milestoneId = milestoneIds[milestone] ?? '';
    const work = { milestoneId, by: freelancer.userId, note: 'Done' };
    await submitWork(stores().forge, { ...work, idempotencyKey: fresh('submit') });
    return milestoneId;
  }

  it('holds the money of a funded milestone in mint, and pays it after the approval', async () => {
    work();
    const given = await givenContract(stores(), ['200', '250']);

    const held = await givenHeld(given);
    expect(held).toMatchObject({ status: 'held', holdId: expect.any(String) });
    expect(await moneyOf(given)).toEqual(['1000 held 200', '0 held 0']);
    const milestoneId = await submit(given);
    await approveWork(stores().forge, { milestoneId, by: given.employer.userId });
    const saga = await run(ESCROW_SETTLEMENT, held.id);

    expect(saga.state).toBe('done');
    expect(await getEscrow(stores().forge, { escrowId: held.id })).toMatchObject({
      status: 'released',
      transactionId: (saga.results['move'] as { readonly transactionId: string }).transactionId,
    });
    expect(await moneyOf(given)).toEqual(['800 held 0', '200 held 0']);
    expect(await differences()).toEqual([]);
  });

  it('returns the money of a milestone that the freelancer gives up', async () => {
    work();
    const given = await givenContract(stores(), ['200']);
    const { id } = await givenHeld(given);

    await refundMilestone(stores().forge, { milestoneId: given.milestoneIds[0] ?? '', by: given.freelancer.userId });

    expect((await run(ESCROW_SETTLEMENT, id)).state).toBe('done');
    expect(await getEscrow(stores().forge, { escrowId: id })).toMatchObject({ status: 'refunded' });
    expect(await moneyOf(given)).toEqual(['1000 held 0', '0 held 0']);
    expect(await differences()).toEqual([]);
  });

  it('is split as the arbiter of a dispute decides', async () => {
    work();
    const given = await givenContract(stores(), ['100', '100', '100']);
    const escrows: Escrow[] = [];
    for (const milestone of [0, 1, 2]) escrows.push(await givenHeld(given, milestone));
    const { forge } = stores();
    const dispute = await openDispute(forge, {
      ...{ contractId: given.contract.id, raisedById: given.employer.userId, reason: 'quality' },
      ...{ description: 'Half of it is missing', idempotencyKey: fresh('dispute') },
    });
    const payouts = ['33.33333333', '0', '100'];
    await resolveDispute(forge, {
      ...{ disputeId: dispute.id, arbiterId: fresh('arbiter'), resolution: 'A part of it' },
      awards: payouts.map((payout, index) => ({ milestoneId: given.milestoneIds[index] ?? '', payout })),
      idempotencyKey: fresh('resolve'),
    });

    const sagas = await Promise.all(escrows.map(({ id }) => run(ESCROW_SETTLEMENT, id)));

    expect(sagas.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
    expect(await moneyOf(given)).toEqual(['866.66666667 held 0', '133.33333333 held 0']);
    expect(await getContract(forge, { contractId: given.contract.id })).toMatchObject({
      status: 'completed',
      milestones: ['released', 'refunded', 'released'].map((status) => ({ escrows: [{ status }] })),
    });
    expect(await differences()).toEqual([]);
  });

  it('is cancelled if the employer cannot pay, and can be requested again', async () => {
    work();
    const given = await givenContract(stores(), ['200', '100'], '100');

    const { id } = await fund(stores(), given);
    const saga = await run(ESCROW_FUNDING, id);

    expect(saga).toMatchObject({ state: 'compensated', failure: expect.stringMatching(/^MINT.INSUFFICIENT_FUNDS: /) });
    expect(await getEscrow(stores().forge, { escrowId: id })).toMatchObject({ status: 'cancelled', holdId: null });
    const again = await fund(stores(), given);
    expect((await run(ESCROW_FUNDING, again.id)).state).toBe('compensated');
    expect((await givenHeld(given, 1)).status).toBe('held');
    expect(await moneyOf(given)).toEqual(['100 held 100', '0 held 0']);
    expect(await differences()).toEqual([]);
  });

  it('cannot be paid from the wallet of another person, or in another currency', async () => {
    work();
    const given = await givenContract(stores(), ['200']);
    const victim = await givenPerson(stores());
    const { id: dollars } = await openWallet(stores().mint, { userId: given.employer.userId, currency: 'USD' });
    const { id: foreign } = await openWallet(stores().mint, { userId: given.freelancer.userId, currency: 'USD' });

    for (const wallets of [
      { payerWalletId: victim.walletId },
      { payeeWalletId: victim.walletId },
      { payerWalletId: dollars, payeeWalletId: foreign },
    ]) {
      const { id } = await fund(stores(), given, wallets);
      expect(await run(ESCROW_FUNDING, id)).toMatchObject({
        state: 'compensated',
        failure: expect.stringMatching(/^FLOWS.WRONG_WALLET: The wallet of the (employer|freelancer) /),
      });
    }

    expect((await getWallet(stores().mint, { walletId: victim.walletId })).held.toFixed()).toBe('0');
    expect(await moneyOf(given)).toEqual(['1000 held 0', '0 held 0']);
    expect(await differences()).toEqual([]);
  });

  it('releases its hold if the request was cancelled meanwhile', async () => {
    const given = await givenContract(stores(), ['200']);
    const { id: escrowId } = await fund(stores(), given);
    const cancel = (_key: string, action: string) =>
      action === 'confirm' ? cancelFunding(stores().forge, { escrowId }) : undefined;
    work(flowSagas(stores()).map((saga) => withPoints(saga, { before: cancel })));

    expect(await run(ESCROW_FUNDING, escrowId)).toMatchObject({
      state: 'compensated',
      failure: expect.stringMatching(/^FORGE.ILLEGAL_TRANSITION: /),
    });
    expect(await moneyOf(given)).toEqual(['1000 held 0', '0 held 0']);
    expect(await differences()).toEqual([]);
  });

  it('cannot hold more than the wallet has when many milestones are funded at once', async () => {
    work();
    const given = await givenContract(stores(), Array(6).fill('100'), '350');
    const escrows = await Promise.all([0, 1, 2, 3, 4, 5].map((milestone) => fund(stores(), given, { milestone })));

    const sagas = await Promise.all(escrows.map(({ id }) => run(ESCROW_FUNDING, id)));

    const states = sagas.map(({ state }) => state).toSorted();
    expect(states).toEqual(['compensated', 'compensated', 'compensated', 'done', 'done', 'done']);
    expect(await moneyOf(given)).toEqual(['350 held 300', '0 held 0']);
    expect(await differences()).toEqual([]);
  });
});
