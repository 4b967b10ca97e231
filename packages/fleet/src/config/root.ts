import { existsSync } from 'node:fs';
import path from 'node:path';

/** The nearest folder upwards that has services, else the working directory, of which the registry will complain. */
export function findRoot(workingDirectory: string): string {
  for (let folder = workingDirectory; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'lerna.json')) && existsSync(path.join(folder, 'services'))) return folder;
    if (folder === path.dirname(folder)) return workingDirectory;
  }
}
