// Rows of PostgreSQL's COPY in its text format (manual, "COPY", "Text Format"), in the server's messages as they come, become rows as
// rows.ts has them. The server writes that format in four fifths of the time that its CSV takes it.

// Memory: what is to be known of each column, the cursor's texts, the rows that are made, and behind them the bytes that are read.
const FLAGS: usize = 1024;
const LAST: usize = 3072;
const COMPLETE: usize = 3200;
const LONGEST_CURSOR: usize = 128;
const OUT: usize = 4096;
/** What a load or a copy of 16 bytes may go too far. */
const SLACK: usize = 64;

/** Its blanks at the end mean nothing. */
const BLANK: u8 = 1;
/** A day or an instant: the warehouse drops a bare BC without a word. */
const DAY: u8 = 2;

/** A message: a byte of its kind, its length in four (these four and what follows them), and what follows. */
const HEAD: usize = 5;
const COPY_DATA: u8 = 0x64;

const TAB: u8 = 0x09;
const LF: u8 = 0x0a;
const CR: u8 = 0x0d;
const SPACE: u8 = 0x20;
const QUOTE: u8 = 0x22;
const COMMA: u8 = 0x2c;
const BACKSLASH: u8 = 0x5c;

let columns: i32 = 0;
let cursor: bool = false;
let out: usize = OUT;
let rows: u32 = 0;
let last: usize = 0;
let complete: usize = 0;

/** The flags of so many columns stand at FLAGS. `withCursor`: a cursor's text comes before them, and becomes no value. The others: bytes at LAST and at COMPLETE. */
export function begin(count: i32, withCursor: bool, lastBytes: usize, completeBytes: usize): void {
  columns = count;
  cursor = withCursor;
  last = lastBytes;
  complete = completeBytes;
}

export function count(): u32 {
  return rows;
}

/** Bytes of the rows, which stand at OUT. */
export function size(): usize {
  return out - OUT;
}

/** Of the cursor's text at LAST, the newest row's. */
export function newest(): usize {
  return last;
}

/** All rows whose cursor's text is at most the one at COMPLETE have been taken; its length, 0 while there is none. */
export function completed(): usize {
  return complete;
}

/** The rows were taken out. */
export function empty(): void {
  out = OUT;
  rows = 0;
}

/** Where so many bytes are to be put for `take`; 0 where there is no memory. An empty field becomes two quotes: rows have three times the bytes at most. */
export function room(length: usize): usize {
  const at = out + 3 * length + SLACK;
  const pages = <i32>((at + length + SLACK + 0xffff) >> 16);
  const missing = pages - memory.size();
  return missing > 0 && memory.grow(missing) < 0 ? 0 : at;
}

/** Takes the rows that stand whole from `from` on, up to one of the limits: how many bytes; -1 where one is none. */
export function take(from: usize, length: usize, mostRows: u32, mostBytes: usize): i32 {
  const end = from + length;
  let at = from;
  while (end - at >= HEAD && load<u8>(at) == COPY_DATA && rows < mostRows && out - OUT < mostBytes) {
    const whole = <usize>bswap<u32>(load<u32>(at + 1)) + 1;
    if (whole > end - at) break;
    if (whole <= HEAD || !row(at + HEAD, at + whole)) return -1;
    rows++;
    at += whole;
  }
  return <i32>(at - from);
}

/** What ends a field, or can't stand in one as it is. */
@inline
function special(v: v128): v128 {
  const ends = v128.or(i8x16.eq(v, i8x16.splat(TAB)), i8x16.eq(v, i8x16.splat(LF)));
  const quoted = v128.or(i8x16.eq(v, i8x16.splat(QUOTE)), i8x16.eq(v, i8x16.splat(COMMA)));
  return v128.or(v128.or(ends, quoted), v128.or(i8x16.eq(v, i8x16.splat(CR)), i8x16.eq(v, i8x16.splat(BACKSLASH))));
}

function row(from: usize, to: usize): bool {
  // Whatever looks for the end of a field finds it there.
  if (load<u8>(to - 1) != LF) return false;
  let at = from;
  if (cursor) {
    at = moved(from, to);
    if (at == 0) return false;
  }
  const final = columns - 1;
  for (let k = 0; k <= final; k++) {
    const flags = load<u8>(FLAGS + <usize>k);
    const begun = at;
    const start = out;
    while (true) {
      const some = v128.load(at);
      v128.store(out, some);
      const found = i8x16.bitmask(special(some));
      if (found != 0) {
        at += <usize>ctz(found);
        out += <usize>ctz(found);
        break;
      }
      at += 16;
      out += 16;
    }
    const c = load<u8>(at);
    if (c != TAB && c != LF) {
      if (c == BACKSLASH && at == begun && load<u8>(at + 1) == 0x4e) at += 2;
      else {
        out = start;
        at = quoted(begun, flags);
        if (at == 0) return false;
      }
    } else {
      if (flags == BLANK) while (out > start && load<u8>(out - 1) == SPACE) out--;
      else if (flags == DAY) era(start);
      if (out == start) {
        store<u16>(out, 0x2222);
        out += 2;
      }
    }
    if (load<u8>(at) != (k == final ? LF : TAB)) return false;
    store<u8>(out, k == final ? LF : COMMA);
    out++;
    at++;
  }
  return at == to;
}

/** The field in quotes. Where it ends; 0 where it does not. */
function quoted(from: usize, flags: u8): usize {
  const start = out + 1;
  store<u8>(out, QUOTE);
  out = start;
  let at = from;
  while (true) {
    let c = load<u8>(at);
    if (c == TAB || c == LF) break;
    if (c == BACKSLASH) {
      at++;
      c = load<u8>(at);
      if (c == LF) return 0;
      if (c == 0x62) c = 0x08;
      else if (c == 0x66) c = 0x0c;
      else if (c == 0x6e) c = LF;
      else if (c == 0x72) c = CR;
      else if (c == 0x74) c = TAB;
      else if (c == 0x76) c = 0x0b;
    }
    if (c == QUOTE) {
      store<u8>(out, QUOTE);
      out++;
    }
    store<u8>(out, c);
    out++;
    at++;
  }
  if (flags == BLANK) while (out > start && load<u8>(out - 1) == SPACE) out--;
  store<u8>(out, QUOTE);
  out++;
  return at;
}

/** "0044-03-15 10:00:00 BC" is "0044-03-15 (BC) 10:00:00". */
function era(start: usize): void {
  if (out < start + 4 || load<u8>(out - 3) != SPACE || load<u16>(out - 2) != 0x4342) return;
  let day = start;
  while (load<u8>(day) != SPACE) day++;
  memory.copy(day + 5, day, out - 3 - day);
  store<u32>(day, 0x43422820);
  store<u8>(day + 4, 0x29);
  out += 2;
}

/** Rows come in the order of the cursor: at a new value all rows of the one before have been taken. Where the row's own fields begin; 0 where none do. */
function moved(from: usize, to: usize): usize {
  let end = from;
  while (load<u8>(end) != TAB) if (++end == to) return 0;
  const length = end - from;
  if (length > LONGEST_CURSOR) return 0;
  if (length == last && memory.compare(LAST, from, length) == 0) return end + 1;
  if (last > 0) {
    memory.copy(COMPLETE, LAST, last);
    complete = last;
  }
  memory.copy(LAST, from, length);
  last = length;
  return end + 1;
}
