import type { DataPlace } from '../routing/data-link';
import { readSchemaName } from './federated-schema';

/** The tables that the last introspection found, by the name of their schema. */
export type KnownTables = ReadonlyMap<string, readonly string[]>;

/**
 * Says why the place in the address has no rows to show; undefined when it has, or when nothing is known yet. Studio itself
 * would show the rows of another table under the title of this one.
 */
export function placeProblem(
  { schema, table }: DataPlace,
  services: readonly { readonly service: string }[],
  unread: readonly { readonly service: string; readonly error: Error }[],
  known: KnownTables | undefined,
): string | undefined {
  if (schema === undefined) return undefined;
  const { service } = readSchemaName(schema);
  if (!services.some((it) => it.service === service)) return `The studio does not show a service ${service}.`;
  const failure = unread.find((it) => it.service === service);
  if (failure !== undefined) return `The database of ${service} is not reachable: ${failure.error.message}.`;
  if (known === undefined) return undefined;
  const tables = known.get(schema);
  if (tables === undefined) return `The database of ${service} has no schema of this name.`;
  if (table === undefined || tables.includes(table)) return undefined;
  return `${schema} has no table ${table}.`;
}
