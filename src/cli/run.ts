import { asMillraceError, type ErrorCode, fail, nearest } from '#core';
import type { Command, Io } from './command.ts';
import { commandHelp, overview } from './help.ts';
import { parseInput } from './parse.ts';

/** Errors of the words on the command line: exit code 2, all others 1. */
const usageErrors: readonly ErrorCode[] = ['OPTION_UNKNOWN', 'OPTION_VALUE'];

/** Runs one command line with the commands that are known, and gives the exit code. What goes wrong is printed to stderr: code, what happened, what to do. */
export async function runCli(words: readonly string[], io: Io, version: string, known: readonly Command[]): Promise<number> {
  try {
    const [first, ...rest] = words;
    if (first === '--version') {
      io.stdout.write(`${version}\n`);
      return 0;
    }
    if (first === undefined || first === 'help' || first === '--help' || first === '-h') return help(rest[0], io, known);
    const command = find(first, known);
    const input = parseInput(command, rest);
    if (input.help) return help(command.name, io, known);
    return await command.run(input, io);
  } catch (thrown) {
    const { code, message, body } = asMillraceError(thrown);
    io.stderr.write(`${code}  ${message}\n${body.remedy}\n`);
    return usageErrors.includes(code) ? 2 : 1;
  }
}

function help(name: string | undefined, io: Io, known: readonly Command[]): number {
  io.stdout.write(name === undefined ? overview(known) : commandHelp(find(name, known)));
  return 0;
}

function find(name: string, known: readonly Command[]): Command {
  const command = known.find((each) => each.name === name);
  if (command) return command;
  const near = nearest(
    name,
    known.map((each) => each.name),
  );
  return fail('OPTION_VALUE', {
    option: 'The command',
    value: `"${name}"`,
    problem: near ? `there is none of that name; "${near}" is near` : 'there is none of that name; "millrace help" lists them',
  });
}
