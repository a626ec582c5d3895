/** Parquet, also in gzip or zip. It is decoded in the transfer's own process: a file made to break the decoder breaks no other. */
import { basename } from 'node:path';
import { fail } from '#core';
import type { ParquetFile } from '#store';
import { type DataFile, dataFiles, onDisk, placed } from '../files/bytes.ts';
import { cursorOf, type FileTable, openTables } from '../files/tables.ts';
import type { Opened, Source, SourceColumn, Span } from '../source.ts';

export const parquet: Source = {
  name: 'parquet',
  title: 'Parquet files',
  summary: 'A Parquet file with its own types; nested columns become JSON.',
  options: [{ name: 'path', type: 'text', summary: 'The file, relative to the workspace; gzip and zip are unpacked.', required: true }],
  async open(connection, place) {
    const path = placed(String(connection['path']), place, 'parquet');
    return openParquet(path, basename(path));
  },
  guess(address) {
    return /\.(parquet|pq)(\.gz|\.zip)?$/i.test(address) && !/^\w+:\/\//.test(address)
      ? { connection: { path: address }, secrets: {} }
      : null;
  },
};

/** Each would be a database of its own: of a zip one is read, and others are not left out without a word. Errors: TRANSFER_FILE. */
export function onlyParquet(files: readonly DataFile[]): DataFile {
  const named = files.filter(({ name }) => /\.(parquet|pq)$/i.test(name));
  const [first, ...others] = named.length === 0 ? files : named;
  if (others.length > 0)
    fail('TRANSFER_FILE', {
      file: first!.name,
      format: 'parquet',
      problem: `its zip holds ${others.length + 1} files, and one is read; unpack it, or put it into a folder and use the source "folder", which reads each`,
    });
  return first!;
}

export async function openParquet(path: string, name: string, version: string | null = null): Promise<Opened> {
  const first = onlyParquet(dataFiles(path, 'parquet', name));
  const disk = await onDisk(first);
  // Loaded only here: the other sources need no DuckDB in their process.
  const { checksum, hashes, openParquet: openFile } = await import('#store');
  const file = await openFile(disk.path, name).catch((thrown: unknown) => {
    disk.remove();
    throw thrown;
  });
  const opened = openTables([parquetTable(file, first.table)], {}, version);
  const checked = async (columns: readonly SourceColumn[], span: Span) => ({
    rows: await file.rowsAs(columns),
    check: { table: 'main.file', columns, span, run: null },
  });
  return {
    ...opened,
    async checksum(_table, columns, span, buckets) {
      const { rows, check } = await checked(columns, span);
      return checksum(rows, check, buckets);
    },
    async hashes(_table, columns, span, key, bucket) {
      const { rows, check } = await checked(columns, span);
      return hashes(rows, check, key, bucket);
    },
    async close() {
      file.close();
      disk.remove();
    },
  };
}

function parquetTable(file: ParquetFile, name: string): FileTable {
  const columns = file.columns.map((column) => ({
    name: column.name,
    sourceType: column.original,
    type: column.type,
    note: column.original === 'TIMESTAMP_NS' ? 'nanoseconds are cut to microseconds' : null,
    long: false,
    cursor: cursorOf(column.type),
  }));
  return {
    table: { name, key: [], rows: file.rows, columns },
    async each(chosen, _refuse, take) {
      for await (const rows of file.read(chosen)) for (const values of rows) if (!(await take(values))) return;
    },
  };
}
