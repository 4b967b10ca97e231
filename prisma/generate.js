// Generates the Prisma clients of the named services, or of all services, in one process, and skips those that are up to date.
// Nine tenths of the time of `prisma generate` is the start of its command line.
const { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const services = path.join(root, 'services');

const schemaOf = (service) => path.join(services, service, 'prisma', 'schema.prisma');
const clientOf = (service) => path.join(services, service, 'src', 'generated');

/** Whether the client was generated from this text by the installed version: a client contains both. */
function isUpToDate(service, schema) {
  const file = path.join(clientOf(service), 'internal', 'class.ts');
  if (!existsSync(file)) return false;
  const text = readFileSync(file, 'utf8');
  // The package does not export its package.json.
  const generator = path.join(require.resolve('@prisma/client-generator-ts'), '..', '..', 'package.json');
  const { version } = JSON.parse(readFileSync(generator, 'utf8'));
  return text.includes(`"clientVersion": "${version}"`) && text.includes(`"inlineSchema": ${JSON.stringify(schema)}`);
}

async function generate(service) {
  // Loading these takes a second.
  const { PrismaClientTsGenerator } = require('@prisma/client-generator-ts');
  const { getGenerators, loadSchemaContext } = require('@prisma/internals');
  const registry = { 'prisma-client': { type: 'in-process', generator: new PrismaClientTsGenerator() } };
  const schemaContext = await loadSchemaContext({
    schemaPath: { cliProvidedPath: schemaOf(service) },
    schemaEngineConfig: {},
    printLoadMessage: false,
  });
  const generators = await getGenerators({ schemaContext, registry, cliCommand: 'generate' });
  try {
    // A client contains its schema as "prisma format" prints it, and the file may be formatted differently.
    for (const generator of generators) {
      if (!isUpToDate(service, generator.options.datamodel)) await replaceClient(service, generator);
    }
  } finally {
    for (const generator of generators) generator.stop();
  }
}

/** Generates into a folder of its own and renames it: an interrupted run leaves the old client, or none between two renames. */
async function replaceClient(service, generator) {
  const local = path.join(root, '.azora');
  mkdirSync(local, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(local).filter(isAbandoned))
    rmSync(path.join(local, name), { recursive: true, force: true });
  const draft = path.join(local, `generate-${service}-${process.pid}`);
  try {
    generator.options.generator.output.value = path.join(draft, 'generated');
    await generator.generate();
    mkdirSync(path.dirname(clientOf(service)), { recursive: true });
    // Removing the old client takes many steps, and a process killed between them would leave a part of it.
    if (existsSync(clientOf(service))) renameSync(clientOf(service), path.join(draft, 'replaced'));
    renameSync(path.join(draft, 'generated'), clientOf(service));
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  process.stdout.write(`generated ${service}\n`);
}

/** Whether it is the folder of a run that was killed. */
function isAbandoned(name) {
  const [, pid] = /^generate-[a-z0-9-]+-(\d+)$/.exec(name) ?? [];
  if (pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

async function main(names) {
  const known = readdirSync(services).filter((service) => existsSync(schemaOf(service)));
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`Unknown service: ${unknown.join(', ')}; known are ${known.join(', ')}`);
  const stale = (names.length === 0 ? known : names).filter(
    (service) => !isUpToDate(service, readFileSync(schemaOf(service), 'utf8')),
  );
  for (const service of stale) await generate(service);
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
