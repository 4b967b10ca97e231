import { createRequire } from 'node:module';
import path from 'node:path';
import type { Service } from '../config/registry';
import type { Progress, ServiceRow } from './fleet';
import { runInWorkspace, type WorkspaceOptions } from './workspace';

export interface GenerateOptions extends WorkspaceOptions {
  readonly progress?: Progress | undefined;
}

export interface GeneratedService {
  /** Whether its schema had changed since its client was generated. */
  readonly generated: boolean;
  /** Whether its store was compiled. */
  readonly built: boolean;
}

export interface GenerateReport {
  readonly rows: readonly ServiceRow<GeneratedService>[];
  /** The other packages that were compiled, by their folder: `packages/core`, `prisma`. */
  readonly alsoBuilt: readonly string[];
}

const GENERATED = /^generated (\S+)$/;
const BUILDING = /Building project '(.+)[/\\]tsconfig\.json'/;
/** The lines of `tsc --build --verbose` that tell its decisions: they begin with the time. */
const DECISION = /^\S+( [AP]M)? - /;

/**
 * Generates the clients whose schema changed, then compiles their stores, the shared seed, and the packages that these import,
 * as far as they changed. An interrupt leaves every client either old or new; its services are `not-started`.
 * @throws {SuiteError} `WORKSPACE.FAILED` with the end of the program's output
 */
export async function generateServices(
  services: readonly Service[],
  options: GenerateOptions,
): Promise<GenerateReport> {
  const { root, progress, signal } = options;
  const names = services.map(({ name }) => name);
  const generated = new Set<string>();
  const built = new Set<string>();
  const folders = new Map(names.map((name) => [`services/${name}`, name]));
  for (const name of names) progress?.({ service: name, state: 'queued', detail: '' });

  const generator = path.join(root, 'prisma', 'generate.js');
  const program = { root, environment: options.environment, signal };
  const onGenerated = (line: string) => {
    const [, name] = GENERATED.exec(line) ?? [];
    if (name === undefined) return;
    generated.add(name);
    progress?.({ service: name, state: 'working', detail: 'generated' });
  };
  await runInWorkspace('generating the clients', [generator, ...names], { ...program, onLine: onGenerated });
  const compiler = createRequire(path.join(root, 'package.json')).resolve('typescript/bin/tsc');
  const projects = [...folders.keys(), 'prisma'];
  const build = [compiler, '--build', '--verbose', '--pretty', 'false', ...projects];
  const onBuilding = (line: string) => {
    const [, directory] = BUILDING.exec(line) ?? [];
    if (directory === undefined) return;
    const folder = path.relative(root, directory).replaceAll(path.sep, '/');
    built.add(folder);
    const name = folders.get(folder);
    if (name !== undefined) progress?.({ service: name, state: 'working', detail: 'building' });
  };
  await runInWorkspace('building', build, { ...program, onLine: onBuilding, isShown: (line) => !DECISION.test(line) });

  const rows = names.map((service): ServiceRow<GeneratedService> => {
    if (signal?.aborted) return { service, state: 'not-started' };
    const data = { generated: generated.has(service), built: built.has(`services/${service}`) };
    progress?.({ service, state: 'done', detail: describeGenerated(data) });
    return { service, state: 'done', data };
  });
  return { rows, alsoBuilt: signal?.aborted ? [] : [...built].filter((folder) => !folders.has(folder)) };
}

/** What happened to a service, such as `generated and built`. */
export function describeGenerated({ generated, built }: GeneratedService): string {
  const parts = [...(generated ? ['generated'] : []), ...(built ? ['built'] : [])];
  return parts.length === 0 ? 'up to date' : parts.join(' and ');
}
