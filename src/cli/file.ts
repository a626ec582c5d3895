import { type Stats, statSync } from 'node:fs';
import { fail } from '#core';

/** What is known of a file named on the command line, before it is opened. Errors: OPTION_VALUE where there is none, or a folder. */
export function statFile(file: string): Stats {
  const refuse = (problem: string, cause?: unknown) => fail('OPTION_VALUE', { option: 'FILE', value: file, problem }, cause);
  let found: Stats;
  try {
    found = statSync(file);
  } catch (error) {
    return refuse(problemOf(error as NodeJS.ErrnoException), error);
  }
  return found.isDirectory() ? refuse('it is a folder') : found;
}

/** What is wrong with a file, without the system's code where it is one of the usual. */
export function problemOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'it is not there';
  return code === 'EACCES' ? 'it may not be read or written by this user' : message;
}
