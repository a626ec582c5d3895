import type { Drift, Millis } from './schema.ts';

/** A value that is kept elsewhere: in an environment variable, or in a file (relative to the workspace). Secrets are only ever named like this. */
export type Reference = { readonly env: string } | { readonly file: string };

/** `full` replaces the table at the end of a run, `append` adds rows, `merge` replaces rows of the same key and adds the others. */
export type TransferMode = 'full' | 'append' | 'merge';

/** How far behind the last cursor a run begins again, for rows that became visible late: a time, or a number where the cursor is one. */
export type Lookback = { readonly millis: Millis } | { readonly units: number };

/** One table of a transfer. */
export interface TransferTable {
  /** The table's name at the source. */
  readonly source: string;
  /** schema.name in the warehouse. */
  readonly target: string;
  readonly mode: TransferMode;
  /** The columns that tell rows apart; empty where the source's own key is to be taken. */
  readonly key: readonly string[];
  /** The column that only grows: a run takes the rows above where the last one ended. */
  readonly cursor: string | null;
  readonly lookback: Lookback | null;
  readonly drift: Drift;
  /** Types chosen by the user instead of the source's or the guessed ones (the warehouse's names), by column. */
  readonly types: Readonly<Record<string, string>>;
}

/** A transfer: tables of another system that are brought into the warehouse. */
export interface Transfer {
  readonly name: string;
  /** The entry of the registry of sources. */
  readonly source: string;
  readonly connection: Readonly<Record<string, string | number | boolean | Reference>>;
  readonly tables: readonly TransferTable[];
}
