import path from 'node:path';
import { SuiteError } from '@azora/db-core';
import { type Command, Option } from 'commander';
import { type CommandContext, parseWhole, type Register, withJson, withTarget } from './command';
import { EXIT_FOUND } from './exit-codes';

const SERVICE = 'rag';
const FOLDER = 'the folder of the workspace';
const MAX_DIMENSION = 16_000;

export const registerRag: Register = (program, execute) => {
  const rag = program
    .command('rag')
    .summary('index a source tree, and search its text and its code graph')
    .description(
      'Indexes the files of a folder in rag, searches them by meaning and by words, follows the calls in its code, and proves that ' +
        'the index agrees with the folder.',
    );
  for (const register of [registerIndex, registerSearch, registerGraph, registerVerify]) register(rag, execute);
};

interface EmbeddingFlags {
  readonly embeddings?: string;
  readonly model?: string;
  readonly dimension?: number;
}

const registerIndex: Register = (rag, execute) => {
  withEmbeddings(withJson(rag.command('index').argument('<path>', FOLDER)))
    .summary('make the index of a folder equal to its files')
    .description(
      'Reads the files that have changed since the last run, and embeds the texts that are new. Ctrl-C keeps what is indexed; the next ' +
        'run continues.',
    )
    .action(
      execute((context, folder: string, flags: EmbeddingFlags) =>
        run(context, 'index', folder, embeddingsOf(context, flags)),
      ),
    );
};

interface SearchFlags extends EmbeddingFlags {
  readonly glob?: string;
  readonly limit?: number;
}

const registerSearch: Register = (rag, execute) => {
  withEmbeddings(withJson(rag.command('search').argument('<path>', FOLDER).argument('<text>', 'the words to look for')))
    .description('find parts of files by meaning and by words, the best first')
    .option('--glob <pattern>', 'only files whose path matches, such as "src/**"')
    .option('--limit <number>', 'how many, 10 by default', parseWhole(1, 1_000))
    .action(
      execute((context, folder: string, text: string, flags: SearchFlags) => {
        const { glob, limit } = flags;
        const filters = { ...(glob !== undefined && { glob }), ...(limit !== undefined && { limit }) };
        return run(context, 'search', folder, { text, ...filters, ...embeddingsOf(context, flags) });
      }),
    );
};

interface GraphFlags {
  readonly relation: string;
  readonly depth?: number;
  readonly folder?: string;
}

const registerGraph: Register = (rag, execute) => {
  withJson(rag.command('graph').argument('<path>', FOLDER))
    .argument('[name]', 'the name of a definition; the whole graph, as Mermaid, without it')
    .description('show who calls, is called by, implements or depends on a definition')
    .addOption(
      new Option('--relation <relation>', 'what to follow')
        .choices(['callers', 'callees', 'implementations', 'impact'])
        .default('callers'),
    )
    .option('--depth <edges>', 'how far, 1 to 50', parseWhole(1, 50))
    .option('--folder <folder>', 'of the whole graph, only files below this folder of the workspace')
    .action(
      execute((context, folder: string, name: string | undefined, flags: GraphFlags) => {
        const { relation, depth, folder: below } = flags;
        const input = {
          relation,
          ...(depth !== undefined && { depth }),
          ...(below !== undefined && { folder: below }),
        };
        return run(context, 'graph', folder, { ...input, ...(name !== undefined && { name }) });
      }),
    );
};

const registerVerify: Register = (rag, execute) => {
  withEmbeddings(withJson(rag.command('verify').argument('<path>', FOLDER)))
    .summary('compare the index of a folder with one from scratch; exit 4 when they differ')
    .description(
      'Reads all files again and compares every chunk, node and edge with the tables. Changes nothing. Exits with 4 when a row differs.',
    )
    .action(
      execute((context, folder: string, flags: EmbeddingFlags) =>
        run(context, 'verify', folder, embeddingsOf(context, flags)),
      ),
    );
};

function withEmbeddings(command: Command): Command {
  return command
    .option(
      '--embeddings <url>',
      'an API like that of OpenAI, such as https://api.openai.com/v1; built-in embeddings without it',
    )
    .option('--model <name>', 'the model of the API')
    .option('--dimension <number>', 'the dimension of the model', parseWhole(1, MAX_DIMENSION));
}

/** The service that makes the embeddings. Its key comes from the environment, because other users can read arguments. */
function embeddingsOf({ environment }: CommandContext, { embeddings: url, model, dimension }: EmbeddingFlags) {
  if (url === undefined && model === undefined && dimension === undefined) return {};
  if (url === undefined || model === undefined || dimension === undefined) {
    throw new SuiteError('USAGE.INVALID_ARGUMENTS', 'The command does not say all that it needs about the embeddings', {
      kind: 'usage',
      next: 'Give --embeddings, --model and --dimension together',
    });
  }
  const apiKey = environment['AZORA_EMBEDDINGS_KEY'];
  return { embeddings: { url, model, dimension, ...(apiKey !== undefined && apiKey !== '' && { apiKey }) } };
}

/** Runs a command of the program of rag, as its app role. */
async function run(context: CommandContext, command: string, folder: string, input: Readonly<Record<string, unknown>>) {
  const { openCredentials } = await import('../config/credentials.js');
  const { runServiceProgram } = await import('../operations/service-program.js');
  const { appUrl } = await import('../operations/targets.js');
  const { environment, signal, progress, workingDirectory } = context;
  return withTarget(context, SERVICE, async (target, { settings }) => {
    const url = appUrl(target, await openCredentials(settings.home)).href;
    const place = { path: path.resolve(workingDirectory, folder), ...input };
    const options = { command, url, input: place, environment, signal, progress };
    const { data, text, hasFindings } = await runServiceProgram(target, options);
    return { data: { ok: !hasFindings, ...data }, text, exitCode: hasFindings ? EXIT_FOUND : 0 };
  });
}
