/**
 * COPY … TO STDOUT past the driver, which makes an object and an event of each row. Of the server's messages (PostgreSQL's manual, "Message
 * Formats") the rows are taken here; every other one goes to the driver as it came.
 */
import type { Socket } from 'node:net';
import type { Client } from 'pg';
import type { Bytes } from '#core';
import { BATCH, BATCH_ROOM, BATCH_ROWS, isBatch, LONGEST_ROW, type Rows, roomFor } from '../rows.ts';
import type { SourceColumn } from '../source.ts';
import { postgresCopyBytes } from './postgres-copy-bytes.ts';
import { isBlankPadded, isDay } from './postgres-types.ts';

export interface Copied {
  /** Takes rows from there on, where at least one message stands whole; where it stopped, which is behind that one. The bytes are good until it returns. */
  rows(bytes: Buffer, from: number): number;
  /** A row of more than LONGEST_ROW begins: nothing comes any more. */
  beyond(): void;
  failed(error: Error): void;
  ended(): void;
}

/** `sql` has FORMAT text. */
export function copyOut(client: Client, sql: string, { rows, beyond, failed, ended }: Copied): void {
  let restore = () => {};
  const query = {
    /** The driver calls it when it is this query's turn: whatever came for the ones before has been taken by then. */
    submit(connection: { readonly stream: Socket; query(text: string): void }) {
      const { stream } = connection;
      const drivers = stream.listeners('data') as ((bytes: Buffer) => void)[];
      const own = messages({
        rows,
        beyond,
        other(bytes) {
          for (const listener of drivers) listener.call(stream, bytes);
        },
      });
      // The new one first: a stream without any would stand still.
      stream.on('data', own);
      for (const listener of drivers) stream.removeListener('data', listener);
      restore = () => {
        for (const listener of drivers) stream.on('data', listener);
        stream.removeListener('data', own);
      };
      connection.query(sql);
    },
    handleError: (error: Error) => failed(error),
    handleReadyForQuery() {
      restore();
      ended();
    },
    handleCommandComplete() {},
    handleRowDescription() {},
    handleDataRow() {},
  };
  (client as unknown as { query(query: object): void }).query(query);
}

/** A message is a byte of its kind, its length in four (these four and what follows them), and what follows. */
const HEAD: Bytes = 5;
const COPY_DATA = 0x64;

interface Taken extends Pick<Copied, 'rows' | 'beyond'> {
  /** A whole message of any other kind. */
  other(bytes: Buffer): void;
}

/** Takes messages apart, in whatever pieces they come. */
export function messages({ rows, other, beyond }: Taken): (chunk: Buffer) => void {
  const head = Buffer.alloc(HEAD);
  /** The head of a message whose end has not come, then room for all of it; and how much has come. */
  let part = head;
  let held = 0;
  let dead = false;

  return (chunk) => {
    for (let at = 0; at < chunk.length && !dead; ) {
      const left = chunk.length - at;
      const size = held > 0 || left < HEAD ? Number.POSITIVE_INFINITY : sizeAt(chunk, at);
      if (size <= left) {
        if (chunk[at] === COPY_DATA) at = rows(chunk, at);
        else other(chunk.subarray(at, (at += size)));
        continue;
      }
      const taken = chunk.copy(part, held, at);
      held += taken;
      at += taken;
      if (held < part.length) continue;
      const whole = sizeAt(part, 0);
      if (whole > HEAD + LONGEST_ROW) {
        dead = true;
        beyond();
      } else if (whole > held) part = Buffer.concat([part], whole);
      else {
        if (part[0] === COPY_DATA) rows(part, 0);
        else other(part);
        part = head;
        held = 0;
      }
    }
  };
}

function sizeAt(bytes: Buffer, at: number): Bytes {
  const length = ((bytes[at + 1]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 8) | bytes[at + 4]!) >>> 0;
  return Math.max(HEAD, 1 + length);
}

/** As postgres-copy.as has them in memory: what is to be known beside the rows, and in it the text of a cursor; and the rows. */
const [FLAGS, COMPLETE, OUT] = [1024, 3200, 4096] as const;
const [BLANK, DAY] = [1, 2] as const;
/** Room for a batch and a piece of a socket's. */
const PAGES = 160;

/** The host's WebAssembly, of which TypeScript knows only with the browser's library. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

interface Exports {
  begin(columns: number, cursor: boolean, last: Bytes, complete: Bytes): void;
  count(): number;
  size(): Bytes;
  newest(): Bytes;
  completed(): Bytes;
  empty(): void;
  room(length: Bytes): number;
  take(from: number, length: Bytes, mostRows: number, mostBytes: Bytes): number;
}

/** Rows until they are a batch. */
export interface Gathered {
  readonly count: number;
  /** Takes messages of rows from `from` on, until one is not whole or the rows are a batch; where it stopped. -1: one is no row of these columns. */
  add(bytes: Buffer, from: number): number;
  isBatch(): boolean;
  take(): Rows;
}

/** `cursor`: the text of a cursor stands before the columns, and is taken off. */
export function gathering(columns: readonly SourceColumn[], cursor: boolean): Gathered {
  const module = new WebAssembly.Module(Buffer.from(postgresCopyBytes, 'base64'));
  const begin = (state: Uint8Array, last: Bytes, complete: Bytes) => {
    const memory = new WebAssembly.Memory({ initial: PAGES });
    const wasm = new WebAssembly.Instance(module, { env: { memory } }).exports as Exports;
    new Uint8Array(memory.buffer).set(state, FLAGS);
    wasm.begin(columns.length, cursor, last, complete);
    return { memory, wasm };
  };
  const flags = columns.map((column) => (isBlankPadded(column) ? BLANK : isDay(column) ? DAY : 0));
  let { memory, wasm } = begin(Uint8Array.from(flags), 0, 0);

  return {
    get count() {
      return wasm.count();
    },
    isBatch: () => isBatch({ count: wasm.count(), size: wasm.size() }),
    add(bytes, from) {
      const length = bytes.length - from;
      const place = wasm.room(length);
      if (place === 0) throw new RangeError(`there is no memory for ${length} bytes of rows`);
      new Uint8Array(memory.buffer).set(from === 0 ? bytes : bytes.subarray(from), place);
      const taken = wasm.take(place, length, BATCH_ROWS, BATCH);
      return taken < 0 ? -1 : from + taken;
    },
    take() {
      const size = wasm.size();
      const bytes = size <= BATCH_ROOM ? roomFor(BATCH_ROOM).subarray(0, size) : Buffer.allocUnsafeSlow(size);
      bytes.set(new Uint8Array(memory.buffer, OUT, size));
      const complete = wasm.completed() === 0 ? null : Buffer.from(memory.buffer, COMPLETE, wasm.completed()).toString('latin1');
      const rows = { count: wasm.count(), bytes, complete, refused: [] };
      // What a long row took would stay: such memory never shrinks.
      if (memory.buffer.byteLength > 2 * PAGES * 65_536)
        ({ memory, wasm } = begin(new Uint8Array(memory.buffer, FLAGS, OUT - FLAGS), wasm.newest(), wasm.completed()));
      else wasm.empty();
      return rows;
    },
  };
}
