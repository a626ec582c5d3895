import type { Column } from '#core';
import type { Chunk } from '#store';

/** Turns a result into text, piece by piece. Parquet is written by the warehouse itself and has no entry here. */
export interface TextFormat {
  readonly contentType: string;
  begin(job: string, columns: readonly Column[]): string;
  /** Text of the chunk's first `rows` rows; `first` for the result's first piece. */
  piece(chunk: Chunk, columns: readonly Column[], rows: number, first: boolean): string;
  end(facts: { rows: number; truncated: boolean; elapsedMs: number }): string;
}

const json: TextFormat = {
  contentType: 'application/json',
  begin: (job, columns) => `{"job":${JSON.stringify(job)},"columns":${JSON.stringify(columns)},"rows":[`,
  piece(chunk, columns, rows, first) {
    let out = '';
    for (let row = 0; row < rows; row++) {
      out += first && row === 0 ? '[' : ',\n[';
      for (let column = 0; column < columns.length; column++) out += (column === 0 ? '' : ',') + chunk.json(column, row);
      out += ']';
    }
    return out;
  },
  end: ({ rows, truncated, elapsedMs }) => `],"row_count":${rows},"truncated":${truncated},"elapsed_ms":${elapsedMs}}\n`,
};

const ndjson: TextFormat = {
  contentType: 'application/x-ndjson',
  begin: () => '',
  piece(chunk, columns, rows) {
    const keys = columns.map((column, k) => `${k === 0 ? '{' : ','}${JSON.stringify(column.name)}:`);
    let out = '';
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < keys.length; column++) out += keys[column]! + chunk.json(column, row);
      out += '}\n';
    }
    return out;
  },
  end: () => '',
};

/** RFC 4180; NULL is an empty field, an empty text is "". */
const csv: TextFormat = {
  contentType: 'text/csv; charset=utf-8',
  begin: (_job, columns) => `${columns.map((column) => csvCell(column.name)).join(',')}\r\n`,
  piece(chunk, columns, rows) {
    let out = '';
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns.length; column++) {
        const cell = chunk.text(column, row);
        out += (column === 0 ? '' : ',') + (cell === null ? '' : csvCell(cell));
      }
      out += '\r\n';
    }
    return out;
  },
  end: () => '',
};

function csvCell(text: string): string {
  return text === '' || /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

export const textFormats: Readonly<Record<'json' | 'ndjson' | 'csv', TextFormat>> = { json, ndjson, csv };
