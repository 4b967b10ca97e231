/** @server none */
import type { Command } from 'commander';
import { createProgram } from '../src/commands/index';
import { describeInterruption, interruptionText, REMAINS, RunStates, statesOfRows } from '../src/commands/interruption';

const DONE = { service: 'auth', state: 'done' } as const;
const CUT = { service: 'forge', state: 'interrupted' } as const;
const FAILED = { service: 'mint', state: 'failed' } as const;
const LEFT = { service: 'story', state: 'not-started' } as const;

describe('the summary of an interrupted command', () => {
  it('counts the services by their state, and repeats the command as a person can type it', () => {
    const args = ['backup', '--out', "/tmp/it's here", '--service', 'auth,forge,mint,story'];
    const interruption = describeInterruption('backup', args, [DONE, CUT, FAILED, LEFT], false);

    expect(interruptionText(interruption)).toBe(
      'Interrupted: 1 done, 1 failed, 1 interrupted, 1 not started. No set was stored, and the unfinished set was removed.\n' +
        String.raw`→ npx azora-db backup --out '/tmp/it'\''s here' --service auth,forge,mint,story`,
    );
  });

  it('says that nothing is left when the command had done all of its work', () => {
    const { next, left } = describeInterruption('backup', ['backup'], [DONE], true);

    expect({ next, left }).toEqual({ next: null, left: 'The command had done all of its work.' });
  });

  it.each([
    ['by steps', ['migrate', 'down', '-sauth,mint,story'], 'npx azora-db migrate down --service mint,story'],
    ['by steps', ['migrate', 'down', '-s', 'auth,mint,story'], 'npx azora-db migrate down --service mint,story'],
    [
      'by steps',
      ['migrate', 'down', '--all', '--steps', '2'],
      'npx azora-db migrate down --steps 2 --service mint,story',
    ],
    ['to a migration', ['migrate', 'down', '--to', 'v1'], 'npx azora-db migrate down --to v1'],
  ])('never proposes to revert a service %s twice', (_, args, next) => {
    expect(describeInterruption('migrate down', args, [DONE, FAILED, LEFT], false).next).toBe(next);
  });

  it('proposes to look at the migrations when a revert by steps stopped between two steps', () => {
    const args = ['migrate', 'down', '--steps', '2'];
    expect(describeInterruption('migrate down', args, [DONE, CUT], false).next).toBe('npx azora-db migrate status');
  });

  it('takes the states of a result with rows, and of no other', () => {
    const rows = [{ service: 'auth', state: 'not-started' }];

    expect(statesOfRows(rows)).toEqual(rows);
    expect(statesOfRows([{ service: 'auth', database: 'azora_auth' }])).toBeUndefined();
    expect(statesOfRows([])).toBeUndefined();
    expect(statesOfRows(undefined)).toBeUndefined();
  });

  it('knows only commands that exist', () => {
    const program = createProgram(() => async () => undefined);
    const wordsOf = (parent: Command, words: readonly string[]): readonly string[] =>
      parent.commands.flatMap((command) => {
        const own = [...words, command.name()];
        return [own.join(' '), ...wordsOf(command, own)];
      });

    expect(wordsOf(program, [])).toEqual(expect.arrayContaining(Object.keys(REMAINS)));
  });
});

describe('the states of a run', () => {
  it('count unfinished work as interrupted, and only the last run', () => {
    const states = new RunStates();
    const send = (service: string, state: 'queued' | 'started' | 'working' | 'done') =>
      states.observe({ service, state, detail: '' });
    send('auth', 'queued');
    send('old', 'queued');
    send('auth', 'done');
    for (const service of ['auth', 'forge', 'mint', 'story']) send(service, 'queued');
    send('auth', 'done');
    send('forge', 'started');
    send('mint', 'working');

    expect(states.list()).toEqual([
      { service: 'auth', state: 'done' },
      { service: 'forge', state: 'interrupted' },
      { service: 'mint', state: 'interrupted' },
      { service: 'story', state: 'not-started' },
    ]);
  });
});
