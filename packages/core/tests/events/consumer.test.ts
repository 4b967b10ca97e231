import { defineConsumer } from '../../src/events';

const INPUT = { name: 'shop.count-items', types: ['shop.item-moved.v1'], handle: async () => undefined };

describe('defineConsumer', () => {
  it('tries an event ten times unless the consumer says otherwise', () => {
    expect(defineConsumer(INPUT)).toMatchObject({ name: 'shop.count-items', maxAttempts: 10 });
    expect(defineConsumer({ ...INPUT, maxAttempts: 1 }).maxAttempts).toBe(1);
  });

  it('names each type once', () => {
    const types = ['shop.item-moved.v1', 'shop.item-moved.v2', 'shop.item-moved.v1'];

    expect(defineConsumer({ ...INPUT, types }).types).toEqual(['shop.item-moved.v1', 'shop.item-moved.v2']);
  });

  it.each([
    ['a name without a service', { name: 'count' }, 'The name is not'],
    ['a name with spaces', { name: 'shop.count items' }, 'The name is not'],
    ['a long name', { name: `shop.${'x'.repeat(100)}` }, 'The name is not'],
    ['no type', { types: [] }, 'names no event type'],
    ['a type without a version', { types: ['shop.item-moved'] }, '"shop.item-moved" is not the full name'],
    ['a pattern of types', { types: ['shop.*'] }, '"shop.*" is not the full name'],
    ['no attempt', { maxAttempts: 0 }, 'maxAttempts is not'],
    ['half an attempt', { maxAttempts: 1.5 }, 'maxAttempts is not'],
  ])('refuses %s', (_, changes, why) => {
    expect(() => defineConsumer({ ...INPUT, ...changes })).toThrow(
      expect.objectContaining({ code: 'EVENTS.INVALID_CONSUMER', why: expect.stringContaining(why) }),
    );
  });
});
