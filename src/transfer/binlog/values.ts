/**
 * Values of row events as text, spelled as a SELECT of the same column spells them (MySQL internals, "Rows event" and the field types'
 * pack formats).
 */
import { fail } from '#core';
import type { SourceColumn } from '../source.ts';
import { undecodable } from '../undecodable.ts';

/** A column of a table map: the wire's type and its two bytes of metadata. */
export interface WireColumn {
  readonly type: number;
  readonly meta: number;
}

/** How a column's bytes become text; what the wire does not say comes from the catalog. */
export interface Reading {
  readonly column: SourceColumn;
  readonly unsigned: boolean;
  /** The members of an ENUM or SET. */
  readonly members: readonly Buffer[];
  /** null: the bytes are UTF-8 already, or no text. */
  readonly decoder: InstanceType<typeof TextDecoder> | null;
  /** The length of a BINARY(n), whose zeros at the end the log leaves out. */
  readonly padded: number | null;
}

const LABELS: Readonly<Record<string, string>> = {
  latin1: 'windows-1252',
  euckr: 'euc-kr',
  sjis: 'shift_jis',
  cp932: 'shift_jis',
  ujis: 'euc-jp',
  gb2312: 'gbk',
  gbk: 'gbk',
  gb18030: 'gb18030',
  big5: 'big5',
  ucs2: 'utf-16be',
  utf16: 'utf-16be',
  utf16le: 'utf-16le',
  latin2: 'iso-8859-2',
  greek: 'iso-8859-7',
  hebrew: 'iso-8859-8',
  cp1250: 'windows-1250',
  cp1251: 'windows-1251',
  cp1256: 'windows-1256',
  cp1257: 'windows-1257',
  koi8r: 'koi8-r',
  koi8u: 'koi8-u',
  tis620: 'windows-874',
};
const UTF8 = new Set(['utf8', 'utf8mb3', 'utf8mb4', 'ascii', 'binary']);

/** Errors: TRANSFER_COLUMN for a column whose log can't be read. */
export function readingOf(column: SourceColumn, charset: string | null, table: string): Reading {
  const refuse = (problem: string) => fail('TRANSFER_COLUMN', { column: column.name, table, use: 'part of mode cdc', problem });
  const kind = /^\w+/.exec(column.sourceType)![0].toLowerCase();
  if (column.note?.includes('well-known text') || ['inet4', 'inet6', 'vector'].includes(kind))
    refuse(`the log’s form of ${kind} is not read`);
  if (kind === 'json') refuse('the log has MySQL’s binary JSON, which is not read');
  const label = charset === null || UTF8.has(charset) ? null : (LABELS[charset] ?? refuse(`the character set ${charset} is not read`));
  const padded = /^binary\((\d+)\)/.exec(column.sourceType)?.[1];
  return {
    column,
    unsigned: column.sourceType.includes('unsigned'),
    members: /^(enum|set)\(/.test(column.sourceType) ? membersOf(column.sourceType) : [],
    decoder: label === null ? null : new TextDecoder(label, { fatal: true, ignoreBOM: true }),
    padded: padded === undefined ? (kind === 'uuid' ? 16 : null) : Number(padded),
  };
}

function membersOf(sourceType: string): Buffer[] {
  return [...sourceType.matchAll(/'((?:[^']|'')*)'/g)].map(([, member]) => Buffer.from(member!.replaceAll("''", "'")));
}

