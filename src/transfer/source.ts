/**
 * What a source is. An entry of the registry opens it; an opened one is used by one run: `snapshot` once for each table, then
 * `read` and the checksums, which all see the state of that moment; `close` at the end.
 */
import type { Entry, Millis, Reference, TransferTable } from '#core';
import type { Feed } from './cdc/feed.ts';
import type { Rows } from './rows.ts';

export interface SourceColumn {
  readonly name: string;
  /** The source's own name of the type. */
  readonly sourceType: string;
  /** The warehouse's. Every text that `read` gives is a value of it without loss. */
  readonly type: string;
  /** What kind of cursor it can be. */
  readonly cursor: 'number' | 'time' | null;
  /** Long values take part in checksums by their MD5. */
  readonly long: boolean;
  /** What a reader should know of the change of type. */
  readonly note: string | null;
}

export interface SourceTable {
  readonly name: string;
  readonly columns: readonly SourceColumn[];
  /** The columns of the primary key, or of a unique index without NULL; empty where there is none. */
  readonly key: readonly string[];
  /** An estimate that costs nothing. */
  readonly rows: number | null;
}

/** The rows whose cursor is above `after` and at most `upTo`; null is no bound. */
export interface Span {
  readonly cursor: SourceColumn | null;
  readonly after: string | null;
  readonly upTo: string | null;
}

export interface Sum {
  readonly bucket: number;
  readonly rows: number;
  /** The sum of the first 60 bits of the MD5 of each row's canonical text: no order, and a row that stands twice counts twice. */
  readonly sum: string;
}

export interface Hashed {
  /** The key's values as JSON. */
  readonly key: string;
  readonly hash: string;
}

/** What rows became on the way in. */
export interface Reading {
  /** Values that the warehouse has no equal for and that became NULL, by column (zero dates). */
  readonly nulled: Map<string, number>;
}

/** A part of a table, as a table of the run. */
export interface PartTable extends TransferTable {
  /** The parts whose rows this one's take the place of when it is whole; itself as earlier runs brought it among them. */
  readonly replaces?: readonly string[];
}

export interface Opened {
  /** What it decided by itself, by the names of the source's options. */
  readonly found?: Readonly<Record<string, string>>;
  /** Its content is that of the last run: there is nothing to do. */
  readonly unchanged?: true;
  /** For a source whose tables come in parts, each with a state of its own: those that are to be read now. */
  parts?(tables: readonly TransferTable[]): PartTable[];
  /** Errors: TRANSFER_TABLE for a name that it does not have. */
  describe(names?: readonly string[]): Promise<SourceTable[]>;
  /** Fixes the state that the following calls see; gives the span up to its newest cursor, and whether rows without cursor exist. */
  snapshot(table: SourceTable, cursor: SourceColumn | null, after: string | null): Promise<{ span: Span; without: boolean }>;
  /** Leaves that state: what is described next is as it is now. */
  leave?(): Promise<void>;
  /** In the order of the cursor, if there is one; with `limit` only about so many rows. Memory: a few of the batches. Errors: TRANSFER_READ, TRANSFER_FILE. */
  read(table: SourceTable, columns: readonly SourceColumn[], span: Span, reading: Reading, limit?: number): AsyncIterable<Rows>;
  /** With `buckets`, by the first 8 bits of the MD5 of the key, else one for all. */
  checksum(table: SourceTable, columns: readonly SourceColumn[], span: Span, buckets: readonly string[] | null): Promise<Sum[]>;
  /** The rows of one bucket. */
  hashes(table: SourceTable, columns: readonly SourceColumn[], span: Span, key: readonly string[], bucket: number): Promise<Hashed[]>;
  /** Each row's key, as exact texts, and hash, in the source's order; of a source whose tables come in parts. */
  eachHash?(
    table: SourceTable,
    columns: readonly SourceColumn[],
    span: Span,
    key: readonly string[],
    take: (key: readonly (string | null)[], hash: string) => void,
  ): Promise<void>;
  /** The source's own log of changes, for a transfer of that name; absent where it has none. */
  feed?(transfer: string): Feed;
  close(): Promise<void>;
}

export interface Source extends Entry {
  /** Errors: TRANSFER_CONNECT, TRANSFER_DENIED, TRANSFER_FILE. */
  open(connection: Connection, place: Place): Promise<Opened>;
  /** A first definition from an address or a file; null where it is none of this source's. The secret's value stays out of it. */
  guess(address: string): { readonly connection: Guessed; readonly secrets: Readonly<Record<string, string>> } | null;
}

/** Where files stand: paths are relative to the folder, and may not leave it unless the user who asks could read them anyway. */
export interface Place {
  readonly folder: string;
  readonly anywhere: boolean;
  readonly rules?: Rules;
  /** The parts of this transfer's tables whose runs were whole, in the order of their ends. */
  readonly done?: ReadonlySet<string>;
  /** Those whose runs were cut off, and those that were whole and are to be read again. */
  readonly cut?: ReadonlySet<string>;
  readonly again?: ReadonlySet<string>;
  /** Of a folder: the files that have come or changed since they were looked at, where somebody watches it. Absent: any may have. */
  readonly came?: ReadonlySet<string>;
  /** The version of the content that the last run brought, if all of its tables are whole. */
  readonly known?: string | null;
  /** Of the definition: what was read by another one is not known. */
  readonly stamp?: string;
}

/** What definitions may reach, as millrace.yaml says. Without them: what the user who asks may, but no private address. */
export interface Rules {
  readonly downloadBytes: number;
  readonly downloadTime: Millis;
  readonly privateAddresses: readonly string[];
  readonly env: readonly string[] | null;
  readonly files: readonly string[] | null;
}

/** A connection's options, checked, defaults filled in, secrets read. */
export type Connection = Readonly<Record<string, string | number | boolean | null>>;
export type Guessed = Readonly<Record<string, string | number | boolean | Reference>>;
