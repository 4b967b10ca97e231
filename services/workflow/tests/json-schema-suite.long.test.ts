/** @server none */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { checkSettings } from '../src';

/** A checkout of github.com/json-schema-org/JSON-Schema-Test-Suite. */
const SUITE = process.env['JSON_SCHEMA_TEST_SUITE'];

interface Group {
  readonly description: string;
  readonly schema: object | boolean;
  readonly tests: readonly { readonly description: string; readonly data: unknown; readonly valid: boolean }[];
}

/**
 * How many of the 1299 cases ajv 8.20 judges otherwise, by file: 101. It refuses schemas that refer to other documents or to a
 * meta-schema of their own, that have an empty `enum`, or whose relative `$id` contains another one; and it knows dynamic scopes and
 * the annotations of `contains` and of an `if` without branches only in part.
 */
const KNOWN: Readonly<Record<string, number>> = {
  'dynamicRef.json': 33,
  'enum.json': 6,
  'properties.json': 1,
  'ref.json': 8,
  'refRemote.json': 31,
  'unevaluatedItems.json': 12,
  'unevaluatedProperties.json': 5,
  'vocabulary.json': 5,
};

function groupsOf(file: string): readonly Group[] {
  return JSON.parse(readFileSync(path.join(SUITE ?? '', 'tests/draft2020-12', file), 'utf8'));
}

/** The cases that are judged otherwise; a schema that is refused judges none of its cases. */
function differencesOf(file: string): readonly string[] {
  return groupsOf(file).flatMap(({ description, schema, tests }) =>
    tests.flatMap((test) => {
      const name = `${description}: ${test.description}`;
      try {
        return (checkSettings(schema, test.data).length === 0) === test.valid ? [] : [name];
      } catch (error) {
        return [`${name} (${Object(error).code})`];
      }
    }),
  );
}

const files =
  SUITE === undefined ? [] : readdirSync(path.join(SUITE, 'tests/draft2020-12')).filter((it) => it.endsWith('.json'));

describe('the cases of the JSON Schema Test Suite for draft 2020-12', () => {
  it('are there, if JSON_SCHEMA_TEST_SUITE names a checkout of the suite', () => {
    expect(SUITE === undefined || existsSync(path.join(SUITE, 'tests/draft2020-12/type.json'))).toBe(true);
  });

  it.each(files)('%s are judged as the suite says, except for the known ones', (file) => {
    expect(differencesOf(file)).toHaveLength(KNOWN[file] ?? 0);
  });
});
