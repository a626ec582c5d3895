/** JSON and NDJSON, plain, gzip or zip: an object is a row, its members are columns; what is nested stays JSON, and numbers keep their digits. */
import { fail } from '#core';
import { columnNames } from '../csv/dialect.ts';
import { detectEncoding, type Encoding, toUtf8 } from '../csv/encoding.ts';
import type { Found } from '../csv/evidence.ts';
import { bytesOf, type DataFile, dataFiles, placed } from '../files/bytes.ts';
import { type Cell, CellEvidence, cellText } from '../files/cells.ts';
import { eachDocument, type JsonLayout, layoutOf, layouts, membersOf, parsed } from '../files/documents.ts';
import {
  cursorOf,
  type FileTable,
  type Go,
  type Opening,
  openFiles,
  type Refuse,
  type Unfit,
  unreadable,
  valuesBy,
} from '../files/tables.ts';
import type { Connection, Opened, Source } from '../source.ts';

/** A file with more names has its data in them. */
const MOST_COLUMNS = 2_000;

export const json: Source = {
  name: 'json',
  title: 'JSON files',
  summary: 'NDJSON or JSON: each object is a row. Nested values become JSON columns, numbers keep all of their digits.',
  options: [
    { name: 'path', type: 'text', summary: 'The file, relative to the workspace; gzip and zip are unpacked.', required: true },
    {
      name: 'layout',
      type: 'choice',
      choices: ['auto', ...layouts],
      summary: 'One record a line, one array of records, or records one after another.',
      default: 'auto',
    },
  ],
  async open(connection, place) {
    return openJson(dataFiles(placed(String(connection['path']), place, 'json'), 'json'), connection);
  },
  guess(address) {
    return /\.(json|ndjson|jsonl)(\.gz|\.zip)?$/i.test(address) && !/^\w+:\/\//.test(address)
      ? { connection: { path: address }, secrets: {} }
      : null;
  },
};

interface Layout {
  readonly encoding: Encoding;
  readonly layout: JsonLayout;
  /** `member` is the name in the file. */
  readonly columns: readonly (Found & { readonly name: string; readonly member: string })[];
  readonly rows: number;
}

export function openJson(files: readonly DataFile[], options: Connection, opening: Opening = {}): Promise<Opened> {
  return openFiles(files, opening, { survey: (file) => survey(file, options), table: jsonTable, found: ({ layout }) => ({ layout }) });
}

async function survey(file: DataFile, options: Connection): Promise<Layout> {
  const encoding = await detectEncoding(bytesOf(file));
  const given = options['layout'] ?? 'auto';
  const layout = given === 'auto' ? layoutOf(await firstBytes(file, encoding)) : (given as JsonLayout);
  const evidence = new Map<string, CellEvidence>();
  let rows = 0;
  await eachObject(
    file,
    { encoding, layout },
    () => true,
    (members) => {
      rows++;
      for (const [name, raw] of members) {
        const cell = cellOf(raw);
        let own = evidence.get(name);
        if (own === undefined) {
          evidence.set(name, (own = new CellEvidence()));
          if (evidence.size > MOST_COLUMNS)
            fail('TRANSFER_FILE', {
              file: file.name,
              format: 'json',
              problem: `its objects have more than ${MOST_COLUMNS} different names`,
            });
        }
        if (cell !== null) own.add(cell);
      }
      return true;
    },
  );
  const names = columnNames([...evidence.keys()], evidence.size);
  const columns = [...evidence].map(([member, own], k) => ({ member, name: names[k]!, ...own.found() }));
  return { encoding, layout, columns, rows };
}

async function firstBytes(file: DataFile, encoding: Encoding): Promise<Buffer> {
  for await (const chunk of toUtf8(bytesOf(file), encoding)) return chunk;
  return Buffer.alloc(0);
}

type Members = ReadonlyMap<string, string>;

async function eachObject(
  file: DataFile,
  { encoding, layout }: Pick<Layout, 'encoding' | 'layout'>,
  refuse: Refuse,
  take: (members: Members, text: string, line: number) => Go,
): Promise<void> {
  await eachDocument(toUtf8(bytesOf(file), encoding), layout, file.name, (text, line) => {
    const value = parsed(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return take(membersOf(text), text, line);
    return refuse({ ...unreadable(value === undefined ? 'it is not JSON' : 'it is not an object'), line, body: Buffer.from(text) });
  });
}

const TIME = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}|$)/;

/** Null for null. */
function cellOf(raw: string): Cell | null {
  switch (raw[0]) {
    case 'n':
      return null;
    case '"': {
      const text = JSON.parse(raw) as string;
      return { kind: TIME.test(text) ? 'time' : 'text', text, json: raw };
    }
    case '{':
    case '[':
      return { kind: 'nested', text: raw, json: raw };
    case 't':
    case 'f':
      return { kind: 'boolean', text: raw, json: raw };
    default:
      return { kind: 'number', text: raw, json: raw };
  }
}

function jsonTable(file: DataFile, layout: Layout): FileTable {
  const columns = layout.columns.map(({ name, type, note }) => ({
    name,
    sourceType: 'json',
    type,
    note,
    long: false,
    cursor: cursorOf(type),
  }));
  return {
    table: { name: file.table, key: [], rows: layout.rows, columns },
    each(chosen, refuse, take) {
      const fields = chosen.map((column) => ({ ...layout.columns.find(({ name }) => name === column.name)!, type: column.type }));
      return eachObject(file, layout, refuse, (members, text, line) => {
        const values = valuesOf(members, fields);
        if (Array.isArray(values)) return take(values);
        return refuse({ ...values, line, body: Buffer.from(text) });
      });
    },
  };
}

function valuesOf(members: Members, fields: Layout['columns']): (string | null)[] | Unfit {
  const cell = (member: string) => (members.has(member) ? cellOf(members.get(member)!) : null);
  const values = valuesBy(
    fields,
    ({ member, type, style }) => cellText(cell(member), type, style),
    ({ member }) => cell(member)?.text ?? null,
  );
  const texts = Array.isArray(values) ? values : Object.values(values.cells!);
  const broken = texts.findIndex((text) => text?.isWellFormed() === false);
  return broken < 0 ? values : unreadable(`The value of "${fields[broken]!.name}" has half of a surrogate pair, which is no character`);
}
