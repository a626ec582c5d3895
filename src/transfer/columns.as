// A slice's rows (rows.ts) as columns: what the warehouse takes in without looking at a text again. Only values that are written the
// way databases write them are taken; at the first one that is anything else the slice is left to the warehouse's reader of rows,
// which is the authority on all (test/transfer/columns.test.ts).

// Memory: a column's state each, the rows that are to be read, blocks that columns are filled into.
const COLUMNS: usize = 1024;
const COLUMN_BYTES: usize = 64;
const IN: usize = 65536;
/** For rows, of one call of `add`. */
export const ROOM: i32 = 9437184;
const BLOCKS: usize = IN + <usize>ROOM + 65536;
const BLOCK: usize = 65536;
/** The next block of the column; the bytes that are filled. */
const HEADER: usize = 16;
/** What a copy of 16 bytes may write too far. */
const SLACK: usize = 16;

const QUOTE: u8 = 0x22;
const COMMA: u8 = 0x2c;
const LF: u8 = 0x0a;
const MINUS: u8 = 0x2d;
const ZERO: u8 = 0x30;

// A column's kind.
const TEXT: u8 = 0;
const INTEGER: u8 = 1;
const DECIMAL: u8 = 2;
const DATE: u8 = 3;

// A column's state. First comes what columns.ts sets: kind, bytes of a value, scale, whether instants name their zone, bounds.
const BYTES: usize = 1;
const SCALE: usize = 2;
const ZONED: usize = 3;
const LOW: usize = 8;
const HIGH: usize = 16;
const FIRST: usize = 24;
const AT: usize = 28;
const END: usize = 32;
const VALUES: usize = 36;
/** A bit for each row, from the first NULL on; else 0. */
const PRESENT: usize = 40;
/** Texts that come again and again are numbered; 0 once they are too many. */
const DICTIONARY: usize = 44;
const ENTRIES: usize = 48;
const ENTRIES_END: usize = 52;

// A dictionary is a block: slots by hash (number + 1), each entry's place, the entries as Parquet has them.
const SLOTS: usize = HEADER;
const SLOT_MASK: u64 = 511;
const PLACES: usize = SLOTS + 1024;
const TEXTS: usize = PLACES + 1024;
const MOST_ENTRIES: u32 = 256;
const LONGEST_ENTRY: usize = 64;

const MOST_ROWS: u32 = ((65536 - 16) * 8) as u32;
const LONGEST_TEXT: usize = BLOCK - HEADER - SLACK - 4;

let columns: i32 = 0;
let rows: u32 = 0;
let next: usize = BLOCKS;
let pos: usize = 0;
let value: i64 = 0;

export function begin(count: i32): void {
  columns = count;
  rows = 0;
  next = BLOCKS;
  for (let k = 0; k < count; k++) {
    const column = COLUMNS + <usize>k * COLUMN_BYTES;
    memory.fill(column + FIRST, 0, COLUMN_BYTES - FIRST);
    if (load<u8>(column) == TEXT) newDictionary(column);
  }
}

export function taken(): u32 {
  return rows;
}

/** Takes all rows of the bytes that stand at IN. False when one of them is not plain: then `begin` is next. */
export function add(length: usize): bool {
  const end = IN + length;
  // Behind it nothing looks like a value.
  store<u64>(end, 0);
  pos = IN;
  while (pos < end) {
    if (rows >= MOST_ROWS || !row()) return false;
    rows++;
  }
  for (let k = 0; k < columns; k++) {
    const column = COLUMNS + <usize>k * COLUMN_BYTES;
    if (load<u32>(column + AT) != 0) close(column);
  }
  return pos == end;
}

