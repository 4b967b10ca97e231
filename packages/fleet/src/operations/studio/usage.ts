import { SuiteError } from '@azora/db-core';
import { type ColumnName, countUses, findPlaces } from '../../postgres/uses';
import { references } from '../../schema/schema-model';
import { eachService } from '../fleet';
import type { StudioContext } from './context';
import { hiddenIn } from './hidden';
import { type ReadError, readErrorOf, withReader } from './reader';

/** Longer than other pages wait: somebody asked for it, and not all columns that refer to others have an index. */
const PATIENCE_MS = 15_000;

/** A value of one column, as text. */
export interface UsageQuestion extends ColumnName {
  readonly service: string;
  readonly value: string;
}

/** A column in which the value is, and in how many rows, counted up to 1,001. */
export interface Use extends ColumnName {
  readonly service: string;
  readonly rows: number;
}

export interface Usage {
  readonly uses: readonly Use[];
  /** Services that could not be asked: there may be more uses in them. */
  readonly errors: readonly (ReadError & { readonly service: string })[];
}

/**
 * Where the value is used: by columns of any service that refer to this one, by foreign keys to and from it, and in the
 * row that it names itself. Hidden columns are neither searched nor do they say anything of their own values.
 * @throws {SuiteError} `STUDIO.UNKNOWN_COLUMN`
 */
export async function findUses(context: StudioContext, question: UsageQuestion): Promise<Usage> {
  requireColumn(context, question);
  const isHidden = hiddenIn(context);
  if (isHidden(question.service, question.table, question.column)) return { uses: [], errors: [] };
  const asked = referringColumns(context, question);
  const targets = context.targets.filter(({ service: { name } }) => asked.has(name) || name === question.service);
  const rows = await eachService(targets, {}, async (target) => {
    const service = target.service.name;
    const key = service === question.service ? question : undefined;
    const found = await withReader(
      target,
      async (client) => {
        const places = await findPlaces(client, asked.get(service) ?? [], key);
        const visible = places.filter(({ table, column }) => !isHidden(service, table, column));
        return countUses(client, visible, question.value);
      },
      PATIENCE_MS,
    );
    return { data: found.filter((use) => use.rows > 0), detail: '' };
  });
  return {
    uses: rows.flatMap((row) =>
      row.state === 'done' ? row.data.map((use) => ({ service: row.service, ...use })) : [],
    ),
    errors: rows.flatMap((row) =>
      row.state === 'failed' ? [{ service: row.service, ...readErrorOf(row.error) }] : [],
    ),
  };
}

function requireColumn({ schemaModel, targets }: StudioContext, { service, table, column }: UsageQuestion): void {
  const models = schemaModel.services.find(({ name }) => name === service)?.models;
  const isShown = targets.some((target) => target.service.name === service);
  if (isShown && models?.some((it) => it.table === table && it.columns.some(({ name }) => name === column))) return;
  throw new SuiteError('STUDIO.UNKNOWN_COLUMN', 'There is no such column', {
    kind: 'usage',
    why: `No schema of a service that is shown has ${service}.${table}.${column}.`,
    meta: { service, table, column },
  });
}

/** By service: what refers to the column, and what the column refers to. */
function referringColumns(
  { schemaModel }: StudioContext,
  { service, table, column }: UsageQuestion,
): ReadonlyMap<string, readonly ColumnName[]> {
  const isAsked = (it: ColumnName & { readonly service: string }) =>
    it.service === service && it.table === table && it.column === column;
  const ends = references(schemaModel).flatMap((reference) => [
    ...(isAsked(reference.target) ? [reference] : []),
    ...(isAsked(reference) ? [reference.target] : []),
  ]);
  const columns = new Map<string, ColumnName[]>();
  for (const end of ends) {
    columns.set(end.service, [...(columns.get(end.service) ?? []), { table: end.table, column: end.column }]);
  }
  return columns;
}
