/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { auditAnchorSchema } from '../src/backup-store/audit-anchors';
import { manifestSchema } from '../src/backup-store/manifest';
import { verificationSchema } from '../src/backup-store/verification';
import { drillSchema } from '../src/operations/backup/drill';
import { accessSchema } from '../src/postgres/dump/access';
import { REPOSITORY_ROOT } from './suite-fixture';

const FILE_FIELDS = ['path', 'bytes', 'sha256'];
const text = readFileSync(path.join(REPOSITORY_ROOT, 'docs', 'FORMATS.md'), 'utf8');

/** The first column of the table in a section, and the type in the second one. */
function documentedFields(section: string): readonly string[] {
  const [, body = ''] = text.split(`\n### ${section}\n`);
  const [own = ''] = body.split(/\n##+ /);
  return [...own.matchAll(/^\| `([^`]+)` \| (\S+) \|/gm)].map(([, field, type]) => `${field} ${type}`);
}

/** The fields of a schema in the notation of the document. */
function fieldsOf(schema: z.ZodType, name = ''): readonly string[] {
  if (schema instanceof z.ZodReadonly) return fieldsOf(schema.unwrap() as z.ZodType, name);
  if (schema instanceof z.ZodArray) return fieldsOf(schema.element as z.ZodType, `${name}[]`);
  const isNullable = schema instanceof z.ZodNullable;
  const inner = isNullable ? (schema.unwrap() as z.ZodType) : schema;
  const own = (type: string) => (name === '' ? [] : [`${name} ${type}${isNullable ? '?' : ''}`]);
  if (!(inner instanceof z.ZodObject)) return own(typeOf(inner));
  const names = Object.keys(inner.shape);
  if (names.join() === FILE_FIELDS.join()) return own('file');
  const below = Object.entries(inner.shape).flatMap(([key, value]) =>
    fieldsOf(value as z.ZodType, name === '' ? key : `${name}.${key}`),
  );
  return [...own('object'), ...below];
}

function typeOf(schema: z.ZodType): string {
  if (schema instanceof z.ZodEnum) return 'string';
  if (schema instanceof z.ZodLiteral) return typeof schema.value;
  if (schema instanceof z.ZodNumber) return 'number';
  if (schema instanceof z.ZodBoolean) return 'boolean';
  return schema instanceof z.ZodString || schema instanceof z.ZodISODateTime ? 'string' : schema.constructor.name;
}

describe('docs/FORMATS.md', () => {
  it.each([
    ['manifest.json', manifestSchema],
    ['access.json', accessSchema],
    ['verified.json', verificationSchema],
    ['drill.json', drillSchema],
    ['audit anchor', auditAnchorSchema],
  ])('lists exactly the fields of %s with their types', (section, schema) => {
    expect(documentedFields(section)).toEqual(fieldsOf(schema));
  });
});
