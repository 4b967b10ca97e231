import { testEffort, useDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  checkSettings,
  disablePlugin,
  getPlugin,
  linkPlugin,
  listLinkedPlugins,
  listPlugins,
  openWorkflow,
  registerPlugin,
  unlinkPlugin,
  updatePlugin,
  type Workflows,
} from '../src';
import { eventsOf, fresh, givenWorkflow } from './given';

describe('plugins', () => {
  const db = useDatabase('workflow');
  let workflows: Workflows;
  beforeAll(() => {
    workflows = openWorkflow({ url: db().url });
  });
  afterAll(() => workflows.close());

  it('are registered once under a name', async () => {
    const input = {
      name: fresh('mail'),
      version: '1.0.0-rc.1+build.5',
      author: 'Azora',
      configSchema: { type: 'object' },
    };
    const plugin = await registerPlugin(workflows, input);

    expect(plugin).toMatchObject({ ...input, enabled: true, description: null });
    expect(await registerPlugin(workflows, input)).toEqual(plugin);
    await expect(registerPlugin(workflows, { ...input, version: '2.0.0' })).rejects.toMatchObject({
      ...{ code: 'WORKFLOW.PLUGIN_EXISTS', meta: { name: input.name, version: '1.0.0-rc.1+build.5' } },
    });
    expect(await getPlugin(workflows, { name: input.name })).toEqual(plugin);
    await expect(getPlugin(workflows, { name: 'nothing' })).rejects.toMatchObject({
      code: 'WORKFLOW.PLUGIN_NOT_FOUND',
    });
    expect(await eventsOf(db(), plugin.id)).toEqual(['plugin-registered']);
  });

  it.each([
    { name: 'trigger' },
    { name: '' },
    { version: '1.0' },
    { version: 'v1.0.0' },
    { version: ' 1.0.0' },
    { version: '1.0.0\n' },
    { version: '01.0.0' },
    { configSchema: 7 },
    { configSchema: [] },
  ])('with %j are not accepted', async (change) => {
    const input = { name: fresh('mail'), version: '1.0.0', ...change };
    await expect(registerPlugin(workflows, input as never)).rejects.toMatchObject({ code: 'WORKFLOW.INVALID_INPUT' });
  });

  it.each([
    [{ type: 'text' }],
    [{ properties: 7 }],
    [{ pattern: '(' }],
    [{ $ref: '#/$defs/nothing' }],
    [{ $ref: 'https://example.com/schema.json' }],
    [{ $schema: 'http://json-schema.org/draft-07/schema#' }],
  ])('with the config schema %j are not accepted', async (configSchema) => {
    const input = { name: fresh('mail'), version: '1.0.0', configSchema };
    await expect(registerPlugin(workflows, input)).rejects.toMatchObject({ code: 'WORKFLOW.SCHEMA_INVALID' });
    await expect(updatePlugin(workflows, { ...input, fromVersion: '0.0.1' })).rejects.toMatchObject({
      code: 'WORKFLOW.SCHEMA_INVALID',
    });
  });

  it('are updated only to a greater version, from the one that the caller has read', async () => {
    const name = fresh('mail');
    const { id } = await registerPlugin(workflows, { name, version: '1.0.0-rc.2', description: 'x' });
    const update = (fromVersion: string, version: string) => updatePlugin(workflows, { name, fromVersion, version });
    for (const version of ['1.0.0-rc.2', '1.0.0-rc.1', '1.0.0-rc.2+build.1', '0.9.0']) {
      await expect(update('1.0.0-rc.2', version)).rejects.toMatchObject({ code: 'WORKFLOW.INVALID_INPUT' });
    }
    // A number is greater by its value, not by its digits.
    expect(await update('1.0.0-rc.2', '1.0.0-rc.10')).toMatchObject({ version: '1.0.0-rc.10', description: null });
    await expect(update('1.0.0-rc.2', '1.0.0')).rejects.toMatchObject({
      ...{ code: 'WORKFLOW.PLUGIN_CHANGED', meta: { name, version: '1.0.0-rc.2', current: '1.0.0-rc.10' } },
    });
    expect(await eventsOf(db(), id)).toEqual(['plugin-registered', 'plugin-changed']);
  });

  it('are listed newest first, and by whether they are enabled', async () => {
    const names = [fresh('one'), fresh('two'), fresh('three')];
    for (const name of names) await registerPlugin(workflows, { name, version: '1.0.0' });
    await disablePlugin(workflows, { name: names[1] ?? '' });
    const { items, nextCursor } = await listPlugins(workflows, { limit: 2 });
    const { items: rest } = await listPlugins(workflows, { limit: 1, cursor: nextCursor ?? '' });

    expect([...items, ...rest].map(({ name }) => name)).toEqual(names.toReversed());
    expect((await listPlugins(workflows, { enabled: false })).items.map(({ name }) => name)).toEqual([names[1]]);
  });

  it('are linked with workflows of their owner, once', async () => {
    const { id: workflowId, ownerId, version } = await givenWorkflow(workflows);
    const [b, a] = [fresh('b'), fresh('a')];
    for (const name of [b, a]) await registerPlugin(workflows, { name, version: '1.0.0' });
    const linked = await linkPlugin(workflows, { workflowId, ownerId, plugin: b, by: 'ben' });
    expect(linked).toMatchObject({ updatedBy: 'ben', version });
    expect(await linkPlugin(workflows, { workflowId, ownerId, plugin: b })).toEqual(linked);
    await linkPlugin(workflows, { workflowId, ownerId, plugin: a });

    expect((await listLinkedPlugins(workflows, { workflowId, ownerId })).map(({ name }) => name)).toEqual(
      [a, b].sort(),
    );
    expect(await listLinkedPlugins(workflows, { workflowId, ownerId: 'eve' })).toEqual([]);
    await unlinkPlugin(workflows, { workflowId, ownerId, plugin: a });
    await unlinkPlugin(workflows, { workflowId, ownerId, plugin: a });
    expect((await listLinkedPlugins(workflows, { workflowId, ownerId })).map(({ name }) => name)).toEqual([b]);
    for (const call of [linkPlugin, unlinkPlugin]) {
      const foreign = call(workflows, { workflowId, ownerId: 'eve', plugin: b });
      await expect(foreign).rejects.toMatchObject({ code: 'WORKFLOW.WORKFLOW_NOT_FOUND' });
      const unknown = call(workflows, { workflowId, ownerId, plugin: 'nothing' });
      await expect(unknown).rejects.toMatchObject({ code: 'WORKFLOW.PLUGIN_NOT_FOUND' });
    }
  });
});

