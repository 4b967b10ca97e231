/** @server none */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import type { SuiteError } from '@azora/db-core';
import { openStorage, parseS3Location } from '../src/backup-store/location';

const NO_ENVIRONMENT = {};

describe('openStorage', () => {
  it('opens a directory for a location without a scheme', async () => {
    expect((await openStorage('some/where', NO_ENVIRONMENT)).location).toBe(path.resolve('some/where'));
    expect((await openStorage('/some/where', NO_ENVIRONMENT)).location).toBe(path.resolve('/some/where'));
  });

  it.each([
    ['s3://bucket', { bucket: 'bucket', prefix: '', text: 's3://bucket' }],
    ['S3://bucket/', { bucket: 'bucket', prefix: '', text: 's3://bucket' }],
    [
      's3://my.bucket-1//of/host=a/',
      { bucket: 'my.bucket-1', prefix: 'of/host=a/', text: 's3://my.bucket-1/of/host=a' },
    ],
  ])('finds the bucket and the prefix in %s', (location, parsed) => {
    expect(parseS3Location(location)).toEqual(parsed);
  });

  it.each([
    'gs://bucket/sets',
    'https://user:sesame@host/bucket',
    'file:///backups',
    's3://',
    's3:///sets',
    's3://Bucket/sets',
    's3://user:sesame@bucket/sets',
    's3://bucket/sets?secret=sesame',
    's3://bucket/../sets',
  ])('rejects %s without repeating a password in it', async (location) => {
    const problem: SuiteError = await openStorage(location, NO_ENVIRONMENT).then(
      () => Promise.reject(new Error('the location was accepted')),
      (error) => error,
    );

    expect(problem).toMatchObject({
      code: 'USAGE.BAD_LOCATION',
      kind: 'usage',
      next: expect.stringContaining('s3://bucket/prefix'),
    });
    expect(JSON.stringify([problem, problem.message, problem.stack])).not.toContain('sesame');
  });

  it('says how to install the S3 client when it is missing, and needs none for a directory', () => {
    const program = `
      const Module = require('node:module');
      const resolve = Module._resolveFilename;
      Module._resolveFilename = (request, ...rest) => {
        if (!request.startsWith('@aws-sdk/')) return resolve(request, ...rest);
        throw Object.assign(new Error("Cannot find module '" + request + "'"), { code: 'MODULE_NOT_FOUND' });
      };
      const { openStorage } = require(process.argv[1]);
      (async () => {
        const { location } = await openStorage('/sets', {});
        const { code, kind, next } = await openStorage('s3://bucket', {}).catch((error) => error);
        console.log(JSON.stringify({ location, code, kind, next }));
      })();`;
    const compiled = path.resolve(__dirname, '..', 'dist', 'backup-store', 'location.js');
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', program, compiled], { encoding: 'utf8' });

    expect({ stderr, ...JSON.parse(stdout) }).toEqual({
      stderr: '',
      location: path.resolve('/sets'),
      code: 'BACKUP.NO_S3_CLIENT',
      kind: 'configuration',
      next: expect.stringContaining('npm install @aws-sdk/client-s3 @aws-sdk/lib-storage'),
    });
  });
});
