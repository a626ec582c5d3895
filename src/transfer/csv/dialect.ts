/** How a CSV file is laid out: the delimiter by a sample, quote, header and width by all records. */
import { eachRecord, fieldText, type Record } from './records.ts';

const DELIMITERS = [',', ';', '\t', '|'] as const;

/** The delimiter that gives most records of the sample the same number of fields, more than one; the comma where none does. */
export async function detectDelimiter(sample: Buffer, quote: string | null): Promise<string> {
  let best = { delimiter: ',', score: 0 };
  for (const delimiter of DELIMITERS) {
    const widths: number[] = [];
    await eachRecord(
      once(sample),
      { delimiter, quote },
      'the sample',
      (record) => widths.push(record.problem === null ? record.count : 0) < 1000,
    ).catch(() => {
      // A quote that is open at the sample's end, or no quote at all: the records before it were counted.
    });
    const { width, records } = modal(counted(widths));
    const score = width < 2 ? 0 : records / widths.length + width / 10_000;
    if (score > best.score) best = { delimiter, score };
  }
  return best.delimiter;
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

const counted = (widths: readonly number[]): Map<number, number> => {
  const counts = new Map<number, number>();
  for (const width of widths) count(counts, width);
  return counts;
};

/** One more record of that width. */
export function count(counts: Map<number, number>, width: number): void {
  counts.set(width, (counts.get(width) ?? 0) + 1);
}

/** The width that most records have, and how many these are. */
export function modal(counts: ReadonlyMap<number, number>): { readonly width: number; readonly records: number } {
  const [width = 0, records = 0] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? [];
  return { width, records };
}

/**
 * Names for `width` columns. A header that is one name short names all but the first column, which then holds the rows' names (R's
 * write.table); one that is shorter leaves the last columns without a name.
 */
export function columnNames(header: readonly (string | null)[] | null, width: number): string[] {
  const given = header === null ? [] : header.length === width - 1 ? ['row', ...header] : header.slice(0, width);
  const taken = new Set(['_batch']);
  return Array.from({ length: width }, (_, k) => {
    const wanted =
      (given[k] ?? '')
        .trim()
        .replaceAll(/[\u0000-\u001f\u007f]+/g, ' ')
        .slice(0, 200) || `column${k + 1}`;
    let name = wanted;
    // The warehouse takes names without regard to case.
    for (let n = 2; taken.has(name.toLowerCase()); n++) name = `${wanted}_${n}`;
    taken.add(name.toLowerCase());
    return name;
  });
}

export const VALUE = /^[-+]?[\d.,:/ T-]+$/;

/** A first record of names: none empty, none twice, none a number or a time. */
export function looksLikeHeader(first: readonly (string | null)[]): boolean {
  const names = first.map((name) => name?.trim().toLowerCase() ?? '');
  // Trailing delimiters leave empty names at the end.
  while (names.at(-1) === '') names.pop();
  return names.length > 0 && new Set(names).size === names.length && names.every((name) => name !== '' && !VALUE.test(name));
}

export function texts(record: Record): (string | null)[] {
  return Array.from({ length: record.count }, (_, k) => fieldText(record, k));
}
