// The records that most clients send most of the time, taken without a look back: flat JSON objects whose values fit their
// declared types as they stand. `run` checks them and writes their lines of the log. At the first record that is anything else
// (nested, unknown key, misfit, escape that needs care, broken) it stops: scan.ts and values.ts decide about that one, and they
// are the authority on all; whatever is accepted here, they would accept with the same line (test/collect/plain.test.ts).

// Memory: the lane's fields, the serial at which a field was last seen, the fields' literals, bytes in, lines out.
const FIELD_BYTES: usize = 16;
const FIELDS: usize = 1024;
const SEEN: usize = 6144;
const STAMP: usize = 8128;
const IN: usize = 65536;
const OUT: usize = 65536 + 262144 + 64;
const OUT_END: usize = OUT + 393216;
/** Digits of position, times and flags, the tabs, the line's end, and what a copy of 16 bytes may write too far. */
const STAMPS: usize = 128;

const QUOTE: u8 = 0x22;
const COMMA: u8 = 0x2c;
const ZERO: u8 = 0x30;

// What a value is.
const STRING: i32 = 1;
const ESCAPED: i32 = 2;
const INTEGER: i32 = 3;
const FRACTION: i32 = 4;
const BOOLEAN: i32 = 5;
const NULL: i32 = 6;

// A field's type; others than these are never plain.
const UNDECLARED: u8 = 0;
const TEXT: u8 = 1;
const INTEGER_64: u8 = 2;
const DOUBLE: u8 = 3;
const DECIMAL: u8 = 4;
const TRUTH: u8 = 5;
const TIMESTAMP: u8 = 6;
const DATE: u8 = 7;
const CHECKED_AS_EVENT_TIME: u8 = 9;

let fields: i32 = 0;
let requiredFields: i32 = 0;
let idPlace: i32 = -1;
let timePlace: i32 = -1;
/** 0: ISO 8601; else microseconds in one unit. */
let timeScale: f64 = 0;
let earliest: f64 = 0;
let recordBytes: usize = 0;

let serial: u32 = 0;
let end: usize = 0;
let latest: f64 = 0;
let kind: i32 = 0;
let from: usize = 0;
let to: usize = 0;
let point: usize = 0;
let idFrom: usize = 0;
let idTo: usize = 0;
let time: i64 = -1;
let after: usize = 0;
let written: usize = 0;
let withoutId: i32 = 0;

/** The place behind the last record that was taken, the bytes of lines that stand at OUT, and how many of the records carry no id. */
export function consumed(): usize {
  return after;
}
export function lines(): usize {
  return written;
}
export function undeduplicated(): i32 {
  return withoutId;
}

export function configure(count: i32, required: i32, id: i32, timeAt: i32, scale: f64, first: f64, largest: usize): void {
  fields = count;
  requiredFields = required;
  idPlace = id;
  timePlace = timeAt;
  timeScale = scale;
  earliest = first;
  recordBytes = largest;
}

/** Takes records from `at` on, `most` of them, whose lines begin at `position`; gives how many. */
export function run(at: usize, until: usize, array: bool, most: i32, position: i64, received: i64, last: f64, allowNoId: bool): i32 {
  end = until;
  latest = last;
  written = 0;
  withoutId = 0;
  after = at;
  const stampEnd = digits(STAMP, received);
  let out = OUT;
  let taken = 0;
  let i = at;
  while (taken < most) {
    const next = record(i);
    if (next == 0) break;
    const length = next - i;
    if (length > recordBytes || out + STAMPS + length + (idTo - idFrom) > OUT_END) break;
    if (idTo == 0) {
      if (!allowNoId) break;
      withoutId++;
    }
    let o = digits(out, position + (out - OUT));
    store<u8>(o++, 0x09);
    o = copy(o, STAMP, stampEnd - STAMP);
    store<u8>(o++, 0x09);
    if (time >= 0) o = digits(o, time);
    store<u8>(o++, 0x09);
    if (idTo != 0) o = copy(o, idFrom, idTo - idFrom);
    // No flag, no exact text.
    store<u32>(o, 0x09093009);
    o = copy(o + 4, i, length);
    store<u8>(o, 0x0a);
    out = o + 1;
    taken++;
    after = next;
    i = space(next);
    if (array) {
      if (i >= end || load<u8>(i) != COMMA) break;
      i = space(i + 1);
    }
    if (i >= end) break;
  }
  written = out - OUT;
  return taken;
}

