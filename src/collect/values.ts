/**
 * Does the value at some bytes fit a declared type without loss? And instants: text or numbers to microseconds.
 * What a double or a cast would change is handed on as exact text beside the record.
 */
import { type EventTime, type Field, type FieldType, type Micros, utcOffset } from '#core';
import { Kind, type Scan } from './scan.ts';

/** A value that does not fit: what is wrong with it, in words. */
export interface Misfit {
  readonly problem: string;
}

/** `null` fits as it stands; text fits, but must be stored as this text; otherwise a misfit. */
export type Fit = null | string | Misfit;

const INT64 = { max: '9223372036854775807', min: '9223372036854775808' };

export function textAt(bytes: Buffer, from: number, to: number, kind: number): string {
  const text = bytes.toString('utf8', from, to);
  return kind === Kind.escaped ? (JSON.parse(`"${text}"`) as string) : text;
}

/** The bytes of a value as a person should see them in an error: short, quotes restored for strings. */
export function shown(bytes: Buffer, scan: Scan, place: number): string {
  const text = bytes.toString('utf8', scan.from[place]!, Math.min(scan.to[place]!, scan.from[place]! + 80));
  const cut = scan.to[place]! - scan.from[place]! > 80 ? `${text}…` : text;
  const kind = scan.kind[place]!;
  return kind === Kind.string || kind === Kind.escaped ? `"${cut}"` : cut;
}

/** Does the value of the known key at `place` fit its declared type? NULL fits every type that is not required. */
export function fits(bytes: Buffer, scan: Scan, place: number, field: Field, zoneOffset: ZoneOffset): Fit {
  const kind = scan.kind[place]!;
  const from = scan.from[place]!;
  const to = scan.to[place]!;
  switch (field.type) {
    case 'text':
      if (kind === Kind.string || kind === Kind.escaped) return null;
      if (kind === Kind.object || kind === Kind.array) return { problem: 'it is nested; declare the field as json' };
      // DuckDB's reader prints numbers anew: 1.10 as 1.1, -0 as 0.
      return kind === Kind.fraction || (kind === Kind.integer && bytes[from] === 0x2d) ? bytes.toString('latin1', from, to) : null;
    case 'json':
      // The bytes as they were sent, since DuckDB would print numbers and escapes anew.
      return kind === Kind.string || kind === Kind.escaped ? `"${bytes.toString('utf8', from, to)}"` : bytes.toString('utf8', from, to);
    case 'boolean':
      if (kind === Kind.true || kind === Kind.false) return null;
      if (kind === Kind.string && (same(bytes, from, to, 'true') || same(bytes, from, to, 'false'))) return null;
      return { problem: 'true or false was expected' };
    case 'integer':
      return integerFits(bytes, kind, from, to);
    case 'double':
      return doubleFits(bytes, kind, from, to);
    case 'timestamp': {
      const micros = kind === Kind.string ? parseInstant(bytes, from, to, zoneOffset) : Number.NaN;
      if (Number.isNaN(micros)) return { problem: 'text in ISO 8601 was expected' };
      return isPlainInstant(bytes, from, to) ? null : isoOf(micros);
    }
    case 'date':
      if (kind === Kind.string && to - from === 10 && !Number.isNaN(parseInstant(bytes, from, to, zoneOffset))) return null;
      return { problem: 'a date such as 2026-03-01 was expected' };
    default:
      return decimalFits(bytes, kind, from, to, field.type, scan.long[place] === 1);
  }
}

/** 2026-03-01T09:00:00[.123456]Z: what the warehouse reads as the same instant. Anything else is handed on as we read it. */
function isPlainInstant(bytes: Uint8Array, from: number, to: number): boolean {
  const separator = bytes[from + 10];
  const afterSeconds = bytes[from + 19];
  const isLeapSecond = bytes[from + 17] === 0x36;
  if (to - from < 20 || to - from > 27 || isLeapSecond || bytes[to - 1] !== 0x5a) return false;
  return (separator === 0x54 || separator === 0x20) && (afterSeconds === 0x5a || afterSeconds === 0x2e);
}

const MAX_EXACT = 2 ** 53;

