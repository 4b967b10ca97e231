import { testEffort } from '@azora/db-testkit';
import { useBus } from './bus-fixture';
import { expectOrder } from './order-fixture';

/** AZORA_EVENTS=1000000 for the whole million. */
const EVENTS = Number(process.env['AZORA_EVENTS'] ?? 20_000 * testEffort());

describe('many events that commit out of their order', () => {
  const bus = useBus();

  it(`arrive once each, in the order of their key: ${EVENTS} of them`, () => expectOrder(bus, EVENTS), 3_600_000);
});