/** Between records line breaks and tabs are fine; within one they would have to be replaced. */
function space(at: usize): usize {
  let i = at;
  while (i < end) {
    const c = load<u8>(i);
    if (c != 0x20 && c != 0x0a && c != 0x0d && c != 0x09) break;
    i++;
  }
  return i;
}

function gap(at: usize): usize {
  let i = at;
  while (i < end && load<u8>(i) == 0x20) i++;
  return i;
}

/** The place behind the record at `at`, or 0 when it is not plain. Bytes behind `end` are zeros or the next record's, never a reason to accept. */
function record(at: usize): usize {
  serial++;
  idTo = 0;
  idFrom = 0;
  time = -1;
  if (at >= end || load<u8>(at) != 0x7b) return 0;
  let required = 0;
  let i = gap(at + 1);
  let expected = 0;
  if (load<u8>(i) == 0x7d) return i < end && requiredFields == 0 ? i + 1 : 0;
  while (true) {
    let place = expected;
    if (place < fields && literalStands(place, i)) {
      i += load<u16>(FIELDS + <usize>place * FIELD_BYTES + 4);
    } else {
      place = placeOf(i);
      if (place < 0) return 0;
      i = gap(to + 1);
      if (load<u8>(i) != 0x3a) return 0;
      i++;
    }
    expected = place + 1;
    const seen = SEEN + (<usize>place << 2);
    if (load<u32>(seen) == serial) return 0;
    store<u32>(seen, serial);
    i = value(gap(i));
    if (i == 0 || i > end) return 0;
    const field = FIELDS + <usize>place * FIELD_BYTES;
    if (kind != NULL) {
      if (!fits(field)) return 0;
      required += load<u8>(field + 7);
    }
    if (place == idPlace && !takeId()) return 0;
    if (place == timePlace && !takeTime()) return 0;
    i = gap(i);
    if (i >= end) return 0;
    const c = load<u8>(i);
    if (c == 0x7d) return required == requiredFields ? i + 1 : 0;
    if (c != COMMA) return 0;
    i = gap(i + 1);
  }
}

/** Does `"name":` of the field stand at i? Literals are padded with zeros to eight bytes. */
function literalStands(place: i32, i: usize): bool {
  const field = FIELDS + <usize>place * FIELD_BYTES;
  let literal: usize = load<u32>(field);
  let left: usize = load<u16>(field + 4);
  if (left == 0) return false;
  while (left >= 8) {
    if (load<u64>(literal) != load<u64>(i)) return false;
    literal += 8;
    i += 8;
    left -= 8;
  }
  return left == 0 || ((load<u64>(literal) ^ load<u64>(i)) << (64 - (<u64>left << 3))) == 0;
}

/** The known field whose key stands at i (sets `to` at its closing quote), or -1. */
function placeOf(i: usize): i32 {
  if (i >= end || load<u8>(i) != QUOTE) return -1;
  const close = string(i + 1);
  if (close == 0 || kind != STRING) return -1;
  to = close;
  const length = close - i;
  for (let place = 0; place < fields; place++) {
    const field = FIELDS + <usize>place * FIELD_BYTES;
    if (load<u16>(field + 4) != <u16>(length + 2)) continue;
    const literal: usize = load<u32>(field);
    let k: usize = 1;
    while (k < length && load<u8>(literal + k) == load<u8>(i + k)) k++;
    if (k == length) return place;
  }
  return -1;
}

