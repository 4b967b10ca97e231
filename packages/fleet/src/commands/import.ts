import { Argument, type Command } from 'commander';
import { selectInEnvironment } from '../config/registry';
import type { ImportRequest } from '../operations/import';
import { type CommandContext, openSuite, type Register, requireServices, withJson } from './command';
import { type ConsentFlags, requireConsent, withConsent } from './consent';
import { EXIT_FOUND, exitCodeOfRows } from './exit-codes';

type What = 'plan' | 'run' | 'verify';

export const registerImport: Register = (program, execute) => {
  const group = program
    .command('import')
    .summary('move legacy data into the databases, with a journal, rejects and rollback')
    .description(
      'Moves the records of legacy files into the databases: the files of Aurora-X, the SQLite databases of Aragora, or any ' +
        'CSV, JSON or SQLite file by a mapping. docs/IMPORT-LEGACY-DATA.md explains it.',
    );
  for (const register of [registerAurora, registerAragora, registerTable, registerList, registerRollback])
    register(group, execute);
};

/** Adds what to do with a source; without it, a command changes nothing. */
function withWhat(command: Command): Command {
  return withJson(command).addArgument(
    new Argument(
      '[what]',
      'plan: show what a run would do; run: import, or continue; verify: compare source and databases',
    )
      .choices(['plan', 'run', 'verify'])
      .default('plan'),
  );
}

const registerAurora: Register = (group, execute) => {
  withWhat(group.command('aurora').argument('<folder>', 'the folder of Aurora-X'))
    .summary('import the JSON, JSON-lines and text files of Aurora-X')
    .description(
      'Imports the files of an Aurora-X folder: the corpus into rag, the tasks of .aurora_knowledge into agent, the health and server logs into health.',
    )
    .action(execute((context, folder: string, what: What) => work(context, { kind: 'aurora', folder }, what)));
};

const registerAragora: Register = (group, execute) => {
  withWhat(group.command('aragora').argument('<folder>', 'the folder of Aragora, such as ~/.aragora'))
    .summary('import the SQLite databases of Aragora')
    .description(
      'Imports copies of the SQLite databases in a folder of Aragora: users and organizations into auth, everything else into debate.',
    )
    .action(execute((context, folder: string, what: What) => work(context, { kind: 'aragora', folder }, what)));
};

const registerTable: Register = (group, execute) => {
  withWhat(group.command('table'))
    .summary('import any CSV, JSON, JSON-lines or SQLite table by a mapping')
    .description(
      'Imports the records of one file into one table. The mapping says where each column comes from; docs/IMPORT-LEGACY-DATA.md describes it.',
    )
    .requiredOption('--map <file>', 'the mapping, a JSON file')
    .action(
      execute((context, what: What, { map }: { readonly map: string }) => work(context, { kind: 'table', map }, what)),
    );
};

async function work(context: CommandContext, request: ImportRequest, what: What) {
  const { settings, allServices } = await openSuite(context, {});
  const { compareImport, openSource, runImport, servicesOf } = await import('../operations/import.js');
  const { openTargets } = await import('../operations/targets.js');
  const render = await import('../render/import.js');
  const source = await openSource(request);
  try {
    const services = selectInEnvironment(allServices, settings.selected, servicesOf(source));
    const targets = await openTargets(requireServices(settings, services), services, context.log, context.signal);
    const { progress, signal } = context;
    if (what === 'run') {
      const report = await runImport(source, targets, settings.home, { progress, signal });
      return { data: render.runData(report), text: render.runText(report), exitCode: exitCodeOfRows(report.rows) };
    }
    const rows = await compareImport(source, targets, { progress, signal });
    const exitCode = exitCodeOfRows(rows);
    if (what === 'plan') {
      return { data: render.planData(rows, source.skipped), text: render.planText(rows, source.skipped), exitCode };
    }
    const found = render.differs(rows) ? EXIT_FOUND : 0;
    return { data: render.verifyData(rows), text: render.verifyText(rows), exitCode: exitCode || found };
  } finally {
    await source.close();
  }
}

const registerList: Register = (group, execute) => {
  withJson(group.command('list'))
    .description('list the imports with their state in each database')
    .action(
      execute(async (context) => {
        const { settings, services } = await openSuite(context, {});
        const { listImports } = await import('../operations/import.js');
        const { openTargets } = await import('../operations/targets.js');
        const { listText } = await import('../render/import.js');
        const imports = await listImports(await openTargets(settings, services, context.log, context.signal));
        return { data: { ok: true, imports }, text: listText(imports) };
      }),
    );
};

const registerRollback: Register = (group, execute) => {
  withConsent(withJson(group.command('rollback').argument('<import>', 'the id of the import; "import list" shows it')))
    .summary('take out what an import brought; asks first')
    .description(
      'Deletes the rows that an import inserted and returns the rows that it updated to what they were. A row that somebody changed ' +
        'since then, or that another row refers to, is kept and named.',
    )
    .action(
      execute(async (context, id: string, flags: ConsentFlags) => {
        const { settings, services } = await openSuite(context, {});
        const { findImported, rollBackImport } = await import('../operations/import.js');
        const { openTargets } = await import('../operations/targets.js');
        const { rollbackData, rollbackText } = await import('../render/import.js');
        const all = await openTargets(settings, services, context.log, context.signal);
        const targets = await findImported(all, id);
        await requireConsent(context, { ...flags, action: `take the import ${id} out again`, targets });
        const { progress, signal } = context;
        const rows = await rollBackImport(id, targets, { progress, signal });
        return { data: rollbackData(id, rows), text: rollbackText(id, rows), exitCode: exitCodeOfRows(rows) };
      }),
    );
};