function doubleFits(bytes: Buffer, kind: number, from: number, to: number): Fit {
  const text = bytes.toString('latin1', from, to);
  const isNumber = kind === Kind.integer || kind === Kind.fraction || kind === Kind.string;
  if (!isNumber || !/^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return { problem: 'a number was expected' };
  const number = Number(text);
  if (!Number.isFinite(number)) return { problem: 'it is beyond the range of a double' };
  // 2^53 itself may stand for its odd neighbour above.
  if (/^-?\d{16,}$/.test(text) && Math.abs(number) >= MAX_EXACT) {
    return { problem: 'a double drops digits of integers beyond 2^53; declare the field as integer or decimal' };
  }
  return null;
}

function integerFits(bytes: Buffer, kind: number, from: number, to: number): Fit {
  if (kind === Kind.integer && to - from <= 18) return null;
  if (kind !== Kind.integer && kind !== Kind.fraction && kind !== Kind.string) return { problem: 'an integer was expected' };
  const match = /^(-?)0*(\d+)(\.0+)?$/.exec(bytes.toString('latin1', from, to));
  if (match === null) {
    if (kind !== Kind.fraction) return { problem: 'an integer was expected' };
    return { problem: /e/i.test(bytes.toString('latin1', from, to)) ? 'it is written with an exponent' : 'it has a fraction' };
  }
  const [, sign, digits] = match as unknown as [string, string, string];
  const most = sign === '-' ? INT64.min : INT64.max;
  if (digits.length > most.length || (digits.length === most.length && digits > most)) {
    return { problem: 'it is beyond 64 bits; declare the field as decimal(38,0) or text' };
  }
  return match[3] === undefined ? null : sign + digits;
}

function decimalFits(bytes: Buffer, kind: number, from: number, to: number, type: FieldType, isLong: boolean): Fit {
  if (kind !== Kind.integer && kind !== Kind.fraction && kind !== Kind.string) return { problem: 'a number was expected' };
  const { precision, scale } = decimalOf(type);
  if (kind === Kind.integer && to - from <= precision - scale) return null;
  if (kind === Kind.fraction && !isLong && isPlainlyWithin(bytes, from, to, precision - scale, scale)) return null;
  const text = bytes.toString('latin1', from, to);
  const match = /^-?0*(\d*)(?:\.(\d*?)0*)?$/.exec(text);
  if (match === null || !/\d/.test(text)) {
    return { problem: /e/i.test(text) && kind !== Kind.string ? 'it is written with an exponent' : 'a decimal number was expected' };
  }
  if ((match[2]?.length ?? 0) > scale) return { problem: `it has more than ${scale} digits after the point` };
  if (match[1]!.length > precision - scale) return { problem: `it has more than ${precision - scale} digits before the point` };
  // DuckDB's reader prints numbers as small as 0.00001 as 1e-05.
  return isLong || (kind === Kind.fraction && isTiny(text)) ? text : null;
}

const isTiny = (text: string): boolean => /^-?0\.0000/.test(text);

/** Is a JSON fraction without exponent short enough as it is written? What is not may still fit, by zeros that don't count. */
function isPlainlyWithin(bytes: Buffer, from: number, to: number, before: number, after: number): boolean {
  let point = from;
  while (point < to && bytes[point] !== 0x2e) point++;
  // Up to four digits after the point no number is tiny.
  if (point - from > before || to - point - 1 > Math.min(after, 4)) return false;
  for (let k = point + 1; k < to; k++) if (bytes[k]! > 0x39) return false;
  return point < to;
}

const decimals = new Map<FieldType, { precision: number; scale: number }>();

export function decimalOf(type: FieldType): { precision: number; scale: number } {
  let decimal = decimals.get(type);
  if (decimal === undefined) {
    const match = /^decimal\((\d+),(\d+)\)$/.exec(type);
    decimal = { precision: Number(match?.[1] ?? 18), scale: Number(match?.[2] ?? 2) };
    decimals.set(type, decimal);
  }
  return decimal;
}

function same(bytes: Buffer, from: number, to: number, text: string): boolean {
  if (to - from !== text.length) return false;
  for (let k = 0; k < text.length; k++) if (bytes[from + k] !== text.charCodeAt(k)) return false;
  return true;
}

/** Minutes that a wall-clock time (as if it were UTC, in ms) is ahead of UTC in the workspace's zone. */
export type ZoneOffset = (wallClockMillis: number) => number;

export function zoneOffsetOf(timeZone: string): ZoneOffset {
  if (timeZone === 'UTC') return () => 0;
  const exact = utcOffset(timeZone);
  const offsetAt = (instant: number): number => Math.round(exact(instant) / 60_000);
  let cachedHour = Number.NaN;
  let cached = 0;
  return (wall) => {
    const hour = Math.floor(wall / 900_000);
    if (hour === cachedHour) return cached;
    const guess = offsetAt(wall);
    cached = offsetAt(wall - guess * 60_000);
    cachedHour = hour;
    return cached;
  };
}

const two = (b: Uint8Array, i: number): number => {
  const tens = b[i]! - 0x30;
  const ones = b[i + 1]! - 0x30;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
};

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Days from 1970-01-01 of a civil date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/**
 * ISO 8601 text (date, or date and time with T or space; offset Z, ±hh:mm, ±hhmm, ±hh, or none) to microseconds since 1970, NaN if it is
 * none. A time without offset is read in the workspace's zone. Digits beyond microseconds are cut. A leap second counts as the next second.
 */
export function parseInstant(b: Uint8Array, from: number, to: number, zoneOffset: ZoneOffset): Micros {
  if (to - from < 10 || to - from > 40) return Number.NaN;
  const year = two(b, from) * 100 + two(b, from + 2);
  const month = two(b, from + 5);
  const day = two(b, from + 8);
  if (b[from + 4] !== 0x2d || b[from + 7] !== 0x2d || !(month >= 1 && month <= 12) || !(day >= 1)) return Number.NaN;
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 1 : 0;
  if (day > DAYS[month - 1]! + leap) return Number.NaN;
  let seconds = daysFromCivil(year, month, day) * 86_400;
  let micros = 0;
  let i = from + 10;
  if (i < to) {
    if ((b[i] !== 0x54 && b[i] !== 0x74 && b[i] !== 0x20) || to - i < 6 || b[i + 3] !== 0x3a) return Number.NaN;
    const hour = two(b, i + 1);
    const minute = two(b, i + 4);
    if (!(hour <= 23) || !(minute <= 59)) return Number.NaN;
    seconds += hour * 3600 + minute * 60;
    i += 6;
    if (i < to && b[i] === 0x3a) {
      const second = two(b, i + 1);
      if (i + 3 > to || !(second <= 60)) return Number.NaN;
      seconds += second;
      i += 3;
      if (i < to && (b[i] === 0x2e || b[i] === 0x2c)) {
        let unit = 100_000;
        const first = ++i;
        while (i < to && b[i]! >= 0x30 && b[i]! <= 0x39) {
          micros += (b[i]! - 0x30) * unit;
          unit = Math.floor(unit / 10);
          i++;
        }
        if (i === first) return Number.NaN;
      }
    }
  }
  let offset: number;
  if (i === to) offset = zoneOffset(seconds * 1000);
  else if ((b[i] === 0x5a || b[i] === 0x7a) && i + 1 === to) offset = 0;
  else offset = parseOffset(b, i, to);
  return (seconds - offset * 60) * 1_000_000 + micros;
}

function parseOffset(b: Uint8Array, i: number, to: number): number {
  const sign = b[i] === 0x2b ? 1 : b[i] === 0x2d ? -1 : Number.NaN;
  const hours = two(b, i + 1);
  let minutes = 0;
  if (to === i + 6 && b[i + 3] === 0x3a) minutes = two(b, i + 4);
  else if (to === i + 5) minutes = two(b, i + 3);
  else if (to !== i + 3) return Number.NaN;
  return hours <= 23 && minutes <= 59 ? sign * (hours * 60 + minutes) : Number.NaN;
}

/** An instant as the warehouse reads it exactly. */
export function isoOf(micros: Micros): string {
  const seconds = Math.floor(micros / 1_000_000);
  const rest = micros - seconds * 1_000_000;
  const iso = new Date(seconds * 1000).toISOString();
  return `${iso.slice(0, -5)}.${String(rest).padStart(6, '0')}Z`;
}

/** Microseconds in a unit of event time. */
export const TIME_SCALE = { s: 1_000_000, ms: 1000, us: 1 } as const;

/** The event time at `place` in microseconds, or a misfit. `now` is the server's clock in microseconds. */
export function eventTime(bytes: Buffer, scan: Scan, place: number, time: EventTime, now: Micros, zoneOffset: ZoneOffset): Micros | Misfit {
  const kind = scan.kind[place]!;
  const from = scan.from[place]!;
  const to = scan.to[place]!;
  let micros = Number.NaN;
  if (time.unit === 'iso') {
    if (kind === Kind.string) micros = parseInstant(bytes, from, to, zoneOffset);
    if (Number.isNaN(micros)) return { problem: `is no instant in ISO 8601${otherUnit(bytes, scan, place, time, now)}` };
  } else {
    if (kind !== Kind.integer && kind !== Kind.fraction && kind !== Kind.string) return { problem: `is no number of ${time.unit}` };
    const text = bytes.toString('latin1', from, to);
    const number = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isNaN(number)) return { problem: `is no number of ${time.unit}` };
    micros = Math.round(number * TIME_SCALE[time.unit]);
  }
  if (micros < time.earliest)
    return { problem: `is before ${isoOf(time.earliest).slice(0, 10)}${otherUnit(bytes, scan, place, time, now)}` };
  if (!(micros <= now + time.ahead)) {
    return { problem: `is more than ${Math.round(time.ahead / 3_600_000_000)} h ahead${otherUnit(bytes, scan, place, time, now)}` };
  }
  return micros;
}

/** If the number would make sense in another unit, says so: seconds sent for milliseconds is the usual mistake. */
function otherUnit(bytes: Buffer, scan: Scan, place: number, time: EventTime, now: Micros): string {
  const number = Number(bytes.toString('latin1', scan.from[place]!, scan.to[place]!));
  for (const unit of ['s', 'ms', 'us'] as const) {
    const micros = number * TIME_SCALE[unit];
    if (unit !== time.unit && micros >= time.earliest && micros <= now + time.ahead)
      return ` (it looks like ${unit}, the topic says ${time.unit})`;
  }
  return '';
}
