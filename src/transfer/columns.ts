/**
 * A slice's rows once more, as a Parquet file: the warehouse takes columns of values in at half the processor time that it needs for
 * rows of text (docs/decisions/transfer-speed.md). columns.as, compiled, reads the rows; the first that is not plain leaves the slice to
 * the warehouse's reader of rows. Everything that is written is held to equal what that one would have read (test/transfer/columns.test.ts).
 */
import { closeSync, openSync, writevSync } from 'node:fs';
import { type Bytes, fail } from '#core';
import { columnsBytes } from './columns-bytes.ts';
import { type ParquetColumn, parquet } from './parquet-file.ts';
import { diskProblem } from './rows.ts';

export interface SliceColumns {
  /** Forgets what was taken. */
  begin(): void;
  /** Takes whole rows in the form of rows.ts, up to the first that is not plain. */
  add(rows: Buffer): void;
  /** All rows since `begin`, as a file of one row group with the columns c0, c1 …; false where there are none, or one is not plain. Errors: TRANSFER_DISK. */
  write(file: string): boolean;
}

/** As columns.as has them in memory. */
const [COLUMNS, COLUMN_BYTES, IN, HEADER] = [1024, 64, 65_536, 16] as const;
const [FIRST, VALUES, PRESENT, DICTIONARY, ENTRIES, ENTRIES_END] = [24, 36, 40, 44, 48, 52] as const;
const [TEXTS, MOST_COLUMNS] = [16 + 2048, 1000] as const;
const KINDS = { text: 0, integer: 1, decimal: 2, date: 3, timestamp: 4 } as const;
/** Beyond it a slice is not plain: its columns would take several times the memory of its rows. */
const [FIRST_PAGES, MOST_PAGES] = [161, 161 + 512] as const;

/** The host's WebAssembly, of which TypeScript knows only with the browser's library. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

interface Exports {
  readonly ROOM: { readonly value: Bytes };
  begin(columns: number): void;
  add(length: Bytes): number;
  taken(): number;
}

interface Kind {
  readonly kind: keyof typeof KINDS;
  /** Of a value; 0 for texts. */
  readonly bytes: 0 | 4 | 8;
  readonly low?: bigint;
  readonly high?: bigint;
  readonly precision?: number;
  readonly scale?: number;
  readonly zoned?: true;
}

function integer(bits: number, signed: boolean): Kind {
  const [low, high] = signed ? [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n] : [0n, 2n ** BigInt(bits) - 1n];
  const most = 2n ** 63n - 1n;
  return { kind: 'integer', bytes: bits < 32 || (signed && bits === 32) ? 4 : 8, low, high: high > most ? most : high };
}

const BY_TYPE: Readonly<Record<string, Kind>> = {
  TINYINT: integer(8, true),
  SMALLINT: integer(16, true),
  INTEGER: integer(32, true),
  BIGINT: integer(64, true),
  UTINYINT: integer(8, false),
  USMALLINT: integer(16, false),
  UINTEGER: integer(32, false),
  UBIGINT: integer(64, false),
  DATE: { kind: 'date', bytes: 4 },
  TIMESTAMP: { kind: 'timestamp', bytes: 8 },
  'TIMESTAMP WITH TIME ZONE': { kind: 'timestamp', bytes: 8, zoned: true },
};

function kindOf(type: string): Kind {
  const [, precision, scale] = /^DECIMAL\((\d+),(\d+)\)$/.exec(type) ?? [];
  if (precision === undefined) return BY_TYPE[type] ?? { kind: 'text', bytes: 0 };
  if (Number(precision) > 18) return { kind: 'text', bytes: 0 };
  const high = 10n ** BigInt(precision) - 1n;
  return { kind: 'decimal', bytes: 8, low: -high, high, precision: Number(precision), scale: Number(scale) };
}

/** Types that are no kind of ours stay text, and are cast by the warehouse as in a file of rows. Null for more columns than there is room for. */
export function sliceColumns(types: readonly string[]): SliceColumns | null {
  if (types.length > MOST_COLUMNS) return null;
  const kinds = types.map(kindOf);
  const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MOST_PAGES });
  const module = new WebAssembly.Module(Buffer.from(columnsBytes, 'base64'));
  const wasm = new WebAssembly.Instance(module, { env: { memory } }).exports as Exports;
  setKinds(new DataView(memory.buffer), kinds);

  function columnAt(k: number): ParquetColumn {
    const view = new DataView(memory.buffer);
    const own = COLUMNS + k * COLUMN_BYTES;
    const at = (place: number) => view.getUint32(own + place, true);
    const bytes = (from: number, length: number) => new Uint8Array(memory.buffer, from, length);
    const blocks: Uint8Array[] = [];
    for (let block = at(FIRST); block !== 0; block = view.getUint32(block, true))
      blocks.push(bytes(block + HEADER, view.getUint32(block + 4, true)));
    const { kind, bytes: width, precision, scale } = kinds[k]!;
    const dictionary = at(DICTIONARY) + TEXTS;
    return {
      name: `c${k}`,
      physical: width === 0 ? 'bytes' : width === 4 ? 'int32' : 'int64',
      logical: kind === 'decimal' ? { precision: precision!, scale: scale! } : kind === 'integer' ? null : kind,
      present: at(PRESENT) === 0 ? null : bytes(at(PRESENT), Math.ceil(wasm.taken() / 8)),
      values: at(VALUES),
      blocks,
      dictionary:
        at(DICTIONARY) === 0 || at(VALUES) === 0 ? null : { entries: at(ENTRIES), bytes: bytes(dictionary, at(ENTRIES_END) - dictionary) },
    };
  }

  let plain = true;
  return {
    begin() {
      wasm.begin(kinds.length);
      plain = true;
    },
    add(rows) {
      if (rows.length > wasm.ROOM.value) plain = false;
      if (!plain) return;
      new Uint8Array(memory.buffer).set(rows, IN);
      plain = wasm.add(rows.length) !== 0;
    },
    write(file) {
      if (!plain || wasm.taken() === 0) return false;
      const parts = parquet(
        wasm.taken(),
        kinds.map((_, k) => columnAt(k)),
      );
      const bytes = parts.reduce((sum, { length }) => sum + length, 0);
      const descriptor = openSync(file, 'w', 0o600);
      try {
        if (writevSync(descriptor, parts) < bytes) fail('TRANSFER_DISK', { bytes });
      } catch (thrown) {
        throw diskProblem(thrown, bytes);
      } finally {
        closeSync(descriptor);
      }
      return true;
    },
  };
}

function setKinds(view: DataView, kinds: readonly Kind[]): void {
  for (const [k, { kind, bytes, scale = 0, zoned = false, low = 0n, high = 0n }] of kinds.entries()) {
    const at = COLUMNS + k * COLUMN_BYTES;
    for (const [place, value] of [KINDS[kind], bytes, scale, zoned ? 1 : 0].entries()) view.setUint8(at + place, value);
    view.setBigInt64(at + 8, low, true);
    view.setBigInt64(at + 16, high, true);
  }
}