function row(): bool {
  const last = columns - 1;
  for (let k = 0; k <= last; k++) {
    const column = COLUMNS + <usize>k * COLUMN_BYTES;
    const c = load<u8>(pos);
    if (c == COMMA || c == LF) {
      if (!absent(column)) return false;
    } else {
      const kind = load<u8>(column);
      if (kind == TEXT) {
        if (!text(column)) return false;
      } else {
        if (kind == INTEGER) {
          if (!integer(column)) return false;
        } else if (kind == DECIMAL) {
          if (!decimal(column)) return false;
        } else if (kind == DATE) {
          if (!date()) return false;
        } else if (!timestamp(column)) return false;
        const bytes: usize = load<u8>(column + BYTES);
        const at = room(column, bytes);
        if (at == 0) return false;
        if (bytes == 4) store<i32>(at, <i32>value);
        else store<i64>(at, value);
        store<u32>(column + AT, <u32>(at + bytes));
      }
      const bits: usize = load<u32>(column + PRESENT);
      if (bits != 0) setBit(bits, rows);
      store<u32>(column + VALUES, load<u32>(column + VALUES) + 1);
    }
    if (load<u8>(pos) != (k == last ? LF : COMMA)) return false;
    pos++;
  }
  return true;
}

function absent(column: usize): bool {
  if (load<u32>(column + PRESENT) != 0) return true;
  const block = allocate();
  if (block == 0) return false;
  const bits = block + HEADER;
  memory.fill(bits, 0, BLOCK - HEADER);
  memory.fill(bits, 0xff, rows >> 3);
  for (let k: u32 = rows & ~7; k < rows; k++) setBit(bits, k);
  store<u32>(column + PRESENT, <u32>bits);
  return true;
}

@inline
function setBit(bits: usize, k: u32): void {
  const at = bits + (k >> 3);
  store<u8>(at, load<u8>(at) | <u8>(<u32>1 << (k & 7)));
}

// Blocks

function allocate(): usize {
  if (next + BLOCK > <usize>memory.size() << 16 && memory.grow(16) < 0) return 0;
  const block = next;
  next += BLOCK;
  return block;
}

function close(column: usize): void {
  const block: usize = load<u32>(column + END) + <u32>SLACK - <u32>BLOCK;
  store<u32>(block + 4, load<u32>(column + AT) - <u32>(block + HEADER));
}

/** Where so many bytes can be written; 0 where there is no memory for them. */
@inline
function room(column: usize, bytes: usize): usize {
  const at: usize = load<u32>(column + AT);
  return at + bytes <= <usize>load<u32>(column + END) ? at : newBlock(column);
}

function newBlock(column: usize): usize {
  const block = allocate();
  if (block == 0) return 0;
  store<u64>(block, 0);
  if (load<u32>(column + AT) == 0) store<u32>(column + FIRST, <u32>block);
  else {
    close(column);
    store<u32>(<usize>load<u32>(column + END) + SLACK - BLOCK, <u32>block);
  }
  store<u32>(column + AT, <u32>(block + HEADER));
  store<u32>(column + END, <u32>(block + BLOCK - SLACK));
  return block + HEADER;
}

// Texts

const ONES: u64 = 0x0101010101010101;
const HIGHS: u64 = 0x8080808080808080;

/** Has one of the eight bytes the value? */
@inline
function has(word: u64, byte: u64): u64 {
  const x = word ^ (ONES * byte);
  return (x - ONES) & ~x & HIGHS;
}

function text(column: usize): bool {
  let from = pos;
  let to = pos;
  if (load<u8>(pos) == QUOTE) {
    from++;
    let i = from;
    to = from;
    while (true) {
      const c = load<u8>(i);
      if (c == 0) return false;
      if (c == QUOTE) {
        i++;
        if (load<u8>(i) != QUOTE) break;
      }
      store<u8>(to, c);
      to++;
      i++;
    }
    pos = i;
  } else {
    while (true) {
      const word = load<u64>(to);
      const found = has(word, COMMA) | has(word, LF) | has(word, QUOTE) | has(word, 0);
      if (found != 0) {
        to += <usize>(ctz(found) >> 3);
        break;
      }
      to += 8;
    }
    pos = to;
  }
  return put(column, from, to - from);
}

