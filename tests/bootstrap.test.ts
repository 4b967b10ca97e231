/** @server none */
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';

const { bootstrapEnvironment } = require(path.join(repositoryRoot(), 'scripts', 'environment.js'));

describe('the environment of npm and the builds', () => {
  it('contains the variables that steer them', () => {
    const steering = {
      PATH: '/usr/bin',
      HTTPS_PROXY: 'http://proxy:3128',
      no_proxy: 'localhost',
      npm_config_registry: 'https://registry.example.org/',
      'npm_config_//registry.example.org/:_authToken': 'token',
      NPM_TOKEN: 'token',
      NX_SKIP_NX_CACHE: 'true',
      NODE_EXTRA_CA_CERTS: '/certificates.pem',
    };

    expect(bootstrapEnvironment(steering)).toEqual({ ...steering, NX_DAEMON: 'false' });
  });

  it('contains no secret of the suite, because install scripts run in it', () => {
    const secrets = {
      AZORA_BACKUP_KEY: 'AGE-SECRET-KEY-1X',
      AZORA_ENCRYPTION_KEY: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
      DATABASE_URL: 'postgresql://postgres:password@localhost/postgres',
      MINT_DATABASE_URL: 'postgresql://postgres:password@localhost/mint',
      NODE_OPTIONS: '--require /nowhere',
    };

    expect(bootstrapEnvironment(secrets)).toEqual({ NX_DAEMON: 'false' });
  });
});