/** Reads one after another from a row event. */
export class ValueReader {
  at: number;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  bytes(length: number): Buffer {
    if (this.at + length > this.#bytes.length) fail('TRANSFER_READ', { table: 'the binary log', problem: 'a row event ends early' });
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  /** Little endian, up to 6 bytes. */
  uint(length: number): number {
    return length === 0 ? 0 : this.bytes(length).readUIntLE(0, length);
  }

  /** Big endian. */
  big(length: number): number {
    return length === 0 ? 0 : this.bytes(length).readUIntBE(0, length);
  }

  /** A length-encoded integer. */
  count(): number {
    const first = this.uint(1);
    return first < 0xfb ? first : first === 0xfc ? this.uint(2) : first === 0xfd ? this.uint(3) : Number(this.bytes(8).readBigUInt64LE());
  }

  /** A value that is not NULL; null where the warehouse has none for it (zero dates). */
  value({ type, meta }: WireColumn, reading: Reading): Buffer | null {
    const { unsigned } = reading;
    switch (type) {
      case 1:
        return textOf(unsigned ? this.uint(1) : this.bytes(1).readInt8());
      case 2:
        return textOf(unsigned ? this.uint(2) : this.bytes(2).readInt16LE());
      case 9:
        return textOf(unsigned ? this.uint(3) : this.bytes(3).readIntLE(0, 3));
      case 3:
        return textOf(unsigned ? this.uint(4) : this.bytes(4).readInt32LE());
      case 8:
        return textOf(unsigned ? this.bytes(8).readBigUInt64LE() : this.bytes(8).readBigInt64LE());
      case 4:
        return textOf(this.bytes(4).readFloatLE());
      case 5:
        return textOf(this.bytes(8).readDoubleLE());
      case 246:
        return Buffer.from(this.#decimal(meta & 0xff, meta >> 8));
      case 13: {
        const year = this.uint(1);
        return textOf(year === 0 ? 0 : year + 1900);
      }
      case 10: {
        const day = this.uint(3);
        return day === 0 ? null : Buffer.from(date(day >> 9, (day >> 5) & 15, day & 31));
      }
      case 12: {
        const at = Number(this.bytes(8).readBigUInt64LE());
        return at === 0 ? null : Buffer.from(oldDatetime(at));
      }
      case 18:
        return this.#datetime(meta);
      case 7:
      case 17:
        return this.#timestamp(type, meta);
      case 11: {
        const time = this.bytes(3).readIntLE(0, 3);
        const abs = Math.abs(time);
        return Buffer.from(`${time < 0 ? '-' : ''}${two(Math.floor(abs / 10_000))}:${two(Math.floor(abs / 100) % 100)}:${two(abs % 100)}`);
      }
      case 19:
        return Buffer.from(this.#time(meta));
      case 16: {
        const bits = this.bytes((meta >> 8) + ((meta & 0xff) > 0 ? 1 : 0));
        return textOf(BigInt(`0x${bits.toString('hex') || '0'}`));
      }
      case 15:
      case 253:
        return this.#text(this.uint(meta < 256 ? 1 : 2), reading);
      case 252:
        return this.#text(this.uint(meta), reading);
      case 254:
        return this.#string(meta, reading);
      default:
        return fail('TRANSFER_COLUMN', {
          column: reading.column.name,
          table: 'the binary log',
          use: 'part of mode cdc',
          problem: `its form in the log (${type}) is not read`,
        });
    }
  }

  /** The first metadata byte is the real type, with two bits of a long length in it. */
  #string(meta: number, reading: Reading): Buffer {
    const [first, second] = [meta & 0xff, meta >> 8];
    if (first === 247) return reading.members[this.uint(second) - 1] ?? Buffer.alloc(0);
    if (first === 248) {
      const bits = BigInt(`0x${Buffer.from(this.bytes(second)).reverse().toString('hex')}`);
      const members = reading.members.flatMap((member, k) => (((bits >> BigInt(k)) & 1n) === 1n ? [member.toString()] : []));
      return Buffer.from(members.join(','));
    }
    const longest = (first & 0x30) === 0x30 ? second : second | (((first & 0x30) ^ 0x30) << 4);
    return this.#text(this.uint(longest < 256 ? 1 : 2), reading);
  }

  #text(length: number, { column, decoder, padded }: Reading): Buffer {
    let bytes = this.bytes(length);
    if (padded !== null && bytes.length < padded) bytes = Buffer.concat([bytes, Buffer.alloc(padded - bytes.length)]);
    if (column.sourceType === 'uuid') return Buffer.from(uuid(bytes));
    const text = decoder === null ? bytes : decoded(bytes, decoder);
    return column.type === 'BLOB' ? Buffer.from(text.toString('hex')) : text;
  }

  /** Nine digits in four bytes, fewer in fewer, both before and after the point; the first bit is the sign, negatives are inverted. */
  #decimal(precision: number, scale: number): string {
    const whole = precision - scale;
    const size = (digits: number) => Math.floor(digits / 9) * 4 + DIGITS[digits % 9]!;
    const bytes = Buffer.from(this.bytes(size(whole) + size(scale)));
    const negative = (bytes[0]! & 0x80) === 0;
    bytes[0]! ^= 0x80;
    if (negative) for (let k = 0; k < bytes.length; k++) bytes[k] = ~bytes[k]!;
    const reader = new ValueReader(bytes, 0);
    let digits = '';
    const group = (count: number) => {
      if (count > 0) digits += String(reader.big(count === 9 ? 4 : DIGITS[count]!)).padStart(count, '0');
    };
    group(whole % 9);
    for (let k = 0; k < Math.floor(whole / 9); k++) group(9);
    const before = digits.replace(/^0+(?=\d)/, '') || '0';
    digits = '';
    for (let k = 0; k < Math.floor(scale / 9); k++) group(9);
    group(scale % 9);
    return `${negative ? '-' : ''}${before}${scale === 0 ? '' : `.${digits}`}`;
  }

  #fraction(digits: number): string {
    if (digits === 0) return '';
    const bytes = (digits + 1) >> 1;
    return `.${String(this.big(bytes))
      .padStart(bytes * 2, '0')
      .slice(0, digits)}`;
  }

