/** Workbooks of Excel (ECMA-376, 18: SpreadsheetML) as rows of cells: values alone, a formula by its last value. */
import { type Bytes, fail } from '#core';
import { bytesOf, type DataFile } from './bytes.ts';
import type { Cell } from './cells.ts';
import type { Go } from './tables.ts';
import { readXml, type XmlHandler } from './xml.ts';
import { type ZipMember, zipMembers } from './zip.ts';

export interface Sheet {
  readonly name: string;
  readonly member: ZipMember;
}

/** An error of Excel (#N/A) is no value. */
export type SheetCell = Cell | { readonly kind: 'error'; readonly text: string };

export interface Workbook {
  readonly sheets: readonly Sheet[];
  /** Rows with a cell, with their number; cells by column, from 0. Gives the merged ranges, which stand behind the rows. */
  eachRow(sheet: Sheet, take: (cells: (SheetCell | undefined)[], row: number) => Go): Promise<readonly Merge[]>;
}

/** Rows from 1, columns from 0, both ends included. */
export interface Merge {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

const MOST_COLUMNS = 16_384;
const MOST_TEXT: Bytes = 512 * 1024 * 1024;

/** Reads everything but the sheets. Memory: the shared texts, outside of the heap. Errors: TRANSFER_FILE. */
export async function openWorkbook(path: string, file: string): Promise<Workbook> {
  const members = new Map(zipMembers(path).map((member) => [member.name, member]));
  const part = (member: ZipMember): DataFile => ({ path, name: file, table: member.name, format: 'xlsx', member });
  const read = (name: string, handler: Partial<XmlHandler>): Promise<void> => {
    const member = members.get(name);
    return member === undefined ? Promise.resolve() : readPart(part(member), handler);
  };
  const targets = new Map<string, string>();
  await read('xl/_rels/workbook.xml.rels', {
    open(name, attributes) {
      if (name !== 'Relationship') return;
      const { Id = '', Target = '' } = attributes();
      targets.set(Id, Target.startsWith('/') ? Target.slice(1) : `xl/${Target}`);
    },
  });
  const sheets: Sheet[] = [];
  let from1904 = false;
  await read('xl/workbook.xml', {
    open(name, attributes) {
      if (name === 'workbookPr') from1904 = /^(1|true)$/.test(attributes()['date1904'] ?? '');
      if (name !== 'sheet') return;
      const { name: title = '', id = '' } = attributes();
      const member = members.get(targets.get(id) ?? '');
      // A chart sheet has no cells.
      if (member !== undefined && /worksheets\//.test(member.name)) sheets.push({ name: title, member });
    },
  });
  if (sheets.length === 0) fail('TRANSFER_FILE', { file, format: 'xlsx', problem: 'it has no sheet with cells' });
  const formats = await readFormats((handler) => read('xl/styles.xml', handler));
  const texts = await readTexts((handler) => read('xl/sharedStrings.xml', handler), file);
  return { sheets, eachRow: (sheet, take) => eachRow(part(sheet.member), { formats, texts, from1904 }, take) };
}

const nothing = () => {};

async function readPart(part: DataFile, handler: Partial<XmlHandler>, pause: () => Go = () => true): Promise<void> {
  await readXml(bytesOf(part), part.name, { open: nothing, close: nothing, text: nothing, ...handler }, pause);
}

/** How a number of a style is shown: the only thing that tells a time from a number. */
interface Format {
  readonly date: boolean;
  readonly time: boolean;
  /** Hours beyond 24 are counted on. */
  readonly elapsed: boolean;
}

async function readFormats(read: (handler: Partial<XmlHandler>) => Promise<void>): Promise<(Format | null)[]> {
  const codes = new Map<number, string>();
  const formats: (Format | null)[] = [];
  let inside = false;
  await read({
    open(name, attributes) {
      if (name === 'cellXfs') inside = true;
      if (name === 'numFmt') codes.set(Number(attributes()['numFmtId']), attributes()['formatCode'] ?? '');
      if (name !== 'xf' || !inside) return;
      const id = Number(attributes()['numFmtId'] ?? 0);
      formats.push(formatOf(codes.get(id) ?? builtIn(id)));
    },
    close(name) {
      if (name === 'cellXfs') inside = false;
    },
  });
  return formats;
}

/** 18.8.30: those of them that show times; the others are of East Asian calendars. */
function builtIn(id: number): string {
  if (id === 22) return 'm/d/yy h:mm';
  if (id >= 18 && id <= 21) return 'h:mm:ss';
  if (id === 46) return '[h]:mm:ss';
  if (id === 45 || id === 47) return 'mm:ss';
  return (id >= 14 && id <= 17) || (id >= 27 && id <= 36) || (id >= 50 && id <= 58) ? 'yyyy-mm-dd' : '';
}

function formatOf(code: string): Format | null {
  const [positive] = code.replace(/"[^"]*"|\\.|_.|\*./g, '').split(';');
  const elapsed = /\[[hms]+\]/i.test(positive!);
  const plain = positive!.replace(/\[[^\]]*\]/g, '');
  const time = elapsed || /[hs]/i.test(plain);
  const date = /[yd]/i.test(plain) || (/m/i.test(plain) && !time);
  return /general/i.test(plain) || !(date || time) ? null : { date, time, elapsed };
}

interface Texts {
  readonly count: number;
  at(index: number): string;
}

async function readTexts(read: (handler: Partial<XmlHandler>) => Promise<void>, file: string): Promise<Texts> {
  let bytes = Buffer.allocUnsafe(1 << 16);
  let ends = new Float64Array(1 << 10);
  let size = 0;
  let count = 0;
  const collect = collector('si', (text) => {
    const needed = size + Buffer.byteLength(text);
    if (needed > MOST_TEXT) fail('TRANSFER_FILE', { file, format: 'xlsx', problem: 'its texts have more than 512 MiB' });
    if (needed > bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, bytes.length * 2));
      bytes.copy(grown, 0, 0, size);
      bytes = grown;
    }
    size += bytes.write(text, size);
    if (count === ends.length) {
      const grown = new Float64Array(ends.length * 2);
      grown.set(ends);
      ends = grown;
    }
    ends[count++] = size;
  });
  await read(collect);
  return { count, at: (index) => bytes.toString('utf8', index === 0 ? 0 : ends[index - 1], ends[index]) };
}

