import path from 'node:path';
import { noSource } from '../errors';
import type { ImportSource, SkippedFile, Stage } from '../stage';
import { corpusStage } from './aurora-corpus';
import { endpointStage, eventStage, healthCheckStage } from './aurora-health';
import { isTaskFile, taskStage } from './aurora-tasks';
import { type LegacyFile, listFiles } from './folder';

const KNOWLEDGE = '.aurora_knowledge';

/**
 * Finds what a folder of Aurora-X holds: the corpus (rag), tasks (agent), and the health and server logs (health).
 * @throws {SuiteError} `IMPORT.CANNOT_READ`, `IMPORT.NO_SOURCE`
 */
export async function openAurora(folder: string): Promise<ImportSource> {
  const origin = path.resolve(folder);
  const files = await listFiles(origin, KNOWLEDGE);
  const used = new Set<LegacyFile>();
  const take = (condition: (name: string) => boolean) => {
    const found = files.filter(({ name }) => condition(name));
    for (const file of found) used.add(file);
    return found;
  };
  const knowledge = (name: string) => (file: string) => file === `${KNOWLEDGE}/${name}`;
  const stages: readonly Stage[] = [
    corpusStage(take((name) => /^corpus[^/]*\.jsonl?$/.test(name))),
    taskStage(take((name) => name.startsWith(`${KNOWLEDGE}/`) && isTaskFile(name))),
    endpointStage(take(knowledge('health_log.jsonl'))),
    healthCheckStage(take(knowledge('health_log.jsonl'))),
    eventStage(take(knowledge('luminar_nexus.jsonl'))),
  ].filter(({ sources }) => sources.length > 0);
  if (stages.length === 0) {
    throw noSource(origin, `corpus*.json, corpus*.jsonl, or tasks and logs in ${KNOWLEDGE}`);
  }
  const skipped = files.filter((file) => !used.has(file)).map(skippedOf);
  return { kind: 'aurora', origin, stages, skipped, close: async () => undefined };
}

function skippedOf({ name }: LegacyFile): SkippedFile {
  const isState = /\.jsonl?$/.test(name);
  return {
    file: name,
    reason: isState
      ? 'A document of settings or state, for which the suite has no table; "import table" moves records of other files'
      : 'No import reads files of this kind',
  };
}
