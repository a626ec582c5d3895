/** Messages of PostgreSQL's logical replication, protocol version 1 (manual, "Logical Replication Message Formats"). */
import { fail } from '#core';

/** One value of a row: absent is a long value that did not change and that the server did not look up. */
export type Value = Buffer | null | undefined;

export interface Relation {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  /** d: primary key, f: all columns, i: an index, n: nothing. */
  readonly identity: string;
  readonly columns: readonly { readonly name: string; readonly key: boolean; readonly type: number; readonly typmod: number }[];
}

export type Message =
  | { readonly kind: 'begin'; readonly commit: bigint; readonly at: bigint }
  | { readonly kind: 'commit'; readonly end: bigint; readonly at: bigint }
  | { readonly kind: 'relation'; readonly relation: Relation }
  | { readonly kind: 'insert'; readonly relation: number; readonly row: readonly Value[] }
  /** `old` is the former row or key, where the key changed or the identity is the whole row. */
  | { readonly kind: 'update'; readonly relation: number; readonly old: readonly Value[] | null; readonly row: readonly Value[] }
  | { readonly kind: 'delete'; readonly relation: number; readonly old: readonly Value[] }
  | { readonly kind: 'truncate'; readonly relations: readonly number[] }
  | { readonly kind: 'other' };

/** Microseconds between 1970 and 2000, where PostgreSQL's clock begins. */
const EPOCH = 946_684_800_000_000n;

class Reader {
  at = 1;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  byte(): number {
    return this.#bytes[this.at++]!;
  }
  letter(): string {
    return String.fromCharCode(this.byte());
  }
  int16(): number {
    this.at += 2;
    return this.#bytes.readInt16BE(this.at - 2);
  }
  int32(): number {
    this.at += 4;
    return this.#bytes.readInt32BE(this.at - 4);
  }
  uint32(): number {
    this.at += 4;
    return this.#bytes.readUInt32BE(this.at - 4);
  }
  uint64(): bigint {
    this.at += 8;
    return this.#bytes.readBigUInt64BE(this.at - 8);
  }
  text(): string {
    const end = this.#bytes.indexOf(0, this.at);
    const text = this.#bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }
  bytes(length: number): Buffer {
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }
  row(): Value[] {
    const values: Value[] = new Array(this.int16());
    for (let k = 0; k < values.length; k++) {
      const kind = this.byte();
      values[k] = kind === 0x6e ? null : kind === 0x75 ? undefined : this.bytes(this.uint32());
    }
    return values;
  }
}

/** Values are views of `bytes`. Errors: TRANSFER_READ for what is no message of this protocol. */
export function decodeMessage(bytes: Buffer): Message {
  const reader = new Reader(bytes);
  switch (String.fromCharCode(bytes[0]!)) {
    case 'B':
      return { kind: 'begin', commit: reader.uint64(), at: reader.uint64() + EPOCH };
    case 'C': {
      reader.byte();
      reader.uint64();
      return { kind: 'commit', end: reader.uint64(), at: reader.uint64() + EPOCH };
    }
    case 'R':
      return { kind: 'relation', relation: relationOf(reader) };
    case 'I': {
      const relation = reader.uint32();
      reader.letter();
      return { kind: 'insert', relation, row: reader.row() };
    }
    case 'U': {
      const relation = reader.uint32();
      const old = reader.letter() === 'N' ? null : reader.row();
      if (old !== null) reader.letter();
      return { kind: 'update', relation, old, row: reader.row() };
    }
    case 'D': {
      const relation = reader.uint32();
      reader.letter();
      return { kind: 'delete', relation, old: reader.row() };
    }
    case 'T': {
      const count = reader.uint32();
      reader.byte();
      return { kind: 'truncate', relations: Array.from({ length: count }, () => reader.uint32()) };
    }
    case 'Y':
    case 'O':
    case 'M':
      return { kind: 'other' };
    default:
      return fail('TRANSFER_READ', { table: 'the changes', problem: `the server sent a message of the unknown kind ${bytes[0]}` });
  }
}

function relationOf(reader: Reader): Relation {
  const id = reader.uint32();
  // An empty name stands for pg_catalog.
  const schema = reader.text() || 'pg_catalog';
  const name = reader.text();
  const identity = reader.letter();
  const columns = Array.from({ length: reader.int16() }, () => {
    const key = (reader.byte() & 1) === 1;
    return { name: reader.text(), key, type: reader.uint32(), typmod: reader.int32() };
  });
  return { id, schema, name, identity, columns };
}

/** A position in the log as the server spells it: two halves in hexadecimal. */
export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

export function lsnOf(text: string): bigint {
  const [high, low] = text.split('/') as [string, string];
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/**
 * The standby's answer: everything up to `lsn` has been written for good (manual, "Standby status update"). It is answered at once with how far
 * the server's log is, so that a quiet stream moves on too.
 */
export function statusUpdate(lsn: bigint, now: number): Buffer {
  const bytes = Buffer.alloc(34);
  bytes[0] = 0x72;
  bytes.writeBigUInt64BE(lsn, 1);
  bytes.writeBigUInt64BE(lsn, 9);
  bytes.writeBigUInt64BE(lsn, 17);
  bytes.writeBigInt64BE(BigInt(now) * 1000n - EPOCH, 25);
  bytes[33] = 1;
  return bytes;
}
