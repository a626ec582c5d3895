/** Text that grows at its end, as UTF-8 bytes: a large result never becomes strings that would have to be joined and encoded. */
export interface TextBuffer {
  bytes: Buffer;
  /** Where it ends. */
  end: number;
  /** Makes room for `count` more bytes at `end`. */
  room(count: number): void;
  write(text: string): void;
}

const FIRST = 16 * 1024;
/** Below it a loop is faster than a call into the runtime. */
const SHORT = 24;

export function newTextBuffer(): TextBuffer {
  const buffer: TextBuffer = {
    bytes: Buffer.allocUnsafeSlow(FIRST),
    end: 0,
    room(count) {
      if (buffer.end + count <= buffer.bytes.length) return;
      const larger = Buffer.allocUnsafeSlow(Math.max(2 * buffer.bytes.length, buffer.end + count));
      buffer.bytes.copy(larger, 0, 0, buffer.end);
      buffer.bytes = larger;
    },
    write(text) {
      // A UTF-16 unit takes at most three bytes.
      buffer.room(3 * text.length);
      const { bytes } = buffer;
      let { end } = buffer;
      if (text.length <= SHORT) {
        let k = 0;
        for (; k < text.length; k++) {
          const unit = text.charCodeAt(k);
          if (unit > 0x7f) break;
          bytes[end++] = unit;
        }
        if (k === text.length) {
          buffer.end = end;
          return;
        }
      }
      buffer.end += bytes.write(text, buffer.end);
    },
  };
  return buffer;
}

/** A safe integer (less than 2^53). */
export function writeInteger(value: number, to: TextBuffer): void {
  to.room(17);
  const rest = unsigned(value, to);
  if (rest <= 0x7fffffff) writeDigits(rest, digitsOf(rest), to);
  else writeParts(rest, 1e9, 9, to);
}

/** A safe integer whose last `scale` digits (1 to 9) stand behind a point. */
export function writeScaled(value: number, scale: number, to: TextBuffer): void {
  to.room(20);
  writeParts(unsigned(value, to), 10 ** scale, scale, to, POINT);
}

/** Writes the sign. */
function unsigned(value: number, to: TextBuffer): number {
  if (value >= 0) return value;
  to.bytes[to.end++] = MINUS;
  return -value;
}

function writeParts(value: number, unit: number, digits: number, to: TextBuffer, between?: number): void {
  let high = Math.floor(value / unit);
  // The quotient is rounded: just below a whole number it can come out as that.
  if (high * unit > value) high--;
  if (high <= 0x7fffffff) writeDigits(high, digitsOf(high), to);
  else writeParts(high, 1e9, 9, to);
  if (between !== undefined) to.bytes[to.end++] = between;
  writeDigits(value - high * unit, digits, to);
}

/** `count` digits, with zeros in front; `value` has at most 31 bits, and there is room. */
export function writeDigits(value: number, count: number, to: TextBuffer): void {
  const { bytes, end } = to;
  let rest = value | 0;
  for (let at = end + count - 1; at >= end; at--) {
    const tenth = (rest / 10) | 0;
    bytes[at] = ZERO + (rest - tenth * 10);
    rest = tenth;
  }
  to.end = end + count;
}

function digitsOf(value: number): number {
  let count = 1;
  for (let next = 10; value >= next; next *= 10) count++;
  return count;
}

const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
