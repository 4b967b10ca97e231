/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import * as store from '../src';
import { EDUCATION_ERROR_CODES, type EducationErrorCode } from '../src';
import { CONSTRAINT_ERRORS } from '../src/errors';

/** A time that is missing cannot be shown. */
const FACTS = { expiredAt: '2026-01-01T00:00:00+00:00', deadline: '2026-01-01T00:00:00+00:00' };

describe('the error codes of education', () => {
  const errors = Object.values(CONSTRAINT_ERRORS).map((errorOf) => errorOf(FACTS));

  it('are those of the errors that the database can cause, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...EDUCATION_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const text = readFileSync(path.join(repositoryRoot(), 'docs/errors.md'), 'utf8');
    const listed = new Map(
      [...text.matchAll(/^\| .*`(EDUCATION\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)].map(
        ([, code, kind]) => [code, kind] as const,
      ),
    );

    expect(listed.size).toBe(EDUCATION_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are those of the rules that the migrations raise', () => {
    const structure = readFileSync(path.join(repositoryRoot(), 'services/education/prisma/structure.sql'), 'utf8');
    const raised = [...structure.matchAll(/refuse\('([a-z_]+)'/g)].map(([, rule = '']) => rule);

    expect(raised.length).toBeGreaterThan(40);
    expect([...new Set(raised)].filter((rule) => CONSTRAINT_ERRORS[rule] === undefined)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: EducationErrorCode = 'EDUCATION.COURSE_FULL';
    // @ts-expect-error No error has this code.
    const unknown: EducationErrorCode = 'EDUCATION.NO_SUCH_CODE';

    expect([known, unknown].map((code) => EDUCATION_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});

describe('the README of education', () => {
  const readme = readFileSync(path.join(repositoryRoot(), 'services/education/README.md'), 'utf8');

  it('names every function, event and error code of the store', () => {
    const functions = Object.entries(store).filter(
      ([name, value]) => typeof value === 'function' && /^[a-z]/.test(name),
    );
    const names = [
      ...functions.map(([name]) => name),
      ...store.EVENTS.map(({ type }) => type),
      ...EDUCATION_ERROR_CODES.map((code) => code.replace('EDUCATION.', '')),
    ];

    expect(names.length).toBeGreaterThan(90);
    const isNamed = (name: string) => readme.includes(`\`${name}\``) || readme.includes(`\`EDUCATION.${name}\``);
    // INVALID_INPUT and KEY_REUSED stand in sentences.
    expect(names.filter((name) => !isNamed(name))).toEqual([]);
  });

  it('lists the transitions of every status', () => {
    const structure = readFileSync(path.join(repositoryRoot(), 'services/education/prisma/structure.sql'), 'utf8');
    const transitions = [...structure.matchAll(/check_transition\(('[^)]*')\)/g)].flatMap(([, list = '']) =>
      [...list.matchAll(/'([a-z]+)>([a-z]+)'/g)].flatMap(([, from = '', to = '']) => [from, to]),
    );

    expect(transitions.filter((status) => !readme.includes(`\`${status}\``))).toEqual([]);
  });
});