  /** 40 bits: sign, year and month (17), day (5), hour (5), minute (6), second (6). */
  #datetime(digits: number): Buffer | null {
    const packed = this.big(5) - 0x80_0000_0000;
    const fraction = this.#fraction(digits);
    if (packed === 0) return null;
    const clock = packed % 0x2_0000;
    const days = Math.floor(packed / 0x2_0000);
    const months = days >> 5;
    return Buffer.from(
      `${date(Math.floor(months / 13), months % 13, days & 31)} ${two(clock >> 12)}:${two((clock >> 6) & 63)}:${two(clock & 63)}${fraction}`,
    );
  }

  #timestamp(type: number, digits: number): Buffer | null {
    const seconds = type === 7 ? this.uint(4) : this.big(4);
    const fraction = type === 7 ? '' : this.#fraction(digits);
    if (seconds === 0 && !/[1-9]/.test(fraction)) return null;
    return Buffer.from(`${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')}${fraction}`);
  }

  /** 24 bits above 0x800000: hour (10), minute (6), second (6), with the fraction as one number, so that negatives borrow from it. */
  #time(digits: number): string {
    const bytes = (digits + 1) >> 1;
    const unit = 256 ** bytes;
    const packed = this.big(3) * unit + this.big(bytes) - 0x80_0000 * unit;
    const abs = Math.abs(packed);
    const clock = Math.floor(abs / unit);
    const fraction =
      bytes === 0
        ? ''
        : `.${String(abs % unit)
            .padStart(bytes * 2, '0')
            .slice(0, digits)}`;
    return `${packed < 0 ? '-' : ''}${two((clock >> 12) & 1023)}:${two((clock >> 6) & 63)}:${two(clock & 63)}${fraction}`;
  }
}

function decoded(bytes: Buffer, decoder: InstanceType<typeof TextDecoder>): Buffer {
  try {
    return Buffer.from(decoder.decode(bytes));
  } catch {
    return undecodable(bytes);
  }
}

const DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4];

const two = (value: number) => String(value).padStart(2, '0');
const date = (year: number, month: number, day: number) => `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
const textOf = (value: number | bigint) => Buffer.from(String(value));

/** YYYYMMDDhhmmss as a number, before 5.6. */
function oldDatetime(at: number): string {
  const text = String(at).padStart(14, '0');
  return text.replace(/^(....)(..)(..)(..)(..)(..)$/, '$1-$2-$3 $4:$5:$6');
}

/** The log has its sixteen bytes as they are written, whatever order MariaDB keeps them in. */
function uuid(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
