/**
 * Does the first record hold the names of the columns, or is it a row like the others? Decided by what the others have: a name over
 * numbers or dates is no value of them, and a name does not come again below itself, as a value may.
 */
import { looksLikeHeader, VALUE } from './dialect.ts';
import { Evidence } from './evidence.ts';
import { PLAIN, type Record } from './records.ts';

export interface Header {
  readonly there: boolean;
  /** False where no record tells: then the first one is a header if it looks like names. */
  readonly known: boolean;
}

/** What the other records have in one column, beside the type of it. */
interface Column {
  readonly first: Buffer;
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
    this.#columns = first.map((name) => ({ first: Buffer.from(name ?? ''), again: false, length: null, digits: true }));
  }

  /** `evidence` has the record already: of a column of numbers or times its type tells enough. */
  add(record: Record, evidence: readonly Evidence[]): void {
    const { fields, bytes } = record;
    const columns = this.#columns;
    for (let k = 0; k < columns.length && k < record.count; k++) {
      if (evidence[k]?.decided !== true) continue;
      const column = columns[k]!;
      const from = fields[3 * k]!;
      const to = fields[3 * k + 1]!;
      if (from === to && fields[3 * k + 2] === PLAIN) continue;
      if (column.length !== to - from) column.length = column.length === null ? to - from : -1;
      if (column.digits) column.digits = hasDigit(bytes, from, to);
      // The same record once more, as in files that were put together, says nothing.
      if (!column.again && this.#meets(record, k)) column.again = !this.#isFirst(record);
    }
  }

  #meets({ bytes, fields }: Record, k: number): boolean {
    const { first } = this.#columns[k]!;
    const from = fields[3 * k]!;
    if (first.length !== fields[3 * k + 1]! - from) return false;
    for (let at = 0; at < first.length; at++) if (bytes[from + at] !== first[at]) return false;
    return true;
  }

  #isFirst(record: Record): boolean {
    return record.count === this.#columns.length && this.#columns.every((_, k) => this.#meets(record, k));
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

function hasDigit(bytes: Buffer, from: number, to: number): boolean {
  // Where there are some, they mostly stand at the end.
  for (let at = to - 1; at >= from; at--) if (bytes[at]! >= 0x30 && bytes[at]! <= 0x39) return true;
  return false;
}
