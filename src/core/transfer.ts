import type { Drift, Millis } from './schema.ts';

/** A value that is kept elsewhere: in an environment variable, or in a file (relative to the workspace). Secrets are only ever named like this. */
export type Reference = { readonly env: string } | { readonly file: string };

/**
 * `full` replaces the table at the end of a run, `append` adds rows, `merge` replaces rows of the same key and adds the others.
 * `cdc` begins like `full` and then follows the source's own log of changes for as long as the run lasts.
 */
export type TransferMode = 'full' | 'append' | 'merge' | 'cdc';

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
  /** When it runs by itself. Absent where only somebody begins it; a transfer that follows a log always has one. */
  readonly schedule?: TransferSchedule;
}

export interface TransferSchedule {
  /**
   * Minute, hour, day of the month, month, weekday; `always` follows the source for as long as Millrace runs, `files` runs when files of its
   * folder have come or changed.
   */
  readonly cron: string | 'always' | 'files';
  /** IANA name; null for the workspace's. */
  readonly timeZone: string | null;
  /** How often a failure that may pass is tried again. */
  readonly retries: number;
  /** The topic that is told of a failure and of the first run that is well again. */
  readonly alerts: string | null;
}

/**
 * The sources that are folders and can be watched, with what stands for the options that a definition leaves out: a definition is checked,
 * and a folder is looked at, where no source is loaded.
 */
export const watchedSources = {
  folder: { pattern: '*', settle: 10 },
  store_reports: { pattern: '**/*_20*.{csv,zip}', settle: 10 },
} as const;

export const isWatchedSource = (name: string): name is keyof typeof watchedSources => Object.hasOwn(watchedSources, name);

/** What is looked at for a transfer of such a source. */
export interface WatchedFolder {
  /** Relative to the workspace. */
  readonly path: string;
  readonly pattern: string;
  readonly settle: Millis;
}

/** Null for a transfer that no folder is watched for. What is wrong with its options, its run says. */
export function watchedFolder({ source, connection, schedule }: Transfer): WatchedFolder | null {
  if (schedule?.cron !== 'files' || !isWatchedSource(source)) return null;
  const own = watchedSources[source];
  const settle = Number(connection['settle'] ?? own.settle);
  return {
    path: String(connection['path'] ?? ''),
    pattern: String(connection['pattern'] ?? own.pattern),
    settle: (settle >= 0 ? settle : own.settle) * 1000,
  };
}