/** A keyword of draft 2020-12, a schema with it, and values that are valid and invalid by it. */
const CASES: readonly (readonly [string, object | boolean, readonly unknown[], readonly unknown[]])[] = [
  ['type', { type: ['integer', 'null'] }, [1, 1.0, null], [1.5, '1']],
  ['const', { const: { a: [1] } }, [{ a: [1] }], [{ a: [2] }, 1]],
  ['multipleOf', { multipleOf: 0.01 }, [0.75, 1], [0.0075]],
  ['maxLength in characters', { maxLength: 2 }, ['👩👩'], ['abc']],
  ['pattern, unanchored', { pattern: 'b+' }, ['abc', 7], ['ac']],
  ['prefixItems and items', { prefixItems: [{ type: 'string' }], items: false }, [['a'], []], [['a', 1], [1]]],
  ['contains', { contains: { const: 1 }, minContains: 2 }, [[1, 2, 1]], [[1, 2]]],
  [
    'uniqueItems',
    { uniqueItems: true },
    [[1, '1', [1]]],
    [
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
    ],
  ],
  ['dependentRequired', { dependentRequired: { a: ['b'] } }, [{ b: 1 }, { a: 1, b: 1 }], [{ a: 1 }]],
  ['dependentSchemas', { dependentSchemas: { a: { minProperties: 2 } } }, [{ a: 1, b: 1 }], [{ a: 1 }]],
  ['propertyNames', { propertyNames: { maxLength: 1 } }, [{ a: 1 }], [{ ab: 1 }]],
  ['patternProperties', { patternProperties: { '^n': { type: 'number' } } }, [{ n: 1, a: '1' }], [{ n1: '1' }]],
  [
    'unevaluatedProperties',
    { allOf: [{ properties: { a: true } }], unevaluatedProperties: false },
    [{ a: 1 }],
    [{ a: 1, b: 1 }],
  ],
  ['unevaluatedItems', { prefixItems: [true], unevaluatedItems: false }, [[1]], [[1, 2]]],
  [
    'if, then and else',
    JSON.parse('{"if": {"minimum": 10}, "then": {"multipleOf": 10}, "else": {"const": 1}}'),
    [20, 1],
    [15, 2],
  ],
  [
    '$ref and $defs',
    { $defs: { n: { type: 'number' } }, properties: { a: { $ref: '#/$defs/n' } } },
    [{ a: 1 }],
    [{ a: '1' }],
  ],
  ['$anchor', { $defs: { n: { $anchor: 'n', const: 1 } }, $ref: '#n' }, [1], [2]],
  [
    'recursion by $dynamicRef',
    { $id: 'tree', $dynamicAnchor: 'node', properties: { next: { $dynamicRef: '#node' } }, required: ['v'] },
    [{ v: 1, next: { v: 2 } }],
    [{ v: 1, next: {} }],
  ],
  ['format, which is an annotation', { format: 'email' }, ['nobody'], []],
  ['unknown keywords, which are annotations', { label: 'To', type: 'string' }, ['ada'], [1]],
  ['a schema that is true', true, [1, null], []],
  ['a schema that is false', false, [], [1, null]],
];

