import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';
import { schemaInvalid } from './errors';

/** Compiling a schema takes milliseconds, and the settings of every node of a workflow are checked with few of them. */
const MAX_COMPILED = 200;
const compiled = new Map<string, ValidateFunction>();

/** More of them help nobody, and a hostile value could have millions. */
const MAX_PROBLEMS = 20;

export interface SettingsProblem {
  /** A JSON Pointer (RFC 6901) to the value; empty for all of it. */
  readonly path: string;
  readonly message: string;
}

/**
 * The first 20 problems of a value by a JSON Schema of draft 2020-12; none when it is valid. `format` is an annotation, as the draft says.
 * A schema refers only to itself and to the meta-schemas; nothing is loaded.
 * @throws {SuiteError} `WORKFLOW.SCHEMA_INVALID`
 */
export function checkSettings(configSchema: unknown, settings: unknown): readonly SettingsProblem[] {
  const validate = compileSchema(configSchema);
  if (validate(settings)) return [];
  return (validate.errors ?? []).slice(0, MAX_PROBLEMS).map(({ instancePath, message }) => ({
    path: instancePath,
    message: message ?? 'is invalid',
  }));
}

/**
 * Compiles a JSON Schema of draft 2020-12, once for each text.
 * @throws {SuiteError} `WORKFLOW.SCHEMA_INVALID`
 */
export function compileSchema(configSchema: unknown): ValidateFunction {
  const text = JSON.stringify(configSchema);
  const known = compiled.get(text);
  if (known !== undefined) return known;
  const validate = compile(JSON.parse(text));
  if (compiled.size === MAX_COMPILED) compiled.clear();
  compiled.set(text, validate);
  return validate;
}

/** Without `ownProperties`, a required property `toString` would always be there. */
const OPTIONS = { strict: false, allErrors: true, validateFormats: false, ownProperties: true, logger: false } as const;

/** With an instance of its own, so that two schemas may have the same `$id`. */
function compile(schema: boolean | object): ValidateFunction {
  try {
    return new Ajv2020(OPTIONS).compile(schema);
  } catch (error) {
    throw schemaInvalid(error instanceof Error ? `${error.message}.` : 'It cannot be compiled.');
  }
}
