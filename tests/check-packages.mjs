// Prints what publint and Are the Types Wrong find in tarballs, as JSON by file. A program of its own, because jest cannot
// load ES modules.
import { readFileSync } from 'node:fs';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';

const found = {};
for (const file of process.argv.slice(2)) {
  const { buffer, byteOffset, byteLength } = readFileSync(file);
  const tarball = buffer.slice(byteOffset, byteOffset + byteLength);
  const { messages } = await publint({ level: 'suggestion', pack: { tarball } });
  const { types, problems = [] } = await checkPackage(createPackageFromTarballData(new Uint8Array(tarball)));
  found[file] = { messages, types, problems };
}
process.stdout.write(JSON.stringify(found));