/** The closing quote of the string whose first byte stands at `at`, or 0. Sets `kind`. */
function string(at: usize): usize {
  kind = STRING;
  let i = at;
  while (true) {
    let mask: u32;
    while (true) {
      const part = v128.load(i);
      const special = v128.or(
        v128.or(i8x16.eq(part, i8x16.splat(0x22)), i8x16.eq(part, i8x16.splat(0x5c))),
        i8x16.lt_u(part, i8x16.splat(0x20)),
      );
      mask = i8x16.bitmask(special);
      if (mask != 0) break;
      i += 16;
      if (i >= end) return 0;
    }
    i += ctz(mask);
    if (i >= end) return 0;
    const c = load<u8>(i);
    if (c == QUOTE) return i;
    if (c != 0x5c) return 0;
    kind = ESCAPED;
    const e = load<u8>(i + 1);
    if (e == 0x75) {
      const unit = hex4(i + 2);
      if (unit <= 0 || (unit >= 0xd800 && unit <= 0xdfff)) return 0;
      i += 6;
    } else if (e == 0x22 || e == 0x5c || e == 0x2f || e == 0x62 || e == 0x66 || e == 0x6e || e == 0x72 || e == 0x74) i += 2;
    else return 0;
  }
}

function hex4(i: usize): i32 {
  let value: i32 = 0;
  for (let k: usize = 0; k < 4; k++) {
    const c: i32 = load<u8>(i + k);
    const letter = c | 0x20;
    const digit = c >= 0x30 && c <= 0x39 ? c - 0x30 : letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
    if (digit < 0) return -1;
    value = (value << 4) | digit;
  }
  return value;
}

/** The place behind the scalar at i, or 0. Sets `kind`, and `from` and `to` (without quotes). */
function value(i: usize): usize {
  if (i >= end) return 0;
  const c = load<u8>(i);
  from = i;
  if (c == QUOTE) {
    from = i + 1;
    to = string(i + 1);
    return to == 0 ? 0 : to + 1;
  }
  if (c == 0x2d || <u8>(c - ZERO) < 10) return number(i);
  const four = load<u32>(i);
  if (four == 0x65757274) {
    kind = BOOLEAN;
    return i + 4;
  }
  if (four == 0x6c6c756e) {
    kind = NULL;
    return i + 4;
  }
  if (four == 0x736c6166 && load<u8>(i + 4) == 0x65) {
    kind = BOOLEAN;
    return i + 5;
  }
  return 0;
}

function digitRun(at: usize): usize {
  let i = at;
  while (<u8>(load<u8>(i) - ZERO) < 10) i++;
  return i;
}

/** At most 15 digits and no exponent: what a double keeps. */
function number(at: usize): usize {
  const first = load<u8>(at) == 0x2d ? at + 1 : at;
  let i = digitRun(first);
  if (i == first || (load<u8>(first) == ZERO && i - first > 1)) return 0;
  kind = INTEGER;
  point = 0;
  if (load<u8>(i) == 0x2e) {
    kind = FRACTION;
    point = i;
    i = digitRun(point + 1);
    if (i == point + 1 || i - at > 15) return 0;
  }
  if ((load<u8>(i) | 0x20) == 0x65) return 0;
  // The digits may go on behind the end.
  if (i >= end) return 0;
  to = i;
  return i;
}

function fits(field: usize): bool {
  switch (load<u8>(field + 6)) {
    case UNDECLARED:
    case CHECKED_AS_EVENT_TIME:
      return true;
    case TEXT:
      return kind != FRACTION && !(kind == INTEGER && load<u8>(from) == 0x2d);
    case INTEGER_64:
      return kind == INTEGER && to - from <= 18;
    case DOUBLE:
      return kind == FRACTION || (kind == INTEGER && to - from <= 15);
    case DECIMAL: {
      const before: usize = load<u8>(field + 8);
      if (kind == INTEGER) return to - from <= before;
      return kind == FRACTION && point - from <= before && to - point - 1 <= <usize>load<u8>(field + 9);
    }
    case TRUTH:
      return kind == BOOLEAN;
    case TIMESTAMP:
      return kind == STRING && instant() >= 0;
    case DATE:
      return kind == STRING && to - from == 10 && day() != NO_DAY;
    default:
      return false;
  }
}

function takeId(): bool {
  if (kind == NULL) return true;
  if ((kind != STRING && kind != INTEGER) || to == from || to - from > 200) return false;
  idFrom = from;
  idTo = to;
  return true;
}

