import Ajv from 'ajv';
import Ajv2020 from 'ajv/dist/2020';
import { CLOUD_EVENT_SCHEMA, readCloudEvent, type StoredEvent, toCloudEvent } from '../../src/events';

const STORED: StoredEvent = {
  id: '0b2f1f6e-2f4e-4d0c-9c43-0a6a3d1f9a10',
  source: 'shop',
  type: 'shop.item-moved.v1',
  key: 'item-1',
  data: { itemId: 'item-1' },
  traceParent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  time: '2026-06-01T12:00:00.123Z',
  position: '42',
};

const nonEmpty = { type: 'string', minLength: 1 };
/** The JSON format of CloudEvents 1.0 (sections 2 and 3 of the format, section 3 of the specification) as a JSON Schema. */
const CLOUD_EVENTS_1_0 = {
  type: 'object',
  required: ['id', 'source', 'specversion', 'type'],
  properties: {
    id: nonEmpty,
    source: nonEmpty,
    specversion: { const: '1.0' },
    type: nonEmpty,
    datacontenttype: { type: ['string', 'null'], pattern: '^[a-z]+/[a-z0-9.+-]+' },
    // An absolute URI.
    dataschema: { type: ['string', 'null'], pattern: '^[a-z][a-z0-9+.-]*:.+' },
    subject: { type: ['string', 'null'], minLength: 1 },
    time: {
      type: ['string', 'null'],
      pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[+-]\\d\\d:\\d\\d)$',
    },
    data: {},
    data_base64: { type: ['string', 'null'], contentEncoding: 'base64' },
  },
  not: { required: ['data', 'data_base64'] },
  // The names of attributes are lower-case letters and digits; their values are simple.
  propertyNames: { pattern: '^([a-z0-9]{1,20}|data_base64)$' },
  additionalProperties: { type: ['string', 'boolean', 'integer', 'null'] },
};

describe('the envelope of an event', () => {
  it('has the attributes of CloudEvents and the extensions for partitioning, tracing and sequence', () => {
    expect(toCloudEvent(STORED)).toEqual({
      specversion: '1.0',
      id: STORED.id,
      source: '/azora/shop',
      type: 'shop.item-moved.v1',
      subject: 'item-1',
      time: '2026-06-01T12:00:00.123Z',
      datacontenttype: 'application/json',
      dataschema: 'urn:azora:event:shop.item-moved.v1',
      partitionkey: 'item-1',
      traceparent: STORED.traceParent,
      sequence: '42',
      data: { itemId: 'item-1' },
    });
    expect(toCloudEvent({ ...STORED, traceParent: null })).not.toHaveProperty('traceparent');
  });

  it.each([STORED, { ...STORED, traceParent: null }])('is valid by CloudEvents 1.0 and by its own schema', (stored) => {
    const event = JSON.parse(JSON.stringify(toCloudEvent(stored)));
    const [standard, own] = [
      new Ajv({ strict: false }).compile(CLOUD_EVENTS_1_0),
      new Ajv2020({ validateFormats: false }).compile(CLOUD_EVENT_SCHEMA),
    ];

    expect({ valid: standard(event), errors: standard.errors }).toEqual({ valid: true, errors: null });
    expect({ valid: own(event), errors: own.errors }).toEqual({ valid: true, errors: null });
    expect([standard, own].map((validate) => validate({ ...event, specversion: '0.3' }))).toEqual([false, false]);
  });

  it('comes back from JSON as it was, with attributes that a transport has added', () => {
    const event = toCloudEvent(STORED);

    expect(readCloudEvent(JSON.stringify(event))).toEqual(event);
    expect(readCloudEvent(JSON.stringify({ ...event, knativearrivaltime: 'x' }))).toMatchObject(event);
  });

  it.each([
    ['id', 'not-a-uuid'],
    ['source', '/other/shop'],
    ['type', 'Shop.ItemMoved'],
    ['subject', ''],
    ['time', 'yesterday'],
    ['dataschema', 'https://example.com'],
    ['sequence', '-1'],
    ['data', 'text'],
    ['specversion', '0.3'],
  ])('is refused with another %s, whose value is not shown', (attribute, value) => {
    const text = JSON.stringify({ ...toCloudEvent(STORED), [attribute]: value });

    expect(() => readCloudEvent(text)).toThrow(
      expect.objectContaining({ code: 'EVENTS.INVALID_ENVELOPE', meta: { fields: [attribute] } }),
    );
  });

  it('is refused when it is not JSON', () => {
    expect(() => readCloudEvent('{"id":')).toThrow(
      expect.objectContaining({ code: 'EVENTS.INVALID_ENVELOPE', message: 'The message is not JSON' }),
    );
  });
});
