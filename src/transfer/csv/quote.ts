/**
 * Is the quote of a file the apostrophe? Texts are full of apostrophes, so it is only where each one of the whole file is a quote as a
 * program writes it: it stands around a field, or is doubled inside of one. A single `it's`, `O'Brien` or `'90s` decides against it.
 */
import { count, modal, VALUE } from './dialect.ts';
import { DOUBLED, eachRecord, PLAIN, type Record } from './records.ts';

export const APOSTROPHE = "'";

/** So many quoted values are no chance. */
const ENOUGH = 5;
/** What programs leave without quotes among texts that they quote. */
const UNQUOTED = /^(n\/?a|null|none|nan|true|false|[-?.]*)$/i;
const SINGLE = 0x27;
const DOUBLE = 0x22;
const SPACE = 0x20;

/**
 * `wrong` is how many records do not have the width of the others, or have a problem, when they are read with `"`; infinite where they can't
 * be.
 */
export async function isQuotedByApostrophe(chunks: AsyncIterable<Buffer>, delimiter: string, wrong: number): Promise<boolean> {
  const evidence = new QuoteEvidence(delimiter.charCodeAt(0));
  const dialect = { delimiter, quote: APOSTROPHE };
  const closed = await eachRecord(chunks, dialect, '', (record) => evidence.add(record)).then(
    () => true,
    // Most often a quote that is not closed. What is wrong with the file itself, its next reading says.
    () => false,
  );
  return closed && evidence.found(wrong);
}

class QuoteEvidence {
  readonly #delimiter: number;
  readonly #widths = new Map<number, number>();
  #records = 0;
  #isSound = true;
  /** Quoted fields with an apostrophe between other characters: `'it''s'`. */
  #doubled = 0;
  /** By column: quoted fields that need no quotes, and whether a text stands there without them. */
  readonly #idle: number[] = [];
  readonly #bare: boolean[] = [];

  constructor(delimiter: number) {
    this.#delimiter = delimiter;
  }

  /** False when it is decided: the apostrophe is no quote. */
  add(record: Record): boolean {
    // A header may be written in another way than its columns.
    const isFirst = this.#records++ === 0;
    if (!isFirst) count(this.#widths, record.count);
    this.#isSound = record.problem === null;
    for (let k = 0; k < record.count && this.#isSound; k++) {
      const [from, to, kind] = [record.fields[3 * k]!, record.fields[3 * k + 1]!, record.fields[3 * k + 2]!];
      if (kind === PLAIN) this.#isSound = this.#plain(record.bytes, from, to, isFirst ? null : k);
      else if (!isFirst) this.#quoted(record.bytes, from, to, kind, k);
    }
    return this.#isSound;
  }

  /** False for what a program that quotes by apostrophes would have quoted, and for what another quote is around. */
  #plain(bytes: Buffer, from: number, to: number, column: number | null): boolean {
    for (let at = from; at < to; at++) if (bytes[at] === SINGLE) return false;
    if (to - from >= 2 && bytes[from] === DOUBLE && bytes[to - 1] === DOUBLE) return false;
    if (column !== null && this.#bare[column] !== true) {
      const text = bytes.toString('utf8', from, to);
      this.#bare[column] = !VALUE.test(text) && !UNQUOTED.test(text);
    }
    return true;
  }

  #quoted(bytes: Buffer, from: number, to: number, kind: number, column: number): void {
    // Some quote empty texts, or those with a blank at an end, and no others.
    if (from === to || bytes[from] === SPACE || bytes[to - 1] === SPACE) return;
    if (kind === DOUBLED && bytes[from] !== SINGLE && bytes[to - 1] !== SINGLE) this.#doubled++;
    else if (!this.#isNeeded(bytes, from, to)) this.#idle[column] = (this.#idle[column] ?? 0) + 1;
  }

  #isNeeded(bytes: Buffer, from: number, to: number): boolean {
    for (let at = from; at < to; at++) if (bytes[at] === this.#delimiter || bytes[at] === 0x0a || bytes[at] === 0x0d) return true;
    return false;
  }

  found(wrong: number): boolean {
    if (!this.#isSound) return false;
    // A column in which some texts have quotes without need, and some none, has the quotes as text: 'so-called'.
    if (this.#idle.some((idle, k) => idle > 0 && this.#bare[k] === true)) return false;
    const own = this.#records - 1 - modal(this.#widths).records;
    const idle = this.#idle.reduce((sum, each) => sum + (each ?? 0), 0);
    return own < wrong || (own === wrong && (this.#doubled > 0 || idle >= ENOUGH));
  }
}
