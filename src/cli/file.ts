import { type Stats, statSync } from 'node:fs';
import { fail } from '#core';

/** What is known of a file named on the command line, before it is opened. Errors: OPTION_VALUE where there is none, or a folder. */
export function statFile(file: string): Stats {
  const refuse = (problem: string, cause?: unknown) => fail('OPTION_VALUE', { option: 'FILE', value: file, problem }, cause);
  let found: Stats;
  try {
    found = statSync(file);
  } catch (error) {
    return refuse((error as Error).message, error);
  }
  return found.isDirectory() ? refuse('it is a folder') : found;
}
