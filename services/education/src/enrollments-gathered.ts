import { type GatheredFunction, gatherFunction, type Store } from '@azora/db-core';
import { type Enrollment, modelOf, type Row, type SeatReservation } from './rows';

/** The calls of an SQL function with its parameters, in one statement with those that are requested at the same time. */
type Gathered<Model> = (values: readonly unknown[]) => Promise<Model>;

export interface GatheredEnrollments {
  readonly enroll: Gathered<Enrollment>;
  readonly reserve: Gathered<SeatReservation>;
  readonly confirm: Gathered<Enrollment>;
  readonly recordPayment: Gathered<Enrollment>;
}

export function gatherEnrollments(store: Pick<Store<unknown, unknown>, 'query'>): GatheredEnrollments {
  const gathered = <Model>(calls: GatheredFunction): Gathered<Model> => {
    const call = gatherFunction<Row>(store, calls);
    return async (values) => {
      const rows = await call(values);
      const [row] = rows;
      if (row === undefined || rows.length > 1) {
        throw new Error(`${calls.one} returned ${rows.length} rows instead of one`);
      }
      return modelOf<Model>(row);
    };
  };
  return {
    enroll: gathered({ one: 'enroll_student', parameters: 5, many: 'enroll_student_each' }),
    reserve: gathered({ one: 'reserve_seat', parameters: 6, many: 'reserve_seat_each' }),
    confirm: gathered({ one: 'confirm_enrollment', parameters: 2, many: 'confirm_enrollment_each' }),
    recordPayment: gathered({ one: 'record_payment', parameters: 2, many: 'record_payment_each' }),
  };
}
