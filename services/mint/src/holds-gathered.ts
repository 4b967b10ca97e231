import { gatherFunction, type Store } from '@azora/db-core';
import type { HoldRow, TransactionRow } from './rows';

/** The calls of an SQL function with its parameters, in one statement with those that are requested at the same time. */
type Gathered<FoundRow> = (values: readonly unknown[]) => Promise<readonly FoundRow[]>;

export interface GatheredHolds {
  readonly hold: Gathered<HoldRow>;
  readonly capture: Gathered<TransactionRow>;
}

export function gatherHolds(store: Pick<Store<unknown, unknown>, 'query'>): GatheredHolds {
  return {
    hold: gatherFunction<HoldRow>(store, { one: 'hold_money', parameters: 8, many: 'hold_each' }),
    capture: gatherFunction<TransactionRow>(store, { one: 'capture_hold', parameters: 7, many: 'capture_each' }),
  };
}
