import { gatherFunction, type Store } from '@azora/db-core';

/** Calls an SQL function with its parameters, in one statement with the calls that are made at the same time. Returns its row. */
type Gathered = (values: readonly unknown[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

export interface GatheredEnrollments {
  readonly enroll: Gathered;
  readonly reserve: Gathered;
  readonly confirm: Gathered;
  readonly recordPayment: Gathered;
}

export function gatherEnrollments(store: Pick<Store<unknown, unknown>, 'query'>): GatheredEnrollments {
  return {
    enroll: gatherFunction(store, { one: 'enroll_student', parameters: 5, many: 'enroll_student_each' }),
    reserve: gatherFunction(store, { one: 'reserve_seat', parameters: 6, many: 'reserve_seat_each' }),
    confirm: gatherFunction(store, { one: 'confirm_enrollment', parameters: 2, many: 'confirm_enrollment_each' }),
    recordPayment: gatherFunction(store, { one: 'record_payment', parameters: 2, many: 'record_payment_each' }),
  };
}
