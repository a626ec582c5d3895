/** What is to be known of a slice before the engine reads it, from the stamps of its lines (see collect's log/group.ts). */

/** Times in microseconds. */
export interface Stamps {
  readonly n: number;
  /** Of all lines together. */
  readonly flags: number;
  /** Event times; null where no line has one. */
  readonly lo: number | null;
  readonly hi: number | null;
  /** Of the lines that have an id: how many, of those without an event time, whether an id stands there twice, and their event times. */
  readonly ids: number;
  readonly timeless: number;
  readonly repeated: boolean;
  readonly first: number | null;
  readonly last: number | null;
  /** The longest from event time to receipt, or back; Infinity where an event time is before 1970 or beyond what a double holds. */
  readonly apart: number;
  /** When the first line was received, and the last; null without lines. */
  readonly received: number | null;
  readonly until: number | null;
  /** A hash of id and event time for each line that has both: two words each. */
  readonly keys: readonly number[];
}

const [TAB, NEWLINE, ZERO] = [0x09, 0x0a, 0x30];
/** Until the year 2255 a double holds microseconds exactly. */
const MOST_DIGITS = 16;

/** Null where a line is none. */
export function stampsOf(lines: readonly Buffer[]): Stamps | null {
  let [n, flags, ids, timeless, apart] = [0, 0, 0, 0, 0];
  let [lo, hi, first, last] = [Infinity, -Infinity, Infinity, -Infinity];
  let [received, until] = [Infinity, -Infinity];
  const keys: number[] = [];
  const seen = new Set<string>();
  for (const buffer of lines) {
    let at = 0;
    /** The digits from here to the next tab, which is passed; null without any, NaN where there are too many or others. */
    const digits = (): number | null => {
      const from = at;
      let value = 0;
      for (; at < buffer.length && buffer[at] !== TAB; at++) {
        const digit = buffer[at]! - ZERO;
        value = digit >= 0 && digit <= 9 ? value * 10 + digit : Number.NaN;
      }
      const length = at++ - from;
      return length === 0 ? null : length > MOST_DIGITS ? Number.NaN : value;
    };
    for (let end = 0; at < buffer.length; at = end + 1) {
      end = buffer.indexOf(NEWLINE, at);
      at = buffer.indexOf(TAB, at) + 1;
      const taken = digits();
      const time = digits();
      const id = at;
      at = buffer.indexOf(TAB, at);
      const [named, idEnd] = [at > id, at];
      if (named) {
        seen.add(buffer.toString('latin1', id, at));
        ids++;
      }
      at++;
      const flag = digits();
      if (end < 0 || taken === null || flag === null || Number.isNaN(taken + flag)) return null;
      n++;
      flags |= flag;
      received = Math.min(received, taken);
      until = Math.max(until, taken);
      if (time === null) {
        if (named) timeless++;
        continue;
      }
      if (Number.isNaN(time)) {
        apart = Number.POSITIVE_INFINITY;
        continue;
      }
      lo = Math.min(lo, time);
      hi = Math.max(hi, time);
      if (!named) continue;
      first = Math.min(first, time);
      last = Math.max(last, time);
      apart = Math.max(apart, Math.abs(taken - time));
      key(keys, buffer, id, idEnd, time);
    }
  }
  const known = (value: number): number | null => (Number.isFinite(value) ? value : null);
  return {
    n,
    flags,
    lo: known(lo),
    hi: known(hi),
    ids,
    timeless,
    repeated: seen.size < ids,
    first: known(first),
    last: known(last),
    apart,
    received: known(received),
    until: known(until),
    keys,
  };
}

/** Two words of a hash (FNV-1a twice, mixed as MurmurHash3 ends). The second is odd, so that steps of it reach every bit of a filter. */
function key(into: number[], buffer: Buffer, from: number, to: number, time: number): void {
  let [a, b] = [0x811c9dc5 ^ time, 0x9e3779b9 ^ (time / 2 ** 32)];
  for (let at = from; at < to; at++) {
    a = Math.imul(a ^ buffer[at]!, 0x01000193);
    b = Math.imul(b ^ buffer[at]!, 0x85ebca6b) ^ (b >>> 15);
  }
  into.push(mixed(a), mixed(b) | 1);
}

function mixed(word: number): number {
  let h = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
