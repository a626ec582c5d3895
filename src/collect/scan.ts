/**
 * A strict JSON scanner over bytes: one pass that validates a record (RFC 8259, plus what the warehouse refuses: lone
 * surrogates, NUL, duplicate keys) and finds where its top-level fields stand, without making a value of any of them.
 * So the client's bytes can be kept as they are. UTF-8 is checked beforehand with `isUtf8`, which is native.
 */
import type { ErrorCode } from '#core';

/** The known top-level keys of a topic in the order in which they are expected. Keys are compared as bytes. */
export interface Keys {
  readonly names: readonly Buffer[];
  /** `"name":` as most clients write it; null where a name needs an escape. */
  readonly literals: readonly (Buffer | null)[];
  /** From the key's bytes as latin1 text to its place in `names`. */
  readonly places: ReadonlyMap<string, number>;
}

export function keysOf(names: readonly string[]): Keys {
  const buffers = names.map((name) => Buffer.from(name));
  return {
    names: buffers,
    literals: names.map((name) => (JSON.stringify(name) === `"${name}"` ? Buffer.from(`"${name}":`) : null)),
    places: new Map(buffers.map((name, place) => [name.toString('latin1'), place])),
  };
}

/** What a JSON value is, as far as the bytes say. */
export const Kind = { absent: 0, null: 1, string: 2, escaped: 3, integer: 4, fraction: 5, true: 6, false: 7, object: 8, array: 9 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

const MAX_KNOWN = 256;

/**
 * The result of the last scan, reused from record to record. `from[k]`/`to[k]` span the value of known key k (a string's
 * span is without its quotes), valid while `kind[k]` is not absent. `long[k]` is 1 where the value holds a number whose
 * digits a double can't keep.
 */
export interface Scan {
  /** '' when the value is valid. */
  code: ErrorCode | '';
  problem: string;
  errorAt: number;
  /** The first byte after the value. */
  end: number;
  /** Some top-level key is not among the known ones. */
  unknown: boolean;
  /** The name of the first unknown key, as bytes' span. */
  unknownFrom: number;
  unknownTo: number;
  /** Raw line breaks or tabs stand between tokens: they have to become spaces in a line of the log. */
  breaks: boolean;
  readonly kind: Uint8Array;
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly long: Uint8Array;
  /** The unknown keys whose values hold such a number: four places each, key from and to, value from and to. */
  readonly longUnknown: number[];
}

export function newScan(): Scan {
  return {
    code: '',
    problem: '',
    errorAt: 0,
    end: 0,
    unknown: false,
    unknownFrom: 0,
    unknownTo: 0,
    breaks: false,
    kind: new Uint8Array(MAX_KNOWN),
    from: new Int32Array(MAX_KNOWN),
    to: new Int32Array(MAX_KNOWN),
    long: new Uint8Array(MAX_KNOWN),
    longUnknown: [],
  };
}

// In a string: 0 goes on, 1 is the closing quote, 2 a backslash, 3 a control character (not allowed raw).
const STRING = new Uint8Array(256);
STRING.fill(3, 0, 0x20);
STRING[0x22] = 1;
STRING[0x5c] = 2;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

// State of the scan in progress. The scanner is synchronous and never re-entered, so one set for the module is enough.
let bytes: Uint8Array = new Uint8Array(0);
let limit = 0;
let depthLimit = 64;
let result: Scan = newScan();
/** A string just scanned had a backslash. */
let escaped = false;
/** A number just scanned has more digits than a double keeps. */
let long = false;
/** Hashes and spans of the keys of all objects that are open, the innermost last. */
let keyHash = new Int32Array(1024);
let keyFrom = new Int32Array(1024);
let keyTo = new Int32Array(1024);
let keyCount = 0;
let numberKind: Kind = Kind.integer;

function stop(code: ErrorCode, problem: string, at: number): -1 {
  result.code = code;
  result.problem = problem;
  result.errorAt = at;
  return -1;
}

function space(i: number): number {
  while (i < limit) {
    const c = bytes[i]!;
    if (c === 0x20) i++;
    else if (c === 0x0a || c === 0x0d || c === 0x09) {
      result.breaks = true;
      i++;
    } else break;
  }
  return i;
}

/** Scans a string whose opening quote stands at i - 1; returns the place of its closing quote. */
function string(i: number): number {
  escaped = false;
  // Locals: the engine reads a module's variable anew for every byte.
  const from = bytes;
  const end = limit;
  for (;;) {
    while (i < end && STRING[from[i]!] === 0) i++;
    if (i >= end) return stop('RECORD_JSON', 'a string is not closed', i);
    const c = from[i]!;
    if (c === QUOTE) return i;
    if (c !== 0x5c) return stop('RECORD_JSON', 'a string has a raw control character', i);
    escaped = true;
    i = escapeAt(i);
    if (i < 0) return -1;
  }
}

/** A backslash stands at i; returns the place after the escape. */
function escapeAt(i: number): number {
  switch (bytes[i + 1]) {
    case 0x22:
    case 0x5c:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return i + 2 <= limit ? i + 2 : stop('RECORD_JSON', 'a string is not closed', i);
    case 0x75: {
      const unit = hex4(i + 2);
      if (unit < 0) return stop('RECORD_JSON', 'a \\u escape needs four hexadecimal digits', i);
      if (unit === 0) return stop('RECORD_NUL', '', i);
      if (unit >= 0xd800 && unit <= 0xdfff) {
        const low = unit < 0xdc00 && bytes[i + 6] === 0x5c && bytes[i + 7] === 0x75 ? hex4(i + 8) : -1;
        if (low < 0xdc00 || low > 0xdfff) return stop('RECORD_SURROGATE', unit.toString(16), i);
        return i + 12;
      }
      return i + 6;
    }
    default:
      return stop('RECORD_JSON', 'a string has an unknown escape', i);
  }
}

function hex4(i: number): number {
  if (i + 4 > limit) return -1;
  let value = 0;
  for (let k = i; k < i + 4; k++) {
    const c = bytes[k]!;
    const digit = c >= 0x30 && c <= 0x39 ? c - 0x30 : c >= 0x61 && c <= 0x66 ? c - 0x57 : c >= 0x41 && c <= 0x46 ? c - 0x37 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/** Scans a number that begins at i; sets `numberKind`, and `long` when a double may not keep its fraction or its size. */
function number(i: number): number {
  const start = i;
  numberKind = Kind.integer;
  if (bytes[i] === 0x2d) i++;
  if (bytes[i] === 0x30) {
    i++;
  } else {
    const first = i;
    while (i < limit && bytes[i]! >= 0x30 && bytes[i]! <= 0x39) i++;
    if (i === first) return stop('RECORD_JSON', 'a value was expected', start);
  }
  let digits = i - start;
  if (i < limit && bytes[i] === 0x2e) {
    numberKind = Kind.fraction;
    const first = ++i;
    while (i < limit && bytes[i]! >= 0x30 && bytes[i]! <= 0x39) i++;
    if (i === first) return stop('RECORD_JSON', 'a number has a point without digits after it', i);
    digits += i - first;
  }
  if (i < limit && (bytes[i]! | 0x20) === 0x65) {
    numberKind = Kind.fraction;
    i++;
    if (bytes[i] === 0x2b || bytes[i] === 0x2d) i++;
    const first = i;
    while (i < limit && bytes[i]! >= 0x30 && bytes[i]! <= 0x39) i++;
    if (i === first) return stop('RECORD_JSON', 'a number has an exponent without digits', i);
    // 1e400 is infinite as a double, 1e-400 is 0.
    if (i - first >= 3) long = true;
  }
  if (numberKind === Kind.fraction && digits > 15) long = true;
  return i;
}

function word(i: number, text: string): number {
  for (let k = 0; k < text.length; k++) {
    if (i + k >= limit || bytes[i + k] !== text.charCodeAt(k)) return stop('RECORD_JSON', 'a value was expected', i);
  }
  return i + text.length;
}

/** Scans any value at i (no space before it); returns the place after it. */
function value(i: number, depth: number): number {
  if (i >= limit) return stop('RECORD_JSON', 'it ends too early', i);
  switch (bytes[i]) {
    case QUOTE: {
      const close = string(i + 1);
      return close < 0 ? -1 : close + 1;
    }
    case OPEN_BRACE:
      return object(i, depth);
    case OPEN_BRACKET:
      return array(i, depth);
    case 0x74:
      return word(i, 'true');
    case 0x66:
      return word(i, 'false');
    case 0x6e:
      return word(i, 'null');
    default:
      return number(i);
  }
}

function array(i: number, depth: number): number {
  if (depth >= depthLimit) return stop('RECORD_TOO_DEEP', '', i);
  i = space(i + 1);
  if (bytes[i] === CLOSE_BRACKET && i < limit) return i + 1;
  for (;;) {
    i = value(i, depth + 1);
    if (i < 0) return -1;
    i = space(i);
    if (i >= limit) return stop('RECORD_JSON', 'an array is not closed', i);
    const c = bytes[i]!;
    if (c === CLOSE_BRACKET) return i + 1;
    if (c !== COMMA) return stop('RECORD_JSON', 'a comma or ] was expected', i);
    i = space(i + 1);
  }
}

function object(i: number, depth: number): number {
  if (depth >= depthLimit) return stop('RECORD_TOO_DEEP', '', i);
  const base = keyCount;
  i = space(i + 1);
  if (bytes[i] === CLOSE_BRACE && i < limit) return i + 1;
  for (;;) {
    if (i >= limit || bytes[i] !== QUOTE) return stop('RECORD_JSON', 'a key in quotes was expected', i);
    const from = i + 1;
    const to = string(from);
    if (to < 0 || !newKey(from, to, base)) return -1;
    i = space(to + 1);
    if (i >= limit || bytes[i] !== COLON) return stop('RECORD_JSON', 'a colon was expected', i);
    i = value(space(i + 1), depth + 1);
    if (i < 0) return -1;
    i = space(i);
    if (i >= limit) return stop('RECORD_JSON', 'an object is not closed', i);
    const c = bytes[i]!;
    if (c === CLOSE_BRACE) {
      keyCount = base;
      keySets.delete(base);
      return i + 1;
    }
    if (c !== COMMA) return stop('RECORD_JSON', 'a comma or } was expected', i);
    i = space(i + 1);
  }
}

/** Above this many keys in an object, a set replaces the comparison with each, which would take quadratic time. */
const FEW = 48;
const keySets = new Map<number, Set<string>>();

/** Remembers a key of the object whose keys begin at `base`; false (and an error) when that object has it already. */
function newKey(from: number, to: number, base: number): boolean {
  if (keyCount - base >= FEW) return newKeyOfMany(from, to, base);
  const hash = escaped ? hashOfEscaped(from, to) : hashOf(bytes, from, to);
  for (let k = base; k < keyCount; k++) {
    if (keyHash[k] === hash && keyText(keyFrom[k]!, keyTo[k]!) === keyText(from, to)) {
      stop('RECORD_DUPLICATE_KEY', keyText(from, to), from);
      return false;
    }
  }
  if (keyCount === keyHash.length) growKeys();
  keyHash[keyCount] = hash;
  keyFrom[keyCount] = from;
  keyTo[keyCount] = to;
  keyCount++;
  return true;
}

function hashOf(of: Uint8Array, from: number, to: number): number {
  let hash = to - from;
  for (let k = from; k < to; k++) hash = (Math.imul(hash, 31) + of[k]!) | 0;
  return hash;
}

/** The hash of an escaped key is that of its plain form, so that "a" and "\u0061" meet. */
function hashOfEscaped(from: number, to: number): number {
  const plain = Buffer.from(keyText(from, to));
  return hashOf(plain, 0, plain.length);
}

function newKeyOfMany(from: number, to: number, base: number): boolean {
  let set = keySets.get(base);
  if (set === undefined) {
    set = new Set();
    for (let k = base; k < keyCount; k++) set.add(keyText(keyFrom[k]!, keyTo[k]!));
    keySets.set(base, set);
  }
  const text = keyText(from, to);
  if (set.has(text)) {
    stop('RECORD_DUPLICATE_KEY', text, from);
    return false;
  }
  set.add(text);
  return true;
}

function keyText(from: number, to: number): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8');
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text;
}

function growKeys(): void {
  const grow = (old: Int32Array<ArrayBuffer>) => {
    const larger = new Int32Array(old.length * 2);
    larger.set(old);
    return larger;
  };
  keyHash = grow(keyHash);
  keyFrom = grow(keyFrom);
  keyTo = grow(keyTo);
}

/** The place of the key at from..to among the known ones, or -1. `expected` is tried first: clients keep the order of their keys. */
function placeOf(keys: Keys, from: number, to: number, expected: number): number {
  if (escaped) return keys.places.get(Buffer.from(keyText(from, to)).toString('latin1')) ?? -1;
  const name = keys.names[expected];
  if (name !== undefined && name.length === to - from) {
    let k = 0;
    while (k < name.length && name[k] === bytes[from + k]) k++;
    if (k === name.length) return expected;
  }
  let text = '';
  if (to - from <= 64) for (let k = from; k < to; k++) text += String.fromCharCode(bytes[k]!);
  else text = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');
  return keys.places.get(text) ?? -1;
}

/**
 * Scans the object at `at` (no space before it) within bytes[at … end). Fills `scan`; `scan.code` is '' when it is valid.
 * Cost: about 1 ns a byte, no allocation for records without escapes in keys.
 */
export function scanObject(scan: Scan, buffer: Uint8Array, at: number, end: number, keys: Keys, depth: number): void {
  bytes = buffer;
  limit = end;
  depthLimit = depth;
  result = scan;
  keyCount = 0;
  if (keySets.size > 0) keySets.clear();
  scan.code = '';
  scan.unknown = false;
  scan.breaks = false;
  if (scan.longUnknown.length > 0) scan.longUnknown.length = 0;
  for (let k = keys.names.length - 1; k >= 0; k--) scan.kind[k] = Kind.absent;
  const after = topObject(at, keys);
  scan.end = after;
}

function topObject(at: number, keys: Keys): number {
  if (bytes[at] !== OPEN_BRACE) return stop('RECORD_NOT_OBJECT', found(bytes[at]), at);
  let i = space(at + 1);
  if (bytes[i] === CLOSE_BRACE && i < limit) return i + 1;
  let expected = 0;
  for (;;) {
    const literal = keys.literals[expected];
    const from = i + 1;
    let to = 0;
    let place = expected;
    if (literal != null && stands(literal, i)) {
      to = i + literal.length - 2;
      i += literal.length;
    } else {
      if (i >= limit || bytes[i] !== QUOTE) return stop('RECORD_JSON', 'a key in quotes was expected', i);
      to = string(from);
      if (to < 0) return -1;
      place = placeOf(keys, from, to, expected);
      if (place < 0) {
        if (!newKey(from, to, 0)) return -1;
        if (!result.unknown) {
          result.unknown = true;
          result.unknownFrom = from;
          result.unknownTo = to;
        }
      }
      i = space(to + 1);
      if (i >= limit || bytes[i] !== COLON) return stop('RECORD_JSON', 'a colon was expected', i);
      i++;
    }
    if (place >= 0) {
      expected = place + 1;
      if (result.kind[place] !== Kind.absent) return stop('RECORD_DUPLICATE_KEY', keyText(from, to), from);
    }
    i = space(i);
    long = false;
    const first = i;
    i = place < 0 ? value(i, 1) : field(place, i);
    if (i < 0) return -1;
    if (long && place < 0) result.longUnknown.push(from, to, first, i);
    i = space(i);
    if (i >= limit) return stop('RECORD_JSON', 'an object is not closed', i);
    const c = bytes[i]!;
    if (c === CLOSE_BRACE) return i + 1;
    if (c !== COMMA) return stop('RECORD_JSON', 'a comma or } was expected', i);
    i = space(i + 1);
  }
}

function stands(literal: Buffer, i: number): boolean {
  if (i + literal.length > limit) return false;
  const within = bytes;
  for (let k = 0; k < literal.length; k++) if (within[i + k] !== literal[k]) return false;
  return true;
}

/** Scans the value of a known key and notes its span and kind. */
function field(place: number, i: number): number {
  const first = bytes[i];
  const after = value(i, 1);
  if (after < 0) return -1;
  let kind: Kind;
  let from = i;
  let to = after;
  if (first === QUOTE) {
    kind = escaped ? Kind.escaped : Kind.string;
    from++;
    to--;
  } else if (first === OPEN_BRACE) kind = Kind.object;
  else if (first === OPEN_BRACKET) kind = Kind.array;
  else if (first === 0x74) kind = Kind.true;
  else if (first === 0x66) kind = Kind.false;
  else if (first === 0x6e) kind = Kind.null;
  else kind = numberKind;
  result.kind[place] = kind;
  result.from[place] = from;
  result.to[place] = to;
  result.long[place] = long ? 1 : 0;
  return after;
}

function found(c: number | undefined): string {
  if (c === undefined) return 'nothing';
  if (c === OPEN_BRACKET) return 'an array';
  if (c === QUOTE) return 'a string';
  if (c === 0x74 || c === 0x66) return 'a boolean';
  if (c === 0x6e) return 'null';
  return c === 0x2d || (c >= 0x30 && c <= 0x39) ? 'a number' : 'not JSON';
}
