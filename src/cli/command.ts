import type { Readable, Writable } from 'node:stream';
import type { Option } from '#core';

/** A word that a command takes without a dashed name. `many` takes all that are left. */
export interface Positional {
  readonly name: string;
  readonly summary: string;
  readonly required?: boolean;
  readonly many?: boolean;
  readonly choices?: readonly string[];
}

/** What a command gets: every described option by its name (absent ones as their default, else undefined), checked and typed. */
export interface Input {
  readonly options: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
}

/** The outside world of a command. Answers go to stdout; progress, notes and errors to stderr. */
export interface Io {
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** One command: described once, for the checks, `--help` and docs/cli.md. `run` gives the exit code; a thrown MillraceError is printed and gives 1. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Lines of further help: what a reader can't guess from the options. */
  readonly usage?: string;
  readonly positionals?: readonly Positional[];
  readonly options: readonly Option[];
  /** It does its work to the end also where nobody reads any more what it prints. */
  readonly goesOn?: true;
  run(input: Input, io: Io): Promise<number>;
}
