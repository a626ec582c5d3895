import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { MillraceError } from '#core';
import type { Command } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands/index.ts';
import { reference } from '../../src/cli/help.ts';
import { parseInput } from '../../src/cli/parse.ts';
import { millrace } from './fixture.ts';

const bake: Command = {
  name: 'bake',
  summary: 'Bakes.',
  positionals: [
    { name: 'KIND', summary: 'What.', required: true, choices: ['bread', 'cake'] },
    { name: 'FILE', summary: 'From what.', many: true },
  ],
  options: [
    { name: 'minutes', type: 'integer', summary: 'How long.', default: 40 },
    { name: 'salt', type: 'number', summary: 'How much.' },
    { name: 'crust', type: 'boolean', summary: 'Whether.', default: true },
    { name: 'shape', type: 'choice', choices: ['round', 'long'], summary: 'Which.' },
    { name: 'seeds', type: 'list', summary: 'Which.' },
    { name: 'tls-key', type: 'text', summary: 'A text.' },
  ],
  run: async () => 0,
};

const read = (...words: string[]) => parseInput(bake, words);
const refuses = (words: string[], code: string, message: RegExp) =>
  assert.throws(
    () => read(...words),
    (error) => error instanceof MillraceError && error.code === code && message.test(error.message),
    words.join(' '),
  );

describe('the words of a command line', () => {
  test('become typed values, with defaults for what is absent', () => {
    assert.deepEqual({ ...read('bread').options }, { minutes: 40, crust: true });
    assert.deepEqual(
      { ...read('bread', '--minutes', '5', '--salt=0.5', '--no-crust', '--shape', 'long', '--seeds', 'a,b', '--seeds', 'c').options },
      { minutes: 5, salt: 0.5, crust: false, shape: 'long', seeds: ['a', 'b', 'c'] },
    );
    assert.deepEqual(read('cake', 'a', '--minutes', '1', 'b', '--', '--minutes').positionals, ['cake', 'a', 'b', '--minutes']);
    assert.deepEqual(read('cake', '-').positionals, ['cake', '-']);
  });

  test('an unknown option is refused with the near one', () => {
    refuses(['bread', '--minute', '5'], 'OPTION_UNKNOWN', /--minute is unknown; --minutes is near/);
    refuses(['bread', '--sahpe', 'long'], 'OPTION_UNKNOWN', /--shape is near/);
    refuses(['bread', '--zzz'], 'OPTION_UNKNOWN', /unknown\.$/);
    refuses(['bread', '-x'], 'OPTION_UNKNOWN', /-x/);
    refuses(['bread', '--__proto__', '1'], 'OPTION_UNKNOWN', /__proto__/);
  });

  test('a value that does not fit is refused with what fits', () => {
    refuses(['bread', '--minutes', 'five'], 'OPTION_VALUE', /--minutes can't be five: a whole number/);
    refuses(['bread', '--minutes', '1.5'], 'OPTION_VALUE', /whole number/);
    refuses(['bread', '--minutes', '99999999999999999999'], 'OPTION_VALUE', /whole number/);
    refuses(['bread', '--salt', ''], 'OPTION_VALUE', /a number/);
    refuses(['bread', '--salt', 'Infinity'], 'OPTION_VALUE', /a number/);
    refuses(['bread', '--shape', 'square'], 'OPTION_VALUE', /round, long/);
    refuses(['bread', '--crust=maybe'], 'OPTION_VALUE', /switch/);
    refuses(['bread', '--tls-key'], 'OPTION_VALUE', /a value must follow/);
  });

  test('a missing, wrong or surplus word is refused', () => {
    refuses([], 'OPTION_VALUE', /KIND can't be absent: it is one of bread, cake/);
    refuses(['bred'], 'OPTION_VALUE', /bread is near/);
    assert.throws(() => parseInput({ ...bake, positionals: [] }, ['bread']), /nothing more is expected/);
  });

  test('help is given without the rest being right', () => {
    assert.equal(read('--help').help, true);
    assert.equal(read('-h').help, true);
  });
});

describe('millrace', () => {
  test('without a command lists them all', async () => {
    const { code, stdout } = await millrace([]);
    assert.equal(code, 0);
    for (const { name, summary } of commands) assert.ok(stdout.includes(name) && stdout.includes(summary), name);
  });

  test('COMMAND --help and help COMMAND say the same, with every option', async () => {
    for (const command of commands) {
      const { code, stdout } = await millrace([command.name, '--help']);
      assert.equal(code, 0);
      assert.equal((await millrace(['help', command.name])).stdout, stdout);
      for (const option of command.options) assert.ok(stdout.includes(`--${option.name}`), `${command.name} --${option.name}`);
    }
  });

  test('a mistyped command is answered with the near one and exit code 2', async () => {
    const { code, stderr, stdout } = await millrace(['snd', 'events']);
    assert.deepEqual({ code, stdout }, { code: 2, stdout: '' });
    assert.match(stderr, /^OPTION_VALUE {2}The command can't be "snd": there is none of that name; "send" is near\.\n/);
  });

  test('an error prints its code, what happened and what to do, and gives exit code 1', async () => {
    const { code, stderr } = await millrace(['sql', 'SELECT 1', '--workspace', '/nowhere']);
    assert.equal(code, 1);
    assert.match(stderr, /^NOT_RUNNING {2}Millrace is not running on .*nowhere\.\nStart it with "millrace up"\.\n$/);
  });

  test('docs/cli.md is what "npm run docs" writes', () => {
    assert.equal(readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8'), reference(commands));
  });
});