/** The texts of elements of that name: all their `t`, without what is only said of how they are spoken. */
function collector(element: string, take: (text: string) => void): XmlHandler {
  let text = '';
  let reading = false;
  let spoken = false;
  return {
    open(name) {
      if (name === element) text = '';
      else if (name === 'rPh') spoken = true;
      else if (name === 't') reading = !spoken;
    },
    close(name) {
      if (name === 't') reading = false;
      else if (name === 'rPh') spoken = false;
      else if (name === element) take(unescaped(text));
    },
    text(part) {
      if (reading) text += part;
    },
  };
}

/** ST_Xstring (22.9.2.19): characters that XML can't have. */
function unescaped(text: string): string {
  return text.includes('_x') ? text.replace(/_x([\dA-Fa-f]{4})_/g, (_whole, hex) => String.fromCharCode(Number.parseInt(hex, 16))) : text;
}

interface Meaning {
  readonly formats: readonly (Format | null)[];
  readonly texts: Texts;
  readonly from1904: boolean;
}

async function eachRow(
  part: DataFile,
  meaning: Meaning,
  take: (cells: (SheetCell | undefined)[], row: number) => Go,
): Promise<readonly Merge[]> {
  const merges: Merge[] = [];
  /** Rows of the chunk that were not taken yet. */
  const ready: { cells: (SheetCell | undefined)[]; row: number }[] = [];
  let cells: (SheetCell | undefined)[] = [];
  let row = 0;
  let column = -1;
  let type = '';
  let style = 0;
  let value = '';
  let reading = false;
  const handler: XmlHandler = {
    open(name, attributes) {
      if (name === 'v' || name === 't') reading = true;
      else if (name === 'c') {
        const { r, t = 'n', s = '0' } = attributes();
        column = r === undefined ? column + 1 : columnOf(r);
        if (column >= MOST_COLUMNS)
          fail('TRANSFER_FILE', { file: part.name, format: 'xlsx', line: row, problem: `there is no column ${r}` });
        type = t;
        style = Number(s);
        value = '';
      } else if (name === 'row') {
        row = Number(attributes()['r'] ?? row + 1);
        cells = [];
        column = -1;
      } else if (name === 'rPh') reading = false;
      else if (name === 'mergeCell') merges.push(mergeOf(attributes()['ref'] ?? ''));
    },
    close(name) {
      if (name === 'v' || name === 't') reading = false;
      else if (name === 'c' && (value !== '' || type === 'inlineStr')) cells[column] = cellOf(value, type, style, meaning);
      else if (name === 'row' && cells.length > 0) ready.push({ cells, row });
    },
    text(part) {
      if (reading) value += part;
    },
  };
  await readPart(part, handler, async () => {
    for (const next of ready.splice(0)) if (!(await take(next.cells, next.row))) return false;
    return true;
  });
  for (const next of ready.splice(0)) if (!(await take(next.cells, next.row))) break;
  return merges;
}

