/** @server none */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '@azora/db-testkit';
import * as store from '../src';
import { SAPIENS_ERROR_CODES, type SapiensErrorCode } from '../src';
import { CONSTRAINT_ERRORS } from '../src/errors';

const read = (file: string) => readFileSync(path.join(repositoryRoot(), file), 'utf8');

describe('the error codes of sapiens', () => {
  const errors = Object.values(CONSTRAINT_ERRORS).map((errorOf) => errorOf({}));

  it('are those of the errors that the database can cause, sorted', () => {
    expect([...new Set(errors.map(({ code }) => code))].sort()).toEqual([...SAPIENS_ERROR_CODES]);
  });

  it('have the kind that docs/errors.md lists', () => {
    const listed = new Map(
      [...read('docs/errors.md').matchAll(/^\| .*`(SAPIENS\.[A-Z_]+)` \| .* \| (\w+) \|$/gm)].map(
        ([, code, kind]) => [code, kind] as const,
      ),
    );

    expect(listed.size).toBe(SAPIENS_ERROR_CODES.length);
    expect(errors.filter(({ code, kind }) => listed.get(code) !== kind).map(({ code }) => code)).toEqual([]);
  });

  it('are those of the rules that the migrations raise', () => {
    const raised = [
      ...read('services/sapiens/prisma/structure.sql').matchAll(
        /(?:refuse\(|, )'([a-z]+(?:_[a-z]+)+)',\s+jsonb_build/g,
      ),
    ].map(([, rule = '']) => rule);

    expect(new Set(raised).size).toBeGreaterThan(30);
    expect([...new Set(raised)].filter((rule) => CONSTRAINT_ERRORS[rule] === undefined)).toEqual([]);
  });

  it('are a type that rejects other codes', () => {
    const known: SapiensErrorCode = 'SAPIENS.BANK_EMPTY';
    // @ts-expect-error No error has this code.
    const unknown: SapiensErrorCode = 'SAPIENS.NO_SUCH_CODE';

    expect([known, unknown].map((code) => SAPIENS_ERROR_CODES.includes(code))).toEqual([true, false]);
  });
});

describe('the README of sapiens', () => {
  const readme = read('services/sapiens/README.md');

  it('names every function, event and error code of the store', () => {
    const functions = Object.entries(store).filter(
      ([name, value]) => typeof value === 'function' && /^[a-z]/.test(name),
    );
    const names = [
      ...functions.map(([name]) => name),
      ...store.EVENTS.map(({ type }) => type),
      ...SAPIENS_ERROR_CODES.map((code) => code.replace('SAPIENS.', '')),
    ];

    expect(names.length).toBeGreaterThan(90);
    expect(names.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });

  it('lists the transitions of every status', () => {
    const transitions = [
      ...read('services/sapiens/prisma/structure.sql').matchAll(/check_transition\(('[^)]*')\)/g),
    ].flatMap(([, list = '']) =>
      [...list.matchAll(/'([a-z_]+)>([a-z_]+)'/g)].flatMap(([, from = '', to = '']) => [from, to]),
    );

    expect(transitions.length).toBeGreaterThan(20);
    expect(transitions.filter((status) => !readme.includes(`\`${status}\``))).toEqual([]);
  });
});
