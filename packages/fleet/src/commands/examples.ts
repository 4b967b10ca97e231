import type { Command } from 'commander';
import { pathOf } from './usage-error';

/** A command line without `npx azora-db`, and its effect. */
type Example = readonly [line: string, effect: string];

/** At least two examples for each command that runs; packages/fleet/tests/command-help.test.ts parses all of them. */
const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  setup: [
    ['setup --seed', 'create, migrate and seed every database'],
    ['setup --no-build --service mint', 'only one service, with the packages as they are'],
  ],
  status: [
    ['status', 'show every database'],
    ['status --check --service auth,mint', 'exit 4 if one of two databases needs attention'],
  ],
  check: [
    ['check', 'look up every id of another service'],
    ['check --service mint --json', 'check the data of one service, for a script'],
    ['check --health', 'record the state of every database in health too, for its alerts'],
  ],
  seed: [
    ['seed', 'insert the shared seed'],
    ['seed --scale 10', 'also insert ten thousand users with their data'],
  ],
  backup: [
    ['backup --fence', 'back up all databases at the same moment'],
    ['backup --mask --out /tmp/masked', 'a set without personal data, in another directory'],
  ],
  'backup verify': [
    ['backup verify', 'prove the newest set with all services'],
    ['backup verify latest --service mint', 'prove one database of the newest set'],
  ],
  'backup drill': [
    ['backup drill', 'restore the newest set as a test, and keep how long it took'],
    ['backup drill --metrics /var/lib/node_exporter/azora.prom', 'also write the result for Prometheus'],
  ],
  'backup list': [
    ['backup list', 'list the sets in the default location'],
    ['backup list --from s3://backups/azora', 'list the sets in a bucket'],
  ],
  'backup prune': [
    ['backup prune', 'show which sets would be removed'],
    ['backup prune --last 7 --monthly 6 --yes', 'remove the others'],
  ],
  restore: [
    ['restore latest', 'restore every database; asks for confirmation'],
    ['restore latest --service mint --yes', 'restore one database without a question'],
    ['restore /mnt/sets/20260131T120000123Z-0a1b2c', 'restore a set in another place'],
  ],
  prune: [
    ['prune', 'show which rows are older than their retention'],
    ['prune --yes', 'delete them, on the embedded server'],
    ['prune --service auth --confirm azora_auth', 'delete those of one service, in a script, on another server'],
  ],
  cleanup: [
    ['cleanup', 'list the copies of replaced databases and what killed runs left'],
    ['cleanup --older-than 30 --yes', 'remove copies that are at least 30 days old, and what killed runs left'],
    ['cleanup --confirm azora_mint', 'the same for all copies, in a script, on a server that is not embedded'],
  ],
  'rag index': [
    ['rag index .', 'index the folder, or what has changed in it'],
    [
      'rag index . --embeddings http://localhost:11434/v1 --model nomic-embed-text --dimension 768',
      'with embeddings of a model; AZORA_EMBEDDINGS_KEY has the key of the API',
    ],
  ],
  'rag search': [
    ['rag search . "retry after a deadlock"', 'find the parts of files that fit best'],
    ['rag search . "price of an order" --glob "src/**" --limit 3', 'the best three below one folder'],
  ],
  'rag graph': [
    ['rag graph . openStore', 'show who calls a function'],
    ['rag graph . openStore --relation impact --depth 3', 'what a change of it can change'],
  ],
  'rag verify': [
    ['rag verify .', 'prove that the index agrees with the files'],
    ['rag verify . --json', 'list all rows that differ, for a script'],
  ],
  'service new': [
    ['service new billing', 'make the folder of a new service with its database, store, seed and tests'],
    ['service new billing --json', 'the same for a script'],
  ],
  'pitr enable': [
    ['pitr enable', 'start to archive the write-ahead log'],
    ['pitr enable --json', 'the same for a script'],
  ],
  'pitr base': [
    ['pitr base', 'make a base backup'],
    ['pitr base --keep 2', 'also remove all base backups but the newest two'],
  ],
  'pitr verify': [
    ['pitr verify', 'read the whole archive, for example once a week'],
    ['pitr verify --json', 'the same for a script'],
  ],
  'pitr status': [
    ['pitr status', 'show which moments can be restored'],
    ['pitr status --json', 'the same for a script'],
  ],
  'pitr restore': [
    ['pitr restore --to 2026-01-31T12:00:00Z --yes', 'go back to a time'],
    ['pitr restore --to latest --yes', 'recover the last transaction in the archive'],
  ],
  'events status': [
    ['events status', 'show every outbox and every consumer'],
    ['events status --check --service auth,mint', 'exit 4 if one of two outboxes or a consumer stands still'],
  ],
  'events relay': [
    ['events relay', 'relay every outbox until Ctrl-C'],
    ['events relay --service auth,mint', 'relay the outboxes of two services'],
  ],
  'events dead': [
    ['events dead list', 'list the dead letters of every consumer'],
    ['events dead retry notification.greet-members 4711', 'deliver one dead letter again'],
    ['events dead discard notification.greet-members --yes', 'give up all dead letters of a consumer'],
  ],
  'events replay': [
    ['events replay notification.greet-members --from 4711', 'deliver the events from a position on again'],
    ['events replay notification.greet-members --from 2026-01-31T12:00:00Z --yes', 'the same from a time on'],
  ],
  'import aurora': [
    ['import aurora ~/aurora-x', 'show what an import would insert, update and reject'],
    ['import aurora ~/aurora-x run', 'import, or continue an import that was interrupted'],
    ['import aurora ~/aurora-x verify --json', 'compare the files with the databases, for a script'],
  ],
  'import aragora': [
    ['import aragora ~/.aragora', 'show what an import would insert, update and reject'],
    ['import aragora ~/.aragora run', 'import, or continue an import that was interrupted'],
    ['import aragora ~/.aragora verify --json', 'compare the files with the databases, for a script'],
  ],
  'import table': [
    ['import table --map tasks.map.json', 'show what an import by a mapping would do'],
    ['import table run --map tasks.map.json', 'import, or continue an import that was interrupted'],
  ],
  'import list': [
    ['import list', 'show the imports and their state in each database'],
    ['import list --json', 'the same for a script'],
  ],
  'import rollback': [
    ['import rollback 20260131-120000-9f3a', 'take an import out again; asks first'],
    ['import rollback 20260131-120000-9f3a --yes', 'the same without a question, on the embedded server'],
  ],
  'events forget': [
    ['events forget notification.greet-members', 'remove a consumer that nobody runs any more'],
    ['events forget notification.greet-members --yes --json', 'the same for a script'],
  ],
  reset: [
    ['reset --service mint --yes', 'drop, create and migrate one database'],
    ['reset --yes', 'do this with every database'],
  ],
  generate: [
    ['generate', 'generate the clients after a change of a schema'],
    ['generate --json', 'the same for a script'],
  ],
  'server start': [
    ['server start', 'start the embedded server'],
    ['server start --json', 'the same for a script'],
  ],
  'server stop': [
    ['server stop', 'stop the embedded server'],
    ['server stop --json', 'the same for a script'],
  ],
  'server status': [
    ['server status', 'show whether the embedded server runs'],
    ['server status --json', 'the same for a script'],
  ],
  studio: [
    ['studio', 'browse all databases'],
    ['studio --write --service mint', 'edit the rows of one service'],
  ],
  url: [
    ['url mint', "print the app role's URL"],
    ['url mint --admin', "print the administrator's URL"],
  ],
  docs: [
    ['docs', 'write every generated document'],
    ['docs --check', 'exit 4 if one of them is stale'],
  ],
  completion: [
    ['completion bash', 'print the script for bash; load it with: source <(npx azora-db completion bash)'],
    ['completion fish', 'print the script for fish; load it with: npx azora-db completion fish | source'],
  ],
  help: [
    ['help', 'list all commands'],
    ['help migrate up', 'show the help of a command'],
  ],
  'migrate new': [
    ['migrate new mint add_nickname', 'write the next migration of mint from its schema'],
    ['migrate new mint add_nickname --why "Wallets get a display name"', 'the same, with a reason'],
  ],
  'migrate plan': [
    ['migrate plan', 'show the effects of the pending migrations'],
    ['migrate plan --down --service mint --sql', 'show the effects of reverting one migration, with its SQL'],
  ],
  'migrate up': [
    ['migrate up', 'apply every pending migration'],
    ['migrate up --service auth,mint --lock-timeout 30', 'two services, with more patience for locks'],
  ],
  'migrate down': [
    ['migrate down --service mint', 'revert the newest migration of one service'],
    ['migrate down --service mint --steps 2', 'revert the newest two'],
  ],
  'migrate tag': [
    ['migrate tag release-1', 'record the newest migration of every database'],
    ['migrate tag release-2 --json', 'the same for a script'],
  ],
  'migrate status': [
    ['migrate status', 'list the migrations of every database'],
    ['migrate status --check', 'exit 4 if a migration is pending'],
  ],
  'migrate drift': [
    ['migrate drift', 'compare every database with its migrations'],
    ['migrate drift --check --service mint', 'exit 4 if one database differs'],
  ],
  'migrate verify': [
    ['migrate verify', 'try every migration on scratch databases'],
    ['migrate verify --service mint', 'only the migrations of one service'],
  ],
  'migrate lint': [
    ['migrate lint', 'check the files of all migrations'],
    ['migrate lint --service mint', 'only the files of one service'],
  ],
  'migrate resolve': [
    ['migrate resolve applied mint 20260101000000_init', 'after you completed the migration by hand'],
    ['migrate resolve rolled-back mint 20260101000000_init', 'after you undid it by hand'],
  ],
  'migrate baseline': [
    ['migrate baseline mint', 'adopt a database that existed before its migrations'],
    ['migrate baseline mint --to 20260101000000_init', 'adopt it at an earlier migration'],
  ],
  'migrate doctor': [
    ['migrate doctor', 'examine every server and database'],
    ['migrate doctor --check --service mint', 'exit 4 if one database has a problem'],
  ],
};

/** Adds the examples to the help of each command below `parent`. */
export function addExamples(parent: Command): void {
  for (const command of parent.commands) {
    addExamples(command);
    const examples = examplesOf(command);
    if (examples.length > 0) command.addHelpText('after', `\nExamples:\n${examples.map(exampleText).join('\n')}`);
  }
}

/** The examples of a command, without those of its verbs. */
export function examplesOf(command: Command): readonly Example[] {
  return EXAMPLES[pathOf(command).replace(/^\S+ /, '')] ?? [];
}

/** The commands that have examples, as words: `migrate up`. */
export function commandsWithExamples(): readonly string[] {
  return Object.keys(EXAMPLES);
}

function exampleText([line, effect]: Example): string {
  return `  # ${effect}\n  npx azora-db ${line}`;
}