function columnOf(reference: string): number {
  let column = 0;
  for (const letter of /^[A-Z]{1,4}/.exec(reference)?.[0] ?? '') column = column * 26 + letter.charCodeAt(0) - 64;
  return column - 1;
}

function mergeOf(range: string): Merge {
  const [from = '', to = from] = range.split(':');
  const row = (reference: string) => Number(/\d+$/.exec(reference)?.[0] ?? 0);
  return { top: row(from), left: columnOf(from), bottom: row(to), right: columnOf(to) };
}

function cellOf(value: string, type: string, style: number, { formats, texts, from1904 }: Meaning): SheetCell | undefined {
  switch (type) {
    case 's': {
      const index = Number(value);
      return index < texts.count ? { kind: 'text', text: texts.at(index) } : undefined;
    }
    case 'inlineStr':
      return { kind: 'text', text: unescaped(value) };
    case 'str':
      // A formula that gives no text leaves its cell empty.
      return value === '' ? undefined : { kind: 'text', text: unescaped(value) };
    case 'b':
      return { kind: 'boolean', text: value === '1' ? 'true' : 'false' };
    case 'e':
      return { kind: 'error', text: value };
    case 'd':
      return { kind: 'time', text: value.replace('T', ' ').replace(/Z$/, '') };
    default: {
      const format = formats[style];
      return (format == null ? null : timeCell(Number(value), format, from1904)) ?? { kind: 'number', text: value };
    }
  }
}

const DAY = 86_400_000;

/**
 * A serial number of days as a time (18.17.4): from 1904-01-01, or from 1900-01-01 as 1, where 60 is a February 29th that never was.
 * Null where it is none.
 */
function timeCell(serial: number, { date, time, elapsed }: Format, from1904: boolean): Cell | null {
  if (!(serial >= 0 && serial < 2_958_466)) return null;
  const millis = Math.round(serial * DAY);
  if (elapsed || (!date && serial < 1)) {
    const clock = new Date(millis % DAY)
      .toISOString()
      .slice(11, 23)
      .replace(/\.000$/, '');
    const hours = String(Math.floor(millis / 3_600_000)).padStart(2, '0');
    return { kind: 'text', text: hours + clock.slice(2) };
  }
  if (!from1904 && serial >= 60 && serial < 61) return null;
  const epoch = from1904 ? Date.UTC(1904, 0, 1) : Date.UTC(1899, 11, serial < 60 ? 31 : 30);
  const text = new Date(epoch + millis)
    .toISOString()
    .replace('T', ' ')
    .slice(0, 23)
    .replace(/\.000$/, '');
  return { kind: 'time', text: time || millis % DAY !== 0 ? text : text.slice(0, 10) };
}