describe('the settings of a node', () => {
  it.each(CASES)('are checked by %s', (_, schema, valid, invalid) => {
    expect(valid.filter((value) => checkSettings(schema, value).length > 0)).toEqual([]);
    expect(invalid.filter((value) => checkSettings(schema, value).length === 0)).toEqual([]);
  });

  it('have problems with the place of the value, twenty at most', () => {
    const schema = { properties: { 'a/b': { items: { type: 'number' } } } };
    expect(checkSettings(schema, { 'a/b': [1, 'x'] })).toEqual([{ path: '/a~1b/1', message: 'must be number' }]);
    expect(checkSettings(schema, { 'a/b': Array(100).fill('x') })).toHaveLength(20);
  });

  it('are checked by each of two schemas with the same $id', () => {
    const schemaOf = (type: string) => ({ $id: 'https://azora.world/settings', type });
    expect(checkSettings(schemaOf('string'), 'x')).toEqual([]);
    expect(checkSettings(schemaOf('number'), 'x')).toHaveLength(1);
  });

  it('fit a schema that lists exactly what they are', () => {
    const kindOf = (value: unknown) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);
    const schemaOf = (value: unknown): object => {
      // Draft 2020-12 has no empty list of prefixItems.
      if (Array.isArray(value) && value.length === 0) return { type: 'array', maxItems: 0 };
      if (Array.isArray(value))
        return { type: 'array', prefixItems: value.map(schemaOf), minItems: value.length, items: false };
      if (typeof value !== 'object' || value === null) return { type: kindOf(value), const: value };
      const properties = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, schemaOf(inner)]));
      return { type: 'object', properties, required: Object.keys(value), additionalProperties: false };
    };
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.jsonValue({ maxDepth: 3 }), (value, other) => {
        // JSON has no key __proto__ in an object literal of a schema.
        fc.pre(!JSON.stringify([value, other]).includes('__proto__'));
        expect(checkSettings(schemaOf(value), value)).toEqual([]);
        if (JSON.stringify(value) !== JSON.stringify(other) && kindOf(value) !== kindOf(other))
          expect(checkSettings(schemaOf(value), other)).not.toEqual([]);
      }),
      { numRuns: 30 * testEffort(), seed: 20_261_206 },
    );
  });
});
