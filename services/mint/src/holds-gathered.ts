import { gatherFunction, type Store } from '@azora/db-core';
import type { HoldRow, TransactionRow } from './rows';

export type GatheredHolds = ReturnType<typeof gatherHolds>;

/** The SQL functions of holds and captures, each called in one statement with the calls that are made at the same time. */
export function gatherHolds(store: Pick<Store<unknown, unknown>, 'query'>) {
  return {
    hold: gatherFunction<HoldRow>(store, { one: 'hold_money', parameters: 8, many: 'hold_each' }),
    capture: gatherFunction<TransactionRow>(store, { one: 'capture_hold', parameters: 7, many: 'capture_each' }),
  };
}
