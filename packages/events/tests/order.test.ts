/** @server any */
import { useBus } from './bus-fixture';
import { expectOrder } from './order-fixture';

describe('events that commit out of their order', () => {
  const bus = useBus();

  it('arrive once each, in the order of their key, from 32 writers with random delays before their commits', () =>
    expectOrder(bus, 10_000));
});
