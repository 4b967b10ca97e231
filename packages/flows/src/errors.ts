import { SuiteError } from '@azora/db-core';

/** FLOWS.NO_WALLET: a party of a payment has no open wallet in the currency of the price. */
export function noWallet(facts: { readonly userId: string; readonly currency: string }): SuiteError {
  return new SuiteError('FLOWS.NO_WALLET', 'A party of the payment has no wallet in this currency', {
    why: `The user has no ${facts.currency} wallet in mint.`,
    next: 'Open the wallet with openWallet() of mint, then start again with a new key',
    meta: facts,
  });
}

/** FLOWS.WRONG_WALLET: a wallet of an escrow belongs to someone else, or has another currency. */
export function wrongWallet(facts: { readonly walletId: string; readonly party: string }): SuiteError {
  return new SuiteError('FLOWS.WRONG_WALLET', `The wallet of the ${facts.party} cannot be used for this escrow`, {
    kind: 'usage',
    why: `It does not belong to the ${facts.party} of the contract, or it is not in the currency of the contract.`,
    next: 'Fund the milestone again with the wallets of the two parties in the currency of the contract',
    meta: facts,
  });
}
