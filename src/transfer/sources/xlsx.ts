/** Excel's workbooks: each sheet is a table. Header rows and types are found by all of its rows; a formula is taken by its last value. */
import { basename } from 'node:path';
import { columnNames } from '../csv/dialect.ts';
import type { Found } from '../csv/evidence.ts';
import { placed } from '../files/bytes.ts';
import { CellEvidence, cellText } from '../files/cells.ts';
import { cursorOf, type FileTable, openTables, type Unfit, valuesBy } from '../files/tables.ts';
import { type Merge, openWorkbook, type Sheet, type SheetCell, type Workbook } from '../files/workbook.ts';
import type { Connection, Opened, Source } from '../source.ts';

/** The header is looked for among so many rows. */
const HEAD = 32;

export const xlsx: Source = {
  name: 'xlsx',
  title: 'Excel workbooks',
  summary: 'An .xlsx file: each sheet is a table. Dates are told by their format; formulas are data.',
  options: [
    { name: 'path', type: 'text', summary: 'The file, relative to the workspace.', required: true },
    {
      name: 'header_rows',
      type: 'choice',
      choices: ['auto', '0', '1', '2', '3', '4', '5'],
      summary: 'How many rows hold the names; merged cells count for all of their columns.',
      default: 'auto',
    },
  ],
  async open(connection, place) {
    const path = placed(String(connection['path']), place, 'xlsx');
    return openXlsx(path, basename(path), connection);
  },
  guess(address) {
    return /\.xlsx$/i.test(address) && !/^\w+:\/\//.test(address) ? { connection: { path: address }, secrets: {} } : null;
  },
};

export async function openXlsx(path: string, name: string, options: Connection, version: string | null = null): Promise<Opened> {
  const workbook = await openWorkbook(path, name);
  const rows = options['header_rows'] ?? 'auto';
  const tables: FileTable[] = [];
  let found = '';
  for (const sheet of workbook.sheets) {
    const layout = await survey(workbook, sheet, rows === 'auto' ? null : Number(rows));
    tables.push(sheetTable(workbook, sheet, layout));
    if (found === '') found = String(Math.min(5, layout.headerRows));
  }
  return openTables(tables, { header_rows: found }, version);
}

interface Row {
  readonly cells: readonly (SheetCell | undefined)[];
  readonly row: number;
}

interface Layout {
  /** The last row that is not data. */
  readonly head: number;
  readonly headerRows: number;
  readonly rows: number;
  readonly columns: readonly (Found & { readonly name: string; readonly at: number })[];
}

async function survey(workbook: Workbook, sheet: Sheet, headerRows: number | null): Promise<Layout> {
  const head: Row[] = [];
  const evidence: CellEvidence[] = [];
  const errors: number[] = [];
  let width = 0;
  let rows = 0;
  const weigh = (cells: Row['cells']) => {
    rows++;
    for (const [k, cell] of cells.entries()) {
      if (cell === undefined) continue;
      if (cell.kind === 'error') errors[k] = (errors[k] ?? 0) + 1;
      else (evidence[k] ??= new CellEvidence()).add(cell);
    }
  };
  const merges = await workbook.eachRow(sheet, (cells, row) => {
    width = Math.max(width, cells.length);
    if (head.length < HEAD) head.push({ cells, row });
    else weigh(cells);
    return true;
  });
  const header = headerOf(head, merges, width, headerRows);
  for (const { cells, row } of head) if (row > header.bottom) weigh(cells);
  const names = columnNames(header.names, width);
  const columns = Array.from({ length: width }, (_, at) => {
    const found = (evidence[at] ?? new CellEvidence()).found();
    const note = errors[at] === undefined ? found.note : `${errors[at]} cells are errors of Excel (#N/A and such) and become NULL`;
    return { at, name: names[at]!, ...found, note };
  }).filter(({ at }) => evidence[at] !== undefined || (header.names?.[at] ?? null) !== null);
  return { head: header.bottom, headerRows: header.names === null ? 0 : header.bottom - header.top + 1, rows, columns };
}

/** A title above the table has one cell; the header is the first row with texts in most columns, and what is merged with it. */
function headerOf(
  head: readonly Row[],
  merges: readonly Merge[],
  width: number,
  wanted: number | null,
): { top: number; bottom: number; names: (string | null)[] | null } {
  const filled = ({ cells }: Row) => cells.filter((cell) => cell !== undefined).length;
  const first = head.find((row) => filled(row) >= Math.min(2, width));
  const top = first?.row ?? 1;
  if (first === undefined || wanted === 0) return { top, bottom: top - 1, names: null };
  const texts = (row: Row | undefined) => row?.cells.every((cell) => cell === undefined || cell.kind === 'text') === true;
  if (wanted === null && !texts(first)) return { top, bottom: top - 1, names: null };
  const own = merges.filter((merge) => merge.top === top);
  const grouped = own.some((merge) => merge.bottom === top) && texts(head.find(({ row }) => row === top + 1));
  const merged = Math.max(top + (grouped ? 1 : 0), ...own.map(({ bottom }) => bottom));
  const bottom = wanted === null ? Math.min(merged, top + 4) : top + wanted - 1;
  const at = (row: number, column: number): string | null => {
    const merge = merges.find((each) => each.top <= row && row <= each.bottom && each.left <= column && column <= each.right);
    const cell = head.find((each) => each.row === (merge?.top ?? row))?.cells[merge?.left ?? column];
    return cell === undefined ? null : cell.text.trim();
  };
  const names = Array.from({ length: width }, (_, column) => {
    const parts = Array.from({ length: bottom - top + 1 }, (_, k) => at(top + k, column)).filter((part) => part !== null);
    return parts.length === 0 ? null : [...new Set(parts)].join(' ');
  });
  return { top, bottom, names };
}

function sheetTable(workbook: Workbook, sheet: Sheet, layout: Layout): FileTable {
  const columns = layout.columns.map(({ name, type, note }) => ({
    name,
    sourceType: 'cell',
    type,
    note,
    long: false,
    cursor: cursorOf(type),
  }));
  return {
    table: { name: sheet.name, key: [], rows: layout.rows, columns },
    async each(chosen, refuse, take) {
      const fields = chosen.map((column) => ({ ...layout.columns.find(({ name }) => name === column.name)!, type: column.type }));
      await workbook.eachRow(sheet, (cells, row) => {
        if (row <= layout.head) return true;
        const values = valuesOf(cells, fields);
        if (Array.isArray(values)) return take(values);
        return refuse({ ...values, line: row, body: Buffer.from(JSON.stringify(Array.from(cells, (cell) => cell?.text ?? null))) });
      });
    },
  };
}

function valuesOf(cells: Row['cells'], fields: Layout['columns']): (string | null)[] | Unfit {
  return valuesBy(
    fields,
    ({ at, type, style }) => {
      const cell = cells[at];
      return cell === undefined || cell.kind === 'error' ? null : cellText(cell, type, style);
    },
    ({ at }) => cells[at]?.text ?? null,
  );
}