function put(column: usize, from: usize, length: usize): bool {
  if (load<u32>(column + DICTIONARY) != 0) {
    const number = length > LONGEST_ENTRY ? -1 : numberOf(column, from, length);
    if (number >= 0) {
      const at = room(column, 1);
      if (at == 0) return false;
      store<u8>(at, <u8>number);
      store<u32>(column + AT, <u32>(at + 1));
      return true;
    }
    if (!spellOut(column)) return false;
  }
  return spell(column, from, length);
}

@inline
function spell(column: usize, from: usize, length: usize): bool {
  if (length > LONGEST_TEXT) return false;
  const at = room(column, length + 4);
  if (at == 0) return false;
  store<u32>(at, <u32>length);
  copy(at + 4, from, length);
  store<u32>(column + AT, <u32>(at + 4 + length));
  return true;
}

/** Up to 15 bytes more are read and written. */
@inline
function copy(to: usize, from: usize, length: usize): void {
  for (let k: usize = 0; k < length; k += 16) v128.store(to + k, v128.load(from + k));
}

function newDictionary(column: usize): void {
  const block = allocate();
  if (block != 0) memory.fill(block + SLOTS, 0, PLACES - SLOTS);
  store<u32>(column + DICTIONARY, <u32>block);
  store<u32>(column + ENTRIES, 0);
  store<u32>(column + ENTRIES_END, <u32>(block + TEXTS));
}

/** The number of a text, which is given one if there is room; -1 if there is none. */
function numberOf(column: usize, from: usize, length: usize): i32 {
  const dictionary: usize = load<u32>(column + DICTIONARY);
  let slot = hashOf(from, length);
  let number: u32 = load<u16>(dictionary + SLOTS + (<usize>slot << 1));
  while (number != 0) {
    const entry: usize = load<u32>(dictionary + PLACES + (<usize>(number - 1) << 2));
    if (load<u32>(entry) == <u32>length && equal(entry + 4, from, length)) return <i32>(number - 1);
    slot = (slot + 1) & SLOT_MASK;
    number = load<u16>(dictionary + SLOTS + (<usize>slot << 1));
  }
  const count = load<u32>(column + ENTRIES);
  const entry: usize = load<u32>(column + ENTRIES_END);
  if (count == MOST_ENTRIES || entry + 4 + length + SLACK > dictionary + BLOCK) return -1;
  store<u16>(dictionary + SLOTS + (<usize>slot << 1), <u16>(count + 1));
  store<u32>(dictionary + PLACES + (<usize>count << 2), <u32>entry);
  store<u32>(entry, <u32>length);
  copy(entry + 4, from, length);
  store<u32>(column + ENTRIES, count + 1);
  store<u32>(column + ENTRIES_END, <u32>(entry + 4 + length));
  return <i32>count;
}

@inline
function head(at: usize, length: usize): u64 {
  return length >= 8 ? load<u64>(at) : load<u64>(at) & ((<u64>1 << (<u64>length << 3)) - 1);
}

@inline
function hashOf(from: usize, length: usize): u64 {
  let h = head(from, length) ^ (<u64>length * 0x9e3779b97f4a7c15);
  if (length > 8) h = rotl<u64>(h * 0x9e3779b97f4a7c15, 31) ^ load<u64>(from + length - 8);
  return (h * 0xd6e8feb86659fd93) >> 55;
}

@inline
function equal(a: usize, b: usize, length: usize): bool {
  let left = length;
  while (left >= 8) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
    left -= 8;
  }
  return head(a, left) == head(b, left);
}

/** Numbers become texts again: there are too many for a dictionary. */
function spellOut(column: usize): bool {
  const dictionary: usize = load<u32>(column + DICTIONARY);
  store<u32>(column + DICTIONARY, 0);
  if (load<u32>(column + AT) == 0) return true;
  close(column);
  let block: usize = load<u32>(column + FIRST);
  store<u32>(column + FIRST, 0);
  store<u32>(column + AT, 0);
  store<u32>(column + END, 0);
  while (block != 0) {
    const end = block + HEADER + load<u32>(block + 4);
    for (let at = block + HEADER; at < end; at++) {
      const entry: usize = load<u32>(dictionary + PLACES + (<usize>load<u8>(at) << 2));
      if (!spell(column, entry + 4, load<u32>(entry))) return false;
    }
    block = load<u32>(block);
  }
  return true;
}

