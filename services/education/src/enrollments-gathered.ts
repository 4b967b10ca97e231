import { gatherFunction, type Store } from '@azora/db-core';

type Row = Readonly<Record<string, unknown>>;
export type GatheredEnrollments = ReturnType<typeof gatherEnrollments>;

/** The SQL functions of enrollments, each called in one statement with the calls that are made at the same time. */
export function gatherEnrollments(store: Pick<Store<unknown, unknown>, 'query'>) {
  return {
    enroll: gatherFunction<Row>(store, { one: 'enroll_student', parameters: 5, many: 'enroll_student_each' }),
    reserve: gatherFunction<Row>(store, { one: 'reserve_seat', parameters: 6, many: 'reserve_seat_each' }),
    confirm: gatherFunction<Row>(store, { one: 'confirm_enrollment', parameters: 2, many: 'confirm_enrollment_each' }),
    recordPayment: gatherFunction<Row>(store, { one: 'record_payment', parameters: 2, many: 'record_payment_each' }),
  };
}
