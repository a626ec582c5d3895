/**
 * Text whose bytes are no UTF-8: a database that takes any bytes for text (SQL_ASCII), binary columns that a definition calls text. A file
 * with one such value is wholly unreadable for the warehouse's reader, and where columns are left out it ends the database (DuckDB 1.5.6). So
 * rows are looked through before they are written; those with such a value go to quarantine, where the value is shown and never replayed.
 */
import { isUtf8 } from 'node:buffer';
import { type Rows, recordAt, recordEnd } from './rows.ts';

/** The same rows without those that have such text, which are refused. `first`: how many rows the run had before. Their bytes are moved. */
export function withoutUndecodable(rows: Rows, columns: readonly string[], first: number): Rows {
  if (isUtf8(rows.bytes)) return rows;
  const { bytes } = rows;
  const refused: Rows['refused'][number][] = [];
  const earlier = [...rows.refused];
  let [count, end] = [0, 0];
  const upTo = (place: number) => {
    while (earlier.length > 0 && earlier[0]!.before <= place) refused.push({ ...earlier.shift()!, before: count });
  };
  for (let at = 0, place = 0; at < bytes.length; place++) {
    upTo(place);
    const next = recordEnd(bytes, at);
    if (isUtf8(bytes.subarray(at, next))) {
      bytes.copyWithin(end, at, next);
      end += next - at;
      count++;
    } else refused.push({ ...refusal(recordAt(bytes, at).cells, columns), line: first + place + 1, before: count });
    at = next;
  }
  upTo(rows.count);
  return { ...rows, count, bytes: bytes.subarray(0, end), refused };
}

function refusal(cells: readonly (Buffer | null)[], columns: readonly string[]) {
  const undecoded = columns.filter((_, k) => !decodes(cells[k]));
  const shown = cells.map((cell) => (cell === null ? null : cell.toString()));
  for (const [k, cell] of cells.entries()) if (!decodes(cell)) shown[k] = escaped(cell!).toString();
  return {
    reason: `The text of "${undecoded[0]}" is not valid UTF-8: ${shown[columns.indexOf(undecoded[0]!)]!.slice(0, 200)}`,
    body: Buffer.alloc(0),
    cells: Object.fromEntries(columns.map((name, k) => [name, shown[k]!])),
    misfits: [],
    undecoded,
  };
}

export function decodes(cell: Buffer | null | undefined): boolean {
  return cell === null || cell === undefined || isUtf8(cell);
}

/** Before bytes that could not be decoded from the column's own character set, so that nobody takes them for UTF-8: it has no such byte. */
const NEVER = Buffer.of(0xff);

export function undecodable(bytes: Buffer): Buffer {
  return Buffer.concat([NEVER, bytes]);
}

/** What is UTF-8 stays; each other byte is U+FFFD and two hexadecimal digits. */
export function escaped(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = lengthAt(bytes, at);
    if (length === 0) {
      parts.push(bytes.subarray(from, at), Buffer.from(`\uFFFD${bytes.toString('hex', at, at + 1).toUpperCase()}`));
      from = ++at;
    } else at += length;
  }
  return Buffer.concat([...parts, bytes.subarray(from)]);
}

/** Of the character that begins there; 0 where none does. */
function lengthAt(bytes: Buffer, at: number): number {
  const first = bytes[at]!;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}
