/** @server any */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { transformSync } from '@swc/core';
import { describeWithNats, useNatsServer } from './nats-server';

describe('the README of packages/events', () => {
  const databases = {
    FAMILY: useDatabase('family'),
    NOTIFICATION: useDatabase('notification'),
    NEXUS: useDatabase('nexus'),
  };
  const readme = readFileSync(path.join(repositoryRoot(), 'packages/events/README.md'), 'utf8');
  const blockOf = (language: string) =>
    new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(readme)?.[1] ?? '';
  const given = { ...process.env };

  beforeAll(() => {
    for (const [name, db] of Object.entries(databases)) process.env[`${name}_DATABASE_URL`] = db().url;
  });
  afterAll(() => {
    process.env = given;
  });

  /** Runs the example and returns what it prints. */
  async function runExample(): Promise<string> {
    const { code } = transformSync(blockOf('ts'), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
      module: { type: 'commonjs' },
    });
    const printed: unknown[] = [];
    const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
    const run = new AsyncFunction('require', 'exports', 'console', code);
    await run(require, {}, { log: (value: unknown) => printed.push(value) });
    return printed.join('\n');
  }

  it('has an example that prints the text below it', async () => {
    expect(await runExample()).toBe(blockOf('text').trim());
  });

  describeWithNats('with a broker', () => {
    const server = useNatsServer();

    it('has an example that prints the same over NATS', async () => {
      await databases.FAMILY().admin('TRUNCATE outbox');
      await databases.NOTIFICATION().admin('TRUNCATE inbox');
      process.env['AZORA_BUS_URL'] = server().url;

      expect(await runExample()).toBe(blockOf('text').trim());
    });
  });
});
