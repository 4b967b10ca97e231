import type { ModelSchema } from '../../schema/schema-model';

interface Child {
  readonly model: ModelSchema;
  readonly label: string;
}

/**
 * The models as trees of parents and children, roots first. A model with several parents is shown below each and its
 * own children once, so that circles end; circles without a root begin at their first model.
 */
export function relationTree(models: readonly ModelSchema[]): readonly string[] {
  const shown = new Set<string>();
  const isRoot = (model: ModelSchema) => model.foreignKeys.every(({ target }) => target.model === model.name);
  const inOrder = [...models.filter(isRoot), ...models.filter((model) => !isRoot(model))];
  return inOrder.flatMap((model) => (shown.has(model.name) ? [] : [model.name, ...branches(model, models, '', shown)]));
}

function branches(parent: ModelSchema, models: readonly ModelSchema[], indent: string, shown: Set<string>): string[] {
  if (shown.has(parent.name)) return [];
  shown.add(parent.name);
  const children = childrenOf(parent, models);
  return children.flatMap(({ model, label }, index) => {
    const isLast = index === children.length - 1;
    const below = branches(model, models, `${indent}${isLast ? '    ' : '│   '}`, shown);
    return [`${indent}${isLast ? '└──' : '├──'} ${label}`, ...below];
  });
}

function childrenOf(parent: ModelSchema, models: readonly ModelSchema[]): readonly Child[] {
  return models.flatMap((model) =>
    model.foreignKeys
      .filter(({ target }) => target.model === parent.name)
      .map(({ columns, isUnique }) => ({
        model,
        label: `${model.name} (${isUnique ? '1:1' : '1:N'}, ${columns.join(', ')})`,
      })),
  );
}
