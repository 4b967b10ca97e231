import type { NewService } from '../operations/new-service/create';

/** The result with the commands that come next. */
export function newServiceText(name: string, made: NewService | undefined): string {
  if (made === undefined) return `${name}: nothing was written; run "npm run service:new -- ${name}" again`;
  if (!made.built) return `${name}: created ${made.folder}; run "npm run db:generate -- --service ${name}" to build it`;
  return [
    `${name}: created ${made.folder}`,
    '',
    'Run its tests:',
    `  npm test -- services/${name}`,
    'Create, migrate and seed its database:',
    `  npx azora-db setup --service ${name} --seed`,
    '',
    'The items in it are an example: change prisma/schema.prisma, then follow "After a change" in CONTRIBUTING.md.',
  ].join('\n');
}