// Numbers and times

let whole: u64 = 0;

/** Digits from pos on, into `whole`; how many. Beyond 19 they overflow. */
@inline
function digits(): usize {
  const from = pos;
  whole = 0;
  while (true) {
    const digit = load<u8>(pos) - ZERO;
    if (digit > 9) return pos - from;
    whole = whole * 10 + digit;
    pos++;
  }
}

function integer(column: usize): bool {
  const negative = load<u8>(pos) == MINUS;
  if (negative) pos++;
  const count = digits();
  if (count == 0 || count > 19) return false;
  return signed(column, negative);
}

@inline
function signed(column: usize, negative: bool): bool {
  if (whole > <u64>i64.MAX_VALUE) return false;
  value = negative ? -(<i64>whole) : <i64>whole;
  return value >= load<i64>(column + LOW) && value <= load<i64>(column + HIGH);
}

function decimal(column: usize): bool {
  const negative = load<u8>(pos) == MINUS;
  if (negative) pos++;
  const scale: usize = load<u8>(column + SCALE);
  const count = digits();
  if (count == 0 || count + scale > 19) return false;
  let given: usize = 0;
  if (load<u8>(pos) == 0x2e) {
    pos++;
    const before = whole;
    given = digits();
    if (given == 0 || given > scale) return false;
    let power: u64 = 1;
    for (let k: usize = 0; k < given; k++) power *= 10;
    whole += before * power;
  }
  for (; given < scale; given++) whole *= 10;
  return signed(column, negative);
}

/** So many digits, no more and no less, or a number that is too large for anything. */
@inline
function exactly(count: usize): u32 {
  const from = pos;
  const end = from + count;
  let n: u32 = 0;
  while (pos < end) {
    const digit = load<u8>(pos) - ZERO;
    if (digit > 9) return 100000;
    n = n * 10 + digit;
    pos++;
  }
  return n;
}

/** Of the Gregorian calendar, from year 1 to 9999, as days since 1970-01-01 (H. Hinnant, "days_from_civil"). */
function date(): bool {
  const year = exactly(4);
  if (year - 1 > 9998 || load<u8>(pos) != MINUS) return false;
  pos++;
  const month = exactly(2);
  if (month - 1 > 11 || load<u8>(pos) != MINUS) return false;
  pos++;
  const day = exactly(2);
  if (day - 1 > 30) return false;
  if (day > 28) {
    const leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    const longest: u32 = month == 2 ? (leap ? 29 : 28) : month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
    if (day > longest) return false;
  }
  const y = <i32>year - (month <= 2 ? 1 : 0);
  const era = y / 400;
  const ofEra = y - era * 400;
  const ofYear = <i32>((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1);
  value = <i64>(era * 146097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719468);
  return true;
}

/** In microseconds since 1970. A zone is only +00, and only where instants may name one. */
function timestamp(column: usize): bool {
  if (!date()) return false;
  const days = value;
  if (load<u8>(pos) != 0x20) return false;
  pos++;
  const hour = exactly(2);
  if (hour > 23 || load<u8>(pos) != 0x3a) return false;
  pos++;
  const minute = exactly(2);
  if (minute > 59 || load<u8>(pos) != 0x3a) return false;
  pos++;
  const second = exactly(2);
  if (second > 59) return false;
  let micros: u64 = 0;
  if (load<u8>(pos) == 0x2e) {
    pos++;
    let given = digits();
    if (given == 0 || given > 6) return false;
    micros = whole;
    for (; given < 6; given++) micros *= 10;
  }
  if (load<u8>(pos) == 0x2b) {
    if (load<u8>(column + ZONED) == 0 || load<u8>(pos + 1) != ZERO || load<u8>(pos + 2) != ZERO) return false;
    pos += 3;
  }
  value = ((days * 24 + <i64>hour) * 60 + <i64>minute) * 60000000 + <i64>second * 1000000 + <i64>micros;
  return true;
}
