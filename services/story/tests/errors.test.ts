/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import * as store from '../src';
import { STORY_ERROR_CODES, type StoryErrorCode } from '../src';
import { CONSTRAINT_ERRORS } from '../src/errors';

const read = (file: string) => readFileSync(path.join(repositoryRoot(), file), 'utf8');
const README = read('services/story/README.md');
const STRUCTURE = read('services/story/prisma/structure.sql');

describe('the error codes of story', () => {
  const errors = Object.values(CONSTRAINT_ERRORS).map((errorOf) => errorOf({}));

  it('are those of the errors that the database can cause, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...STORY_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const rows = [...read('docs/errors.md').matchAll(/^\| .*`(STORY\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)];
    const listed = new Map(rows.map(([, code, kind]) => [code, kind] as const));

    expect(listed.size).toBe(STORY_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are those of the rules that the migrations raise', () => {
    const raised = [...STRUCTURE.matchAll(/refuse\('([a-z_]+)'/g)].map(([, rule = '']) => rule);

    expect(new Set(raised).size).toBeGreaterThan(20);
    expect([...new Set(raised)].sort()).toEqual(Object.keys(CONSTRAINT_ERRORS).sort());
  });

  it('are a type that rejects other codes', () => {
    const known: StoryErrorCode = 'STORY.LEASE_LOST';
    // @ts-expect-error No error has this code.
    const unknown: StoryErrorCode = 'STORY.NO_SUCH_CODE';

    expect([known, unknown].map((code) => STORY_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});

describe('the README of story', () => {
  it('names every function, event and error code of the store', () => {
    const functions = Object.entries(store).filter(
      ([name, value]) => typeof value === 'function' && /^[a-z]/.test(name),
    );
    const codes = STORY_ERROR_CODES.map((code) => code.replace('STORY.', ''));
    const names = [...functions.map(([name]) => name), ...store.EVENTS.map(({ type }) => type), ...codes];

    expect(names.length).toBeGreaterThan(60);
    expect(names.filter((name) => !new RegExp(`\`(STORY\\.)?${name}\``).test(README))).toEqual([]);
  });

  it('lists the transitions of every status', () => {
    const lists = [...STRUCTURE.matchAll(/check_transition\(('[^)]*')\)/g)].map(([, list = '']) => list);
    const statuses = lists.flatMap((list) => [...list.matchAll(/[A-Za-z]+/g)].map(([status]) => status));

    expect(lists).toHaveLength(3);
    expect(statuses.filter((status) => !README.includes(`\`${status}\``))).toEqual([]);
  });
});
