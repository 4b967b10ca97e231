import { execFileSync } from 'node:child_process';
import { childEnvironment } from '../src/system/child-environment';

const SECRETS = {
  AZORA_BACKUP_KEY: 'AGE-SECRET-KEY-1X',
  AZORA_BACKUP_PASSPHRASE: 'passphrase',
  DATABASE_URL: 'postgresql://postgres:password@localhost/postgres',
  NODE_OPTIONS: '--require /nowhere',
  PGDATA: '/elsewhere',
  AWS_SECRET_ACCESS_KEY: 'secret',
};

describe('childEnvironment', () => {
  const { PATH = '' } = process.env;

  it('gives a child what programs need, and no secret of this process', () => {
    const environment = { PATH, HOME: '/home/ada', LANG: 'C', LC_ALL: 'C', TZ: 'UTC', TMPDIR: '/tmp', ...SECRETS };
    const printed = execFileSync(process.execPath, ['-p', 'JSON.stringify(process.env)'], {
      env: childEnvironment(environment),
      encoding: 'utf8',
    });

    expect(JSON.parse(printed)).toEqual({
      PATH,
      HOME: '/home/ada',
      LANG: 'C',
      LC_ALL: 'C',
      TZ: 'UTC',
      TMPDIR: '/tmp',
    });
  });

  it('adds what the caller names, which wins over the inherited value', () => {
    expect(childEnvironment({ PATH, TZ: 'Europe/Lisbon', PGDATA: '/elsewhere' }, { TZ: 'UTC', PGPORT: '1' })).toEqual({
      PATH,
      TZ: 'UTC',
      PGPORT: '1',
    });
  });

  it('leaves out a variable that is not set', () => {
    expect(childEnvironment({ PATH: undefined, HOME: '/home/ada' })).toEqual({ HOME: '/home/ada' });
  });
});