function takeTime(): bool {
  if (kind == NULL) return true;
  let micros: f64;
  if (timeScale == 0) {
    const found = kind == STRING ? instant() : -1;
    if (found < 0) return false;
    micros = <f64>found;
  } else {
    if (kind != INTEGER || to - from > 15) return false;
    let whole: i64 = 0;
    for (let k = from; k < to; k++) {
      const digit = <u8>(load<u8>(k) - ZERO);
      if (digit > 9) return false;
      whole = whole * 10 + digit;
    }
    micros = <f64>whole * timeScale;
  }
  if (!(micros >= earliest && micros >= 0 && micros <= latest)) return false;
  time = <i64>micros;
  return true;
}

function two(i: usize): i32 {
  const tens: i32 = load<u8>(i) - 0x30;
  const ones: i32 = load<u8>(i + 1) - 0x30;
  return <u32>tens > 9 || <u32>ones > 9 ? -1 : tens * 10 + ones;
}

const NO_DAY: i32 = i32.MIN_VALUE;

/** Days from 1970-01-01 of the date at `from`, or NO_DAY (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
function day(): i32 {
  const century = two(from);
  const rest = two(from + 2);
  const month = two(from + 5);
  const date = two(from + 8);
  if (century < 0 || rest < 0 || load<u8>(from + 4) != 0x2d || load<u8>(from + 7) != 0x2d) return NO_DAY;
  if (month < 1 || month > 12 || date < 1) return NO_DAY;
  const year = century * 100 + rest;
  const isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  const longest = month == 2 ? (isLeap ? 29 : 28) : month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
  if (date > longest) return NO_DAY;
  const y = month <= 2 ? year - 1 : year;
  // A year before 0 comes only of January and February of the year 0.
  const era = y >= 0 ? y / 400 : -1;
  const yearOfEra = y - era * 400;
  const dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + date - 1;
  return era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468;
}

/** Microseconds of 2026-03-01T09:00:00[.123456]Z at from..to, or -1 when it is written in any other way or lies before 1970. */
function instant(): i64 {
  const length = to - from;
  if (length < 20 || length > 27 || load<u8>(to - 1) != 0x5a) return -1;
  const separator = load<u8>(from + 10);
  if ((separator != 0x54 && separator != 0x20) || load<u8>(from + 13) != 0x3a || load<u8>(from + 16) != 0x3a) return -1;
  const days = day();
  const hour = two(from + 11);
  const minute = two(from + 14);
  const second = two(from + 17);
  if (days < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return -1;
  let micros: i64 = 0;
  if (length > 20) {
    if (load<u8>(from + 19) != 0x2e || length == 21) return -1;
    let unit: i64 = 100000;
    for (let k = from + 20; k < to - 1; k++) {
      const digit = <u8>(load<u8>(k) - ZERO);
      if (digit > 9) return -1;
      micros += <i64>digit * unit;
      unit /= 10;
    }
  }
  return (<i64>days * 86400 + hour * 3600 + minute * 60 + second) * 1000000 + micros;
}

/** Copies in steps of 16 bytes: up to 15 more than asked for are written. */
function copy(target: usize, source: usize, length: usize): usize {
  for (let k: usize = 0; k < length; k += 16) v128.store(target + k, v128.load(source + k));
  return target + length;
}

function digits(at: usize, value: i64): usize {
  if (value < 100000000) return fewDigits(at, <u32>value);
  const high = value / 100000000;
  const next = digits(at, high);
  eightDigits(next, <u32>(value - high * 100000000));
  return next + 8;
}

function eightDigits(at: usize, value: u32): void {
  let rest = value;
  for (let k: i32 = 7; k >= 0; k--) {
    const shorter = rest / 10;
    store<u8>(at + k, <u8>(ZERO + (rest - shorter * 10)));
    rest = shorter;
  }
}

function fewDigits(at: usize, value: u32): usize {
  let length: usize = 1;
  for (let power: u32 = 10; length < 8 && value >= power; power *= 10) length++;
  let rest = value;
  for (let k: i32 = <i32>length - 1; k >= 0; k--) {
    const shorter = rest / 10;
    store<u8>(at + k, <u8>(ZERO + (rest - shorter * 10)));
    rest = shorter;
  }
  return at + length;
}
