import Ajv2020 from 'ajv/dist/2020';
import { z } from 'zod';
import { defineEvent, type EventTypeInput } from '../../src/events';

const id = z.string().regex(/^[a-z0-9-]{1,100}$/);
const INPUT: EventTypeInput<{ readonly orderId: string }> = {
  service: 'shop',
  name: 'order-paid',
  version: 1,
  about: 'An order was paid.',
  data: z.strictObject({ orderId: id }),
  key: ({ orderId }) => orderId,
};

/** Declares an event with this data, or other changes. */
const declare = (changes: { readonly [Field in keyof typeof INPUT]?: unknown }) =>
  defineEvent({ ...INPUT, ...changes } as typeof INPUT);
const withField = (field: z.ZodType) => declare({ data: z.strictObject({ orderId: id, field }) });

describe('defineEvent', () => {
  it('gives the full name and a JSON Schema that describes the data', () => {
    const { type, jsonSchema, key } = declare({ version: 12 });

    expect(type).toBe('shop.order-paid.v12');
    expect(key({ orderId: 'o-1' })).toBe('o-1');
    expect(jsonSchema).toMatchObject({
      $id: 'urn:azora:event:shop.order-paid.v12',
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      description: 'An order was paid.',
    });
    const validate = new Ajv2020().compile(jsonSchema);
    expect(validate({ orderId: 'o-1' })).toBe(true);
    expect(validate({ orderId: 'Not an id' })).toBe(false);
    expect(validate({ orderId: 'o-1', note: 'x' })).toBe(false);
  });

  it.each([
    ['an id of a certain form', id],
    ['a UUID', z.uuid()],
    ['a CUID', z.cuid()],
    ['a time', z.iso.datetime({ offset: true })],
    ['a date', z.iso.date()],
    ['an amount', z.string().regex(/^\d{1,10}(\.\d{1,8})?$/)],
    ['a word of a list', z.enum(['paid', 'refunded'])],
    ['a literal', z.literal('paid')],
    ['a number', z.number()],
    ['a whole number or nothing', z.int().nullable().optional()],
    ['a list of ids', z.array(id)],
    ['a pair', z.tuple([id, z.boolean()])],
    ['an object', z.strictObject({ id, count: z.int() })],
    ['one of two objects', z.union([z.strictObject({ id }), z.strictObject({ count: z.int() })])],
    ['numbers by id', z.record(id, z.int())],
  ])('accepts %s', (_, field) => {
    expect(withField(field).type).toBe('shop.order-paid.v1');
  });

  it.each([
    ['text', z.string(), 'field: accepts free text'],
    ['text with a limit', z.string().min(1).max(20), 'field: accepts free text'],
    ['text or a number', z.union([z.string(), z.int()]), 'field: accepts free text'],
    ['a pattern for any text', z.string().regex(/^.*$/), 'field: accepts text such as "Ada Lovelace"'],
    ['a pattern for any word', z.string().regex(/^\S+$/), 'field: accepts text such as "ada@example.com"'],
    ['an email address', z.email(), 'field: has the format email'],
    ['an IP address', z.ipv4(), 'field: has the format ipv4'],
    ['a URL', z.url(), 'field: has the format uri'],
    ['anything', z.unknown(), 'field: accepts any value'],
    ['a list of text', z.array(z.string()), 'field[]: accepts free text'],
    ['a pair with text', z.tuple([id, z.string()]), 'field[1]: accepts free text'],
    ['an open object', z.looseObject({ id }), 'field: accepts unknown fields'],
    ['an object with text', z.strictObject({ note: z.string() }), 'field.note: accepts free text'],
    ['numbers by any text', z.record(z.string(), z.int()), 'field.(name of a field): accepts free text'],
    ['text by id', z.record(id, z.string()), 'field.*: accepts free text'],
    ['a Date', z.date(), 'JSON Schema cannot describe the data'],
    ['a bigint', z.bigint(), 'JSON Schema cannot describe the data'],
    ['a transform', id.transform((text) => text.length), 'JSON Schema cannot describe the data'],
  ])('refuses %s', (_, field, why) => {
    expect(() => withField(field)).toThrow(
      expect.objectContaining({ code: 'EVENTS.INVALID_EVENT_TYPE', why: expect.stringContaining(why) }),
    );
  });

  it.each([
    ['a loose object', { data: z.looseObject({ orderId: id }) }, 'data: accepts unknown fields'],
    ['a list', { data: z.array(id) }, 'data: is not an object'],
    ['an unusual service', { service: 'Shop' }, 'The service is not'],
    ['a name with capitals', { name: 'orderPaid' }, 'The name is not'],
    ['a long name', { name: 'x'.repeat(61) }, 'The name is not'],
    ['version 0', { version: 0 }, 'The version is not'],
    ['version 1.5', { version: 1.5 }, 'The version is not'],
    ['no description', { about: '' }, 'The description is not'],
  ])('refuses %s', (_, changes, why) => {
    expect(() => declare(changes)).toThrow(
      expect.objectContaining({ code: 'EVENTS.INVALID_EVENT_TYPE', why: expect.stringContaining(why) }),
    );
  });
});
