import path from 'node:path';
import type { SuiteError } from '@azora/db-core';
import { openStorage } from '../src/backup-store/open-storage';
import { s3Storage } from '../src/backup-store/s3';

describe('the place of backups', () => {
  it('is a directory unless it has a scheme', async () => {
    expect((await openStorage('some/where')).location).toBe(path.resolve('some/where'));
    expect((await openStorage('/some/where')).location).toBe(path.resolve('/some/where'));
  });

  it.each(['gs://bucket/sets', 'https://user:sesame@host/bucket', 'file:///backups'])('is not %s', async (location) => {
    await expectBadLocation(() => openStorage(location));
  });

  it.each([
    's3://',
    's3:///sets',
    's3://Bucket/sets',
    's3://user:sesame@bucket/sets',
    's3://bucket/sets?secret=sesame',
    's3://bucket/../sets',
  ])('is not %s', async (location) => {
    await expectBadLocation(async () => s3Storage(location));
  });

  it.each([
    ['s3://bucket', 's3://bucket'],
    ['S3://bucket/', 's3://bucket'],
    ['s3://my.bucket-1//of/host=a/', 's3://my.bucket-1/of/host=a'],
  ])('is in a bucket: %s', (location, shown) => {
    expect(s3Storage(location).location).toBe(shown);
  });
});

async function expectBadLocation(open: () => Promise<unknown>): Promise<void> {
  const problem: SuiteError = await open().then(
    () => Promise.reject(new Error('it is one')),
    (error) => error,
  );

  expect(problem).toMatchObject({ code: 'USAGE.BAD_LOCATION', next: expect.stringContaining('s3://bucket/prefix') });
  expect(JSON.stringify([problem, problem.message, problem.stack])).not.toContain('sesame');
}
