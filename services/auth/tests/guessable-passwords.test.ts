/** @server none */
import { spawnSync } from 'node:child_process';
import { repositoryRoot } from '@azora/db-testkit';
import { dictionary } from '@zxcvbn-ts/language-common';
import { refuseGuessablePassword } from '../src/account/guessable-passwords';

const ADA = { email: 'ada.lovelace@babbage.example', name: 'Ada King', username: 'enchantress' };
const common = dictionary['passwords-common'].filter((password) => password.length >= 8);

async function isRefused(password: string, owner = ADA): Promise<boolean> {
  return refuseGuessablePassword(password, owner).then(
    () => false,
    (error) => {
      expect(error).toMatchObject({ code: 'AUTH.PASSWORD_REFUSED' });
      return true;
    },
  );
}

describe('a guessable password', () => {
  it('is each of the 10,000 and more common passwords that are long enough', async () => {
    expect(common.length).toBeGreaterThan(10_000);
    const missed: string[] = [];
    for (const password of common) if (!(await isRefused(password, ADA))) missed.push(password);

    expect(missed).toEqual([]);
  });

  it.each([
    'Password2026!',
    'P@ssw0rd!!',
    '123456monkey',
    '$unsh1ne99',
    'iloveyou#1',
    '87654321',
    '00000000',
    'qwertyuiop',
    'poiuytrewq',
    'abcdefghijkl',
    'abcabcabcabc',
    'zzzzzzzzzzzz',
    'johannesburg1',
    'welcome2026',
  ])('is %s, which is common or follows a pattern', async (password) => {
    expect(await isRefused(password)).toBe(true);
  });

  it.each([
    'ada.lovelace@babbage.example',
    'Ada.Lovelace',
    'Lovelace1815!',
    'ada king 1815',
    'L0ve!ace2026',
    'enchantress!!!',
    'babbage-2026',
    'Azora2025!',
    'az0raworld123',
    'azora-password1',
    'AdaAzora2026',
  ])('is %s, which consists of words about the owner or the service', async (password) => {
    expect(await isRefused(password)).toBe(true);
    expect(await isRefused('four unrelated words')).toBe(false);
  });

  it.each([
    'four unrelated words',
    'correct staple battery horse',
    'ada met a friendly walrus',
    'azora needs better coffee',
    'x7#Kq9!mZ2@v',
    'dragonfly over the harbour',
    '\u30d1\u30b9\u30ef\u30fc\u30c9\u306f\u9577\u3044',
    'annapolis sunrise',
  ])('is not %s', async (password) => {
    expect(await isRefused(password, { ...ADA, name: 'Ann Al' })).toBe(false);
  });

  it('is found by a list that only a new password loads', () => {
    const script = `
      const loaded = () => Object.keys(require.cache).some((file) => file.includes('zxcvbn'));
      require('@azora/auth');
      const { refuseGuessablePassword } = require('./services/auth/dist/src/account/guessable-passwords.js');
      const { isPasswordOf, hashPassword } = require('./services/auth/dist/src/account/passwords.js');
      hashPassword('four unrelated words', 4)
        .then((hash) => isPasswordOf(hash, 'four unrelated words', 4))
        .then(async (isRight) => {
          console.log(isRight, loaded());
          await refuseGuessablePassword('four unrelated words', {});
          console.log(loaded());
        });
    `;
    const { stdout } = spawnSync(process.execPath, ['-e', script], {
      cwd: repositoryRoot(),
      encoding: 'utf8',
    });

    expect(stdout).toBe('true false\ntrue\n');
  });
});
