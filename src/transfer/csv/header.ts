/**
 * Does the first record hold the names of the columns, or is it a row like the others? Decided by what the others have: a name over
 * numbers or dates is no value of them, and a name does not come again below itself, as a value may.
 */
import { looksLikeHeader, VALUE } from './dialect.ts';
import { Evidence } from './evidence.ts';
import { DOUBLED, fieldText, PLAIN, type Record } from './records.ts';

export interface Header {
  readonly there: boolean;
  /** False where no record tells: then the first one is a header if it looks like names. */
  readonly known: boolean;
}

/** What the other records have in one column, beside the type of it. */
interface Column {
  readonly first: Buffer;
  /** Does the record that is looked at have the same value? */
  meets: boolean;
  /** Did another record have it? */
  again: boolean;
  /** The length that all values have; null before the first one, -1 where they have several. */
  length: number | null;
  /** Has each value a digit? */
  digits: boolean;
}

/** So many values of one form are no chance. */
const ENOUGH = 5;
const MISSING = /^(n\/?a|null|none|nan|[-?.]*)$/i;

export class HeaderEvidence {
  readonly #names: readonly (string | null)[];
  readonly #columns: readonly Column[];

  constructor(first: readonly (string | null)[]) {
    this.#names = first.map((name) => name?.trim() ?? '');
    this.#columns = first.map((name) => ({ first: Buffer.from(name ?? ''), meets: false, again: false, length: null, digits: true }));
  }

  add(record: Record): void {
    const columns = this.#columns;
    // The same record once more, as in files that were put together, says nothing.
    let same = record.count === columns.length;
    let again = 0;
    for (let k = 0; k < columns.length && k < record.count; k++) {
      const column = columns[k]!;
      const [from, to, kind] = [record.fields[3 * k]!, record.fields[3 * k + 1]!, record.fields[3 * k + 2]!];
      column.meets = false;
      if (from === to && kind === PLAIN) {
        same &&= column.first.length === 0;
        continue;
      }
      column.meets = kind === DOUBLED ? fieldText(record, k) === String(column.first) : isAt(column.first, record.bytes, from, to);
      same &&= column.meets;
      if (column.meets) again++;
      if (column.length !== to - from) column.length = column.length === null ? to - from : -1;
      if (column.digits) column.digits = hasDigit(record.bytes, from, to);
    }
    if (again > 0 && !same) for (const column of columns) column.again ||= column.meets;
  }

  /** `evidence` is of all other records; `width` is how many fields most of them have. */
  found(evidence: readonly Evidence[], width: number): Header {
    // A header that is one name short names all but the first column.
    const shift = this.#names.length === width - 1 ? 1 : 0;
    let [names, values] = [0, 0];
    let typed = false;
    for (const [k, column] of this.#columns.entries()) {
      const name = this.#names[k]!;
      const own = evidence[k + shift];
      if (own === undefined || own.values === 0 || MISSING.test(name)) continue;
      if (!own.decided) {
        if (isValue(name)) values++;
        else if (!VALUE.test(name)) {
          names++;
          typed = true;
        }
      } else if (shift === 0 && column.again) values++;
      else if (shift === 0 && own.values >= ENOUGH && isOther(name, column)) names++;
    }
    const looks = looksLikeHeader(this.#names);
    if (names > 0 && values === 0 && (typed || looks)) return { there: true, known: true };
    if (values > 0 && names === 0) return { there: false, known: true };
    // Without a name it is a row, and none is lost.
    return { there: looks, known: !looks };
  }
}

function isValue(text: string): boolean {
  const own = new Evidence();
  own.add(text);
  return !own.decided;
}

/** Is it of another form than all of the column's values? */
function isOther(name: string, { length, digits }: Column): boolean {
  return (length !== null && length >= 0 && length !== Buffer.byteLength(name)) || (digits && !/\d/.test(name));
}

function isAt(text: Buffer, bytes: Buffer, from: number, to: number): boolean {
  return text.length === to - from && bytes.compare(text, 0, text.length, from, to) === 0;
}

function hasDigit(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at]! >= 0x30 && bytes[at]! <= 0x39) return true;
  return false;
}
