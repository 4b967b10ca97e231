import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { findServices, type Service } from '../src/config/registry';

/** A suite of two services with a reference between them. */
export const FIXTURE_ROOT = path.join(__dirname, 'fixtures', 'suite');

export const REPOSITORY_ROOT = path.resolve(__dirname, '..', '..', '..');

const temporary: string[] = [];

/** Creates a suite of one service per schema. {@link removeSuites} removes it. Schemas need no datasource. */
export async function givenSuite(schemas: Readonly<Record<string, string>>): Promise<readonly Service[]> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'azora-suite-'));
  temporary.push(root);
  for (const [name, schema] of Object.entries(schemas)) {
    const folder = path.join(root, 'services', name);
    await mkdir(path.join(folder, 'prisma'), { recursive: true });
    await writeFile(path.join(folder, 'package.json'), JSON.stringify({ azora: { database: `azora_${name}` } }));
    // At the end, so that line numbers count from the first line of the schema.
    await writeFile(path.join(folder, 'prisma', 'schema.prisma'), `${schema.trim()}\n${DATASOURCE}`);
  }
  return findServices(root);
}

export async function removeSuites(): Promise<void> {
  await Promise.all(temporary.splice(0).map((root) => rm(root, { recursive: true, force: true })));
}

const DATASOURCE = 'datasource db {\n  provider = "postgresql"\n}\n';
