/** Zip files and workbooks written byte by byte, by another way than they are read. */
import { crc32, deflateRawSync } from 'node:zlib';

export function zipOf(members: Readonly<Record<string, string | Buffer>>, change: { crc?: number; flags?: number } = {}): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, content] of Object.entries(members)) {
    const plain = Buffer.from(content);
    const packed = deflateRawSync(plain);
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(change.flags ?? 0x800, 2);
    shared.writeUInt16LE(8, 4);
    shared.writeUInt32LE(change.crc ?? crc32(plain), 10);
    shared.writeUInt32LE(packed.length, 14);
    shared.writeUInt32LE(plain.length, 18);
    shared.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), shared, Buffer.from(name), packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), shared, tail, Buffer.from(name)]));
    locals.push(local);
    at += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(directory.length, 4);
  end.writeUInt16LE(directory.length, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...locals, central, Buffer.from('PK\x05\x06'), end]);
}

/** As if the zip's one member stood there under each of the names: the same bytes, many times. */
export function overlapping(zip: Buffer, names: readonly string[]): Buffer {
  const from = zip.indexOf('PK\x01\x02');
  const entry = zip.subarray(from, from + 46);
  const directory = names.map((name) => {
    const own = Buffer.from(entry);
    own.writeUInt16LE(Buffer.byteLength(name), 28);
    return Buffer.concat([own, Buffer.from(name)]);
  });
  const central = Buffer.concat(directory);
  const end = Buffer.from(zip.subarray(zip.length - 22));
  end.writeUInt16LE(names.length, 8);
  end.writeUInt16LE(names.length, 10);
  end.writeUInt32LE(central.length, 12);
  return Buffer.concat([zip.subarray(0, from), central, end]);
}

export const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('\n', '&#10;');

/** `sheets`: the XML inside sheetData, and what follows it. Styles: 0 general, 1 a date, 2 a time stamp, 3 a custom date, 4 elapsed hours. */
export function workbookOf(sheets: Readonly<Record<string, string | [string, string]>>, more: Record<string, string> = {}): Buffer {
  const names = Object.keys(sheets);
  const parts: Record<string, string> = {
    '[Content_Types].xml': '<Types/>',
    'xl/workbook.xml': `<?xml version="1.0"?><workbook xmlns:r="x"><sheets>${names
      .map((name, k) => `<sheet name="${escaped(name)}" sheetId="${k + 1}" r:id="rId${k + 1}"/>`)
      .join('')}</sheets></workbook>`,
    'xl/_rels/workbook.xml.rels': `<Relationships>${names
      .map((_, k) => `<Relationship Id="rId${k + 1}" Target="worksheets/sheet${k + 1}.xml"/>`)
      .join('')}</Relationships>`,
    'xl/styles.xml': `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy&quot;년&quot; m&quot;월&quot; d&quot;일&quot;"/></numFmts><cellStyleXfs><xf numFmtId="9"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="164"/><xf numFmtId="46"/></cellXfs></styleSheet>`,
  };
  for (const [k, name] of names.entries()) {
    const [data, after] = [sheets[name]!].flat();
    parts[`xl/worksheets/sheet${k + 1}.xml`] = `<worksheet><sheetData>${data}</sheetData>${after ?? ''}</worksheet>`;
  }
  return zipOf({ ...parts, ...more });
}

/** Days since 1899-12-30. */
export const serial = (iso: string): number => (Date.parse(`${iso.replace(' ', 'T')}Z`) - Date.UTC(1899, 11, 30)) / 86_400_000;
