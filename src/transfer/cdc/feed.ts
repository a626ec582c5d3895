/**
 * The changes of a source's tables in the order in which they were committed. An opened source that can give them has a feed;
 * one run uses it like this:
 *
 *   prepare ──► freeze ──► (whole copies of tables, by the source's own read) ──► thaw ──► changes … confirm … ──► close
 *
 * A position is a place in the source's log as text. It is in the warehouse before the source hears of it by `confirm`, so the source
 * never drops what the warehouse has not got.
 */
import type { MillraceError } from '#core';
import type { SourceTable } from '../source.ts';

/** A value as the text that `Opened.read` would give; null is NULL, undefined is a value that the log leaves out because it did not change. */
export type Cell = Buffer | null | undefined;

export type FeedEvent =
  /** A transaction begins there in the log: a whole copy of a later position has it. */
  | { readonly kind: 'begin'; readonly position: string }
  /** A row as it stands now; `before` is its former key where it may have changed: only the key's cells are filled. */
  | { readonly kind: 'upsert'; readonly table: number; readonly cells: readonly Cell[]; readonly before: readonly Cell[] | null }
  /** Only the key's cells are filled. */
  | { readonly kind: 'delete'; readonly table: number; readonly cells: readonly Cell[] }
  | { readonly kind: 'truncate'; readonly table: number }
  /** Nothing has the table's name any more; what has it later comes with its own rows. */
  | { readonly kind: 'gone'; readonly table: number }
  /**
   * The rows under the table's name are other ones, which the log does not tell, and its columns may be: the caller copies it whole and puts
   * its columns into its list of tables before it asks for more.
   */
  | { readonly kind: 'replaced'; readonly table: number }
  /** A change that can't be read as the table is now: an error, unless a whole copy has it. */
  | { readonly kind: 'unread'; readonly table: number; readonly error: MillraceError }
  /** The transaction is whole; `at` is when it was committed, by the source's clock, in milliseconds. */
  | { readonly kind: 'commit'; readonly position: string; readonly at: number }
  /** Up to there the log has nothing for these tables. */
  | { readonly kind: 'idle'; readonly position: string }
  /** The table's columns have changed: the caller puts the new ones into its list of tables before it asks for more. */
  | { readonly kind: 'shape'; readonly table: number };

/** A table that is followed. Cells are in the order of `table.columns`. */
export interface Followed {
  table: SourceTable;
  key: readonly string[];
  /** Was it followed before? */
  readonly known: boolean;
}

export interface Feed {
  /**
   * Makes what the source needs to keep its changes until they are taken, or checks that it has kept them since `position`. Gives where the
   * stream begins: `position` itself, or now. Errors: TRANSFER_CHANGES, TRANSFER_GAP, TRANSFER_DENIED.
   */
  prepare(tables: readonly Followed[], position: string | null): Promise<string>;
  /** From here to `thaw` the source's reads see all tables at one moment; gives its position. */
  freeze(): Promise<string>;
  thaw(): Promise<void>;
  /** Events as they come, in bunches; endless until `close`. Memory: a bunch and what the socket holds. Errors: TRANSFER_READ, TRANSFER_CONNECT, TRANSFER_GAP. */
  changes(tables: readonly Followed[], from: string): AsyncIterable<readonly FeedEvent[]>;
  /** Everything up to there is in the warehouse for good. */
  confirm(position: string): void;
  /** What the log does not tell of that table, in words for its reader. */
  untold?(table: SourceTable): Promise<string[]>;
  /** Is all that was committed up to `a` in what was up to `b`? Of a transaction's beginning: is the transaction itself? False where nothing tells. */
  isBefore(a: string, b: string): boolean;
  /** Is it a position of this feed? A table that was brought in by another mode has a state of another kind. */
  isPosition(text: string): boolean;
  close(): Promise<void>;
}
