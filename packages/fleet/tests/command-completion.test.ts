/** @server none */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { completedCommands } from '../src/commands/completion';
import { createProgram } from '../src/commands/index';
import { bashScript } from '../src/render/completion/bash';
import { fishScript } from '../src/render/completion/fish';
import { type CompletionWords, valuedOptions } from '../src/render/completion/words';
import { zshScript } from '../src/render/completion/zsh';

const WORDS: CompletionWords = {
  commands: completedCommands(createProgram(() => () => Promise.resolve())),
  services: ['auth', 'mint', 'notification', 'nexus'],
};

describe('the completion script for bash', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'azora-completion-'));
  const script = path.join(folder, 'azora-db.bash');
  beforeAll(() => writeFileSync(script, bashScript(WORDS)));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** The completions that bash offers for the last word. */
  function complete(...words: readonly string[]): readonly string[] {
    const entry = words[0] === 'npx' ? '_azora_db_npx' : '_azora_db';
    const program = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ${entry}; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const output = execFileSync('bash', ['--norc', '-c', program, script, ...words], { cwd: folder, encoding: 'utf8' });
    return output.split('\n').filter((line) => line !== '');
  }

  it.each([
    ['the commands', ['azora-db', 'st'], ['status', 'studio']],
    ['the verbs of a command', ['azora-db', 'migrate', 're'], ['resolve']],
    ['the options of a command', ['azora-db', 'url', '--'], ['--json', '--admin', '--help']],
    [
      'the options after the value of another option',
      ['azora-db', 'migrate', 'up', '--lock-timeout', '5', '--s'],
      ['--service', '--statement-timeout'],
    ],
    ['the choices of an option', ['azora-db', 'backup', '--format', ''], ['copy', 'pg_dump']],
    ['the choices of an option after =', ['azora-db', 'backup', '--format', '=', 'p'], ['pg_dump']],
    ['the choices of an argument', ['azora-db', 'migrate', 'resolve', ''], ['applied', 'rolled-back', 'renamed']],
    ['the service of an argument', ['azora-db', 'migrate', 'resolve', 'applied', 'm'], ['mint']],
    ['the services of --service', ['azora-db', 'status', '--service', 'n'], ['notification', 'nexus']],
    ['the last service of a list', ['azora-db', 'status', '-s', 'mint,no'], ['mint,notification']],
    ['the commands after help', ['azora-db', 'help', 'migrate', 'ba'], ['baseline']],
    ['a command of npx', ['npx', 'azora-db', 'migrate', 'do'], ['down', 'doctor']],
    ['the command after npx', ['npx', 'az'], ['azora-db']],
    ['nothing of other programs', ['npx', 'other', 'st'], []],
    ['nothing where any value is possible', ['azora-db', 'migrate', 'tag', ''], []],
  ])('completes %s', (_title, words, expected) => {
    expect(complete(...words)).toEqual(expected);
  });
});

describe('the completion scripts for zsh and fish', () => {
  it.each([
    ['zsh', zshScript(WORDS)],
    ['fish', fishScript(WORDS)],
  ])('%s: knows every command, option, choice and service', (_shell, script) => {
    const options = WORDS.commands.flatMap((command) => command.options.map(({ names }) => names[0]?.slice(2) ?? ''));
    const names = [
      ...WORDS.commands.flatMap(({ at }) => at.split(' ')),
      ...options,
      ...WORDS.services,
      ...['applied', 'rolled-back', 'copy', 'pg_dump'],
    ];

    expect(names.filter((name) => !script.includes(name))).toEqual([]);
  });

  it.each([
    ['zsh', zshScript(WORDS), /'((?:[^']|'\\'')*)'/g],
    ['fish', fishScript(WORDS), /'((?:[^'\\]|\\.)*)'/g],
  ])('%s: closes every quotation on its line', (_shell, script, quotation) => {
    const open = script.split('\n').filter((line) => line.replaceAll(quotation, '').replace(/#.*/, '').includes("'"));

    expect(open).toEqual([]);
  });
});

it('an option takes a value in every command or in none', () => {
  const valued = valuedOptions(WORDS);
  const options = WORDS.commands.flatMap((command) => command.options);
  const ambiguous = options.filter((it) => it.values === undefined && it.names.some((name) => valued.includes(name)));

  expect(ambiguous.flatMap(({ names }) => names)).toEqual([]);
});
