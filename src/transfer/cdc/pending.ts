/**
 * Changes of one table that wait to be written, one for each key: of several changes of a row only the outcome counts. Where the log
 * left a value out (undefined), it is the one of the row that stood under `from` before all of these changes.
 */
import { isUtf8 } from 'node:buffer';
import type { Bytes } from '#core';
import { type Rows, RowWriter } from '../rows.ts';
import { decodes, escaped } from '../undecodable.ts';
import type { Cell } from './feed.ts';

interface Outcome {
  readonly op: 'u' | 'd';
  readonly cells: readonly Cell[];
  /** The key under which the row stands in the warehouse, where it is another one. */
  readonly from: readonly Cell[] | null;
}

export interface Written extends Rows {
  /** The former rows go first, all of them. */
  readonly truncate: boolean;
  /** Are there columns with former keys? */
  readonly moved: boolean;
  /** Is there a column with the places of values whose bytes are no text? */
  readonly undecoded: boolean;
}

/** Which columns the rows have beside the table's. */
interface Beside {
  readonly moved: boolean;
  readonly undecoded: boolean;
}

/** No byte is that character. */
const NOTHING = '\u0100';

export class Pending {
  size: Bytes = 0;
  /** Changes that were taken in, before they were put together. */
  taken = 0;
  #outcomes = new Map<string, Outcome>();
  #truncate = false;
  readonly #key: readonly number[];

  /** `key`: the places of the key's cells. */
  constructor(key: readonly number[]) {
    this.#key = key;
  }

  get empty(): boolean {
    return this.#outcomes.size === 0 && !this.#truncate;
  }

  upsert(cells: readonly Cell[], before: readonly Cell[] | null): void {
    const own = this.#keyOf(cells);
    const former = before === null ? own : this.#keyOf(before);
    const prior = this.#outcomes.get(former);
    const from = prior?.op === 'u' ? prior.from : former === own ? null : this.#key.map((k) => before![k]);
    const filled = prior?.op === 'u' ? cells.map((cell, k) => (cell === undefined ? prior.cells[k] : cell)) : cells;
    if (former !== own) this.#set(former, { op: 'd', cells: before!, from: null });
    this.#set(own, { op: 'u', cells: filled, from });
    this.taken++;
  }

  delete(cells: readonly Cell[]): void {
    this.#set(this.#keyOf(cells), { op: 'd', cells, from: null });
    this.taken++;
  }

  /** What was to be written before it is gone as well. */
  truncate(): void {
    this.#outcomes.clear();
    this.#truncate = true;
    this.size = 0;
    this.taken++;
  }

  /**
   * As rows of CSV: the columns, then u or d, the places of values that were left out, those of values that can't be decoded where there are
   * any, and the former key where one moved.
   */
  take(): Written {
    const outcomes = [...this.#outcomes.values()];
    const moved = outcomes.some(({ op, cells, from }) => op === 'u' && from !== null && cells.includes(undefined));
    const rows = (undecoded: boolean) => {
      const writer = new RowWriter(this.size + 64 * outcomes.length + 1024);
      for (const outcome of outcomes) this.#write(writer, outcome, { moved, undecoded });
      return { ...writer.take(null), truncate: this.#truncate, moved, undecoded };
    };
    const plain = rows(false);
    const written = isUtf8(plain.bytes) ? plain : rows(true);
    this.#outcomes = new Map();
    this.#truncate = false;
    this.size = 0;
    this.taken = 0;
    return written;
  }

  #write(writer: RowWriter, { op, cells, from }: Outcome, { moved, undecoded }: Beside): void {
    const absent: number[] = [];
    const odd: number[] = [];
    for (const [k, cell] of cells.entries()) {
      const value = op === 'd' && !this.#key.includes(k) ? null : cell;
      if (value === undefined) absent.push(k);
      else if (undecoded && !decodes(value)) odd.push(k);
      this.#cell(writer, value, undecoded);
    }
    writer.string(op);
    writePlaces(writer, op === 'd' ? [] : absent);
    if (undecoded) writePlaces(writer, odd);
    if (moved) for (let k = 0; k < this.#key.length; k++) this.#cell(writer, op === 'u' ? from?.[k] : null, undecoded);
    writer.endRow();
  }

  #cell(writer: RowWriter, cell: Cell, undecoded: boolean): void {
    if (cell === null || cell === undefined) {
      writer.null();
      return;
    }
    const bytes = undecoded && !decodes(cell) ? escaped(cell) : cell;
    writer.text(bytes, 0, bytes.length);
  }

  #set(key: string, outcome: Outcome): void {
    this.#outcomes.set(key, outcome);
    // What an earlier change of the key took stays counted: it is a bound, and simple.
    for (const cell of outcome.cells) this.size += cell?.length ?? 0;
    this.size += key.length + 16;
  }

  #keyOf(cells: readonly Cell[]): string {
    const texts = this.#key.map((k) => cells[k]?.toString('latin1') ?? NOTHING);
    // With their lengths: any byte may stand in a part of a key.
    return texts.length === 1 ? texts[0]! : texts.map((text) => `${text.length}:${text}`).join('');
  }
}

function writePlaces(writer: RowWriter, places: readonly number[]): void {
  if (places.length === 0) writer.null();
  else writer.string(places.join(' '));
}
