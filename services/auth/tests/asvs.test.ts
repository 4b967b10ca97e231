/** @server any */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import * as store from '../src/index';

const ROOT = path.join(repositoryRoot(), 'services/auth');
const README = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
const SECTION = README.slice(README.indexOf('## ASVS 5.0'));
const ROWS = [...SECTION.matchAll(/^\| (\d[\d.]*) \|(.*)\|$/gm)].map(([, item = '', rest = '']) => {
  const [requirement = '', held = '', by = '', test = ''] = rest.split('|').map((cell) => cell.trim());
  return { item, requirement, held, by, test };
});
const codeIn = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);

/** The number of requirements in each section of ASVS 5.0.0. */
const REQUIREMENTS = {
  ...{ 6.1: 3, 6.2: 12, 6.3: 8, 6.4: 6, 6.5: 8, 6.6: 4, 6.7: 2, 6.8: 4 },
  ...{ 7.1: 3, 7.2: 4, 7.3: 2, 7.4: 5, 7.5: 3, 7.6: 2 },
  ...{ 8.1: 4, 8.2: 4, 8.3: 3, 8.4: 2 },
};

describe('the table of ASVS 5.0', () => {
  const db = useDatabase('auth');

  it('has each requirement of V6 to V8 once, in order', () => {
    const items = Object.entries(REQUIREMENTS)
      .sort(([a], [b]) => Number(a) - Number(b))
      .flatMap(([section, count]) => Array.from({ length: count }, (_, n) => `${section}.${n + 1}`));

    expect(ROWS.map(({ item }) => item)).toEqual(items);
    expect(ROWS.filter(({ requirement }) => requirement === '')).toEqual([]);
  });

  it('says of each requirement whether it is held, and by which code and test', () => {
    const proven = ROWS.filter(({ held }) => held === 'yes' || held === 'partly');

    expect([...new Set(ROWS.map(({ held }) => held))].sort()).toEqual(['edge', 'no', 'none', 'partly', 'yes']);
    expect(proven.filter(({ by }) => by === '').map(({ item }) => item)).toEqual([]);
    // The absence of a column is visible in the schema alone.
    expect(proven.filter(({ test }) => test === '').map(({ item }) => item)).toEqual(['6.4.2']);
    expect(ROWS.filter(({ held, by }) => held === 'no' && by === '')).toEqual([]);
  });

  it('names files, functions, constraints and columns that exist', async () => {
    const known = await db().admin(`SELECT conname AS name FROM pg_constraint UNION SELECT indexname FROM pg_indexes
      UNION SELECT proname FROM pg_proc UNION SELECT attname FROM pg_attribute`);
    const names = new Set(known.map((row) => row['name']));
    const exists = (code: string) =>
      code.includes('/')
        ? existsSync(path.join(ROOT, code))
        : code in store || code in store.DEFAULT_SETTINGS || names.has(code) || /^[A-Z_]+$/.test(code);
    const named = ROWS.flatMap(({ item, by, test }) => codeIn(`${by} ${test}`).map((code) => `${item} ${code}`));

    expect(named.length).toBeGreaterThan(100);
    expect(named.filter((it) => !exists(it.replace(/^\S+ /, '')))).toEqual([]);
    expect(ROWS.flatMap(({ test }) => codeIn(test)).filter((it) => !it.startsWith('tests/'))).toEqual([]);
  });

  it.each([...new Set(ROWS.flatMap(({ by }) => [...by.matchAll(/"([^"]+)"/g)].map(([, title]) => title)))])(
    'refers to the section "%s", which exists above',
    (title) => {
      expect(README.slice(0, README.indexOf('## ASVS 5.0'))).toMatch(new RegExp(`^(## |\\*\\*)${title}`, 'm'));
    },
  );

  it('is right that migrations create no accounts, and that two functions alone open sessions', async () => {
    const functions = await db().admin(
      `SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosrc ~ 'INSERT INTO "public"."sessions"'`,
    );
    const callers = await db().admin(
      `SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosrc ~ '"insert_session"\\(' ORDER BY 1`,
    );

    expect(await db().admin('SELECT id FROM users')).toEqual([]);
    expect(functions).toEqual([{ proname: 'insert_session' }]);
    expect(callers.map(({ proname }) => proname)).toEqual(['finish_sign_in', 'open_session']);
  });
});
