/** What a file is, by its bytes: neither its name nor what a server says of it is to be trusted. */
import { detectEncoding, toUtf8 } from '../csv/encoding.ts';
import { bytesOf, type DataFile, dataFiles, headOf, isZip } from './bytes.ts';
import { zipMembers } from './zip.ts';

export type FileKind = 'csv' | 'json' | 'parquet' | 'xlsx';

/** Plain, gzip or zip. Anything else that is text is csv: its reader says what is wrong with it. Errors: TRANSFER_FILE. */
export async function kindOf(path: string): Promise<FileKind> {
  if (isZip(headOf(path, 4)) && zipMembers(path).some(({ name }) => name === 'xl/workbook.xml')) return 'xlsx';
  return kindOfFile(dataFiles(path, 'csv')[0]!);
}

/** The same of one that may stand in a zip. */
export async function kindOfFile(file: DataFile): Promise<FileKind> {
  let sample: Buffer = Buffer.alloc(0);
  for await (const chunk of bytesOf(file)) {
    sample = chunk.subarray(0, 65_536);
    break;
  }
  if (sample.toString('latin1', 0, 4) === 'PAR1') return 'parquet';
  if (isZip(sample)) return 'xlsx';
  return /^\s*[[{]\s*["{[\]}\d-]/.test(await textOf(sample)) ? 'json' : 'csv';
}

async function textOf(sample: Buffer): Promise<string> {
  const encoding = await detectEncoding(once(sample));
  let text = '';
  for await (const chunk of toUtf8(once(sample), encoding)) text += chunk.toString();
  return text;
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
