/** Events of the binary log (MySQL internals, "Binlog Event"; mariadb.com, "2 - Binlog Event Header" and on). */
import { crc32, inflateSync } from 'node:zlib';
import type { Bytes } from '#core';
import { ValueReader, type WireColumn } from './values.ts';

export interface Header {
  /** Seconds since 1970. */
  readonly time: number;
  readonly type: number;
  readonly size: Bytes;
  /** Where the next event begins; 0 in events that stand in no file. */
  readonly end: number;
}

export const HEADER = 19;

export function headerOf(event: Buffer): Header {
  return { time: event.readUInt32LE(0), type: event[4]!, size: event.readUInt32LE(9), end: event.readUInt32LE(13) };
}

/** Its last four bytes are a CRC of the others, unless the server writes none; events that stand in no file may lack it in either case. */
export function withoutChecksum(event: Buffer): Buffer {
  const rest = event.subarray(0, -4);
  return crc32(rest) === event.readUInt32LE(rest.length) ? rest : event;
}

export interface TableMap {
  readonly id: number;
  readonly database: string;
  readonly table: string;
  readonly columns: readonly WireColumn[];
  /** Only with binlog_row_metadata=FULL. */
  readonly names: readonly string[] | null;
}

/** Bytes of metadata of each type; the others have none. */
const META: Readonly<Record<number, number>> = {
  4: 1,
  5: 1,
  15: 2,
  16: 2,
  17: 1,
  18: 1,
  19: 1,
  245: 1,
  246: 2,
  247: 2,
  248: 2,
  252: 1,
  253: 2,
  254: 2,
  255: 1,
};
const COLUMN_NAMES = 4;

export function tableMapOf(event: Buffer): TableMap {
  const reader = new ValueReader(event, HEADER);
  const id = reader.uint(6);
  reader.bytes(2);
  const database = reader.bytes(reader.uint(1)).toString();
  reader.bytes(1);
  const table = reader.bytes(reader.uint(1)).toString();
  reader.bytes(1);
  const types = [...reader.bytes(reader.count())];
  reader.count();
  const columns = types.map((type) => ({ type, meta: reader.uint(META[type] ?? 0) }));
  reader.bytes((types.length + 7) >> 3);
  let names: string[] | null = null;
  while (reader.at < event.length) {
    const field = reader.uint(1);
    const value = reader.bytes(reader.count());
    if (field === COLUMN_NAMES) names = namesOf(value);
  }
  return { id, database, table, columns, names };
}

function namesOf(value: Buffer): string[] {
  const reader = new ValueReader(value, 0);
  const names: string[] = [];
  while (reader.at < value.length) names.push(reader.bytes(reader.count()).toString());
  return names;
}

export interface RowsEvent {
  readonly op: 'insert' | 'update' | 'delete';
  readonly table: number;
  /** The columns that the rows have, before and after. */
  readonly present: readonly boolean[];
  readonly presentAfter: readonly boolean[];
  /** The rows, one after another; of an update the former and the new one by turns. */
  readonly rows: Buffer;
}

/** Version 1 (MariaDB), version 2 (MySQL), and MariaDB's compressed ones. */
const ROWS: Readonly<Record<number, readonly [op: RowsEvent['op'], version: 1 | 2, compressed: boolean]>> = {
  23: ['insert', 1, false],
  24: ['update', 1, false],
  25: ['delete', 1, false],
  30: ['insert', 2, false],
  31: ['update', 2, false],
  32: ['delete', 2, false],
  166: ['insert', 1, true],
  167: ['update', 1, true],
  168: ['delete', 1, true],
  169: ['insert', 2, true],
  170: ['update', 2, true],
  171: ['delete', 2, true],
};

export const isRows = (type: number): boolean => type in ROWS;

export function rowsOf(type: number, event: Buffer): RowsEvent {
  const [op, version, compressed] = ROWS[type]!;
  const reader = new ValueReader(event, HEADER);
  const table = reader.uint(6);
  reader.bytes(2);
  // The length of the extra data counts its own two bytes.
  if (version === 2) reader.bytes(reader.uint(2) - 2);
  const count = reader.count();
  const present = bits(reader.bytes((count + 7) >> 3), count);
  const presentAfter = op === 'update' ? bits(reader.bytes((count + 7) >> 3), count) : present;
  const rest = event.subarray(reader.at);
  return { op, table, present, presentAfter, rows: compressed ? inflated(rest) : rest };
}

export function bits(bytes: Buffer, count: number): boolean[] {
  return Array.from({ length: count }, (_, k) => (bytes[k >> 3]! & (1 << (k & 7))) !== 0);
}

/** A byte with the number of bytes of the length (its low three bits), the length, and zlib's stream. */
function inflated(bytes: Buffer): Buffer {
  return inflateSync(bytes.subarray(1 + (bytes[0]! & 7)));
}

/** The text of a statement and the database that it was said in. */
export function queryOf(event: Buffer, compressed: boolean): { database: string; sql: string } {
  const reader = new ValueReader(event, HEADER + 8);
  const length = reader.uint(1);
  reader.bytes(2);
  reader.bytes(reader.uint(2));
  const database = reader.bytes(length).toString();
  reader.bytes(1);
  const rest = event.subarray(reader.at);
  return { database, sql: (compressed ? inflated(rest) : rest).toString() };
}

export function rotateOf(event: Buffer): { file: string; position: number } {
  return { position: Number(event.readBigUInt64LE(HEADER)), file: event.toString('utf8', HEADER + 8) };
}
