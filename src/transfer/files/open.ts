/** A file of any kind by its source. */

import type { Option } from '#core';
import type { Connection, Opened } from '../source.ts';
import { csv, openCsv } from '../sources/csv.ts';
import { json, openJson } from '../sources/json.ts';
import { onlyParquet, openParquet } from '../sources/parquet.ts';
import { openXlsx, xlsx } from '../sources/xlsx.ts';
import { type DataFile, onDisk } from './bytes.ts';
import type { FileKind } from './kind.ts';
import type { Opening } from './tables.ts';

/** What the sources of files can be told beside the path. */
export const fileOptions: readonly Option[] = [
  {
    name: 'format',
    type: 'choice',
    choices: ['auto', 'csv', 'json', 'parquet', 'xlsx'],
    summary: 'What the file is; auto looks at its bytes.',
    default: 'auto',
  },
  ...[...csv.options, ...json.options, ...xlsx.options].filter(({ name }) => name !== 'path'),
];

/** The files of one address, each a table. Errors: TRANSFER_FILE, TRANSFER_OPTION. */
export async function openDataFiles(files: readonly DataFile[], kind: FileKind, options: Connection, opening: Opening): Promise<Opened> {
  if (kind === 'csv') return openCsv(files, options, opening);
  if (kind === 'json') return openJson(files, options, opening);
  return openDataFile(kind === 'parquet' ? onlyParquet(files) : files[0]!, kind, options, opening);
}

/** `constants` are columns with one value for the whole file; only text files can have them. Errors: TRANSFER_FILE, TRANSFER_OPTION. */
export async function openDataFile(
  file: DataFile,
  kind: FileKind,
  options: Connection,
  { version = null, constants = [] }: Opening = {},
): Promise<Opened> {
  if (kind === 'csv') return openCsv([file], options, { version, constants });
  if (kind === 'json') return openJson([file], options, { version, constants });
  const disk = await onDisk(file);
  try {
    const opened =
      kind === 'xlsx' ? await openXlsx(disk.path, file.name, options, version) : await openParquet(disk.path, file.name, version);
    return {
      ...opened,
      async close() {
        await opened.close();
        disk.remove();
      },
    };
  } catch (thrown) {
    disk.remove();
    throw thrown;
  }
}
