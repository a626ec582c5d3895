import type { Column } from '#core';
import type { Chunk, TextBuffer } from '#store';

/** Writes a result as text, piece by piece. Parquet is written by the warehouse itself and has no entry here. */
export interface TextFormat {
  readonly contentType: string;
  begin(job: string, columns: readonly Column[], to: TextBuffer): void;
  /** The chunk's first `rows` rows; `first` for the result's first piece. */
  piece(chunk: Chunk, columns: readonly Column[], rows: { readonly count: number; readonly first: boolean }, to: TextBuffer): void;
  end(facts: { rows: number; truncated: boolean; elapsedMs: number }, to: TextBuffer): void;
}

const json: TextFormat = {
  contentType: 'application/json',
  begin: (job, columns, to) => to.write(`{"job":${JSON.stringify(job)},"columns":${JSON.stringify(columns)},"rows":[`),
  piece(chunk, columns, rows, to) {
    for (let row = 0; row < rows.count; row++) {
      to.write(rows.first && row === 0 ? '[' : ',\n[');
      for (let column = 0; column < columns.length; column++) {
        if (column > 0) to.write(',');
        chunk.json(column, row, to);
      }
      to.write(']');
    }
  },
  end: ({ rows, truncated, elapsedMs }, to) => to.write(`],"row_count":${rows},"truncated":${truncated},"elapsed_ms":${elapsedMs}}\n`),
};

const ndjson: TextFormat = {
  contentType: 'application/x-ndjson',
  begin() {},
  piece(chunk, columns, rows, to) {
    const keys = columns.map((column, k) => `${k === 0 ? '{' : ','}${JSON.stringify(column.name)}:`);
    for (let row = 0; row < rows.count; row++) {
      for (let column = 0; column < keys.length; column++) {
        to.write(keys[column]!);
        chunk.json(column, row, to);
      }
      to.write('}\n');
    }
  },
  end() {},
};

/** RFC 4180; NULL is an empty field, an empty text is "". */
const csv: TextFormat = {
  contentType: 'text/csv; charset=utf-8',
  begin: (_job, columns, to) => to.write(`${columns.map((column) => csvCell(column.name)).join(',')}\r\n`),
  piece(chunk, columns, rows, to) {
    for (let row = 0; row < rows.count; row++) {
      for (let column = 0; column < columns.length; column++) {
        if (column > 0) to.write(',');
        const from = to.end;
        if (chunk.text(column, row, to) && !isPlain(to.bytes, from, to.end)) {
          const cell = to.bytes.toString('utf8', from, to.end);
          to.end = from;
          to.write(csvCell(cell));
        }
      }
      to.write('\r\n');
    }
  },
  end() {},
};

function csvCell(text: string): string {
  return text === '' || /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

const BLANK = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const ASCII = 0x7f;

/** False for a cell that may want quotes: empty, with one of `",\r\n`, or with white space at an end, which beyond ASCII is not looked up here. */
function isPlain(bytes: Uint8Array, from: number, to: number): boolean {
  if (from === to) return false;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (byte < BLANK || byte === QUOTE || byte === COMMA) return false;
  }
  const isEnd = (byte: number) => byte > BLANK && byte < ASCII;
  return isEnd(bytes[from]!) && isEnd(bytes[to - 1]!);
}

export const textFormats: Readonly<Record<'json' | 'ndjson' | 'csv', TextFormat>> = { json, ndjson, csv };
