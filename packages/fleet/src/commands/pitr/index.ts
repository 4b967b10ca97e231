import type { Register } from '../command';
import { registerBase } from './base.command';
import { registerEnable } from './enable.command';
import { registerPitrRestore } from './restore.command';
import { registerPitrStatus } from './status.command';

const VERBS = [registerEnable, registerBase, registerPitrStatus, registerPitrRestore];

export const registerPitr: Register = (program, execute) => {
  const pitr = program
    .command('pitr')
    .summary('put the embedded server back to any moment since a base backup')
    .description(
      'Point-in-time recovery of the embedded server, all of its databases together. A companion, which holds services ' +
        'whose extensions the embedded server lacks, has no archive of its log: "azora-db backup" covers it. The ' +
        'server of docker-compose.yml has scripts/pitr; on another one use pgBackRest, WAL-G or what the provider has.',
    );
  for (const register of VERBS) register(pitr, execute);
};
