/**
 * Many plain records in one go: plain.as, compiled, checks flat records whose values fit as they stand and writes their lines;
 * the first one that is anything else is left to scan.ts and values.ts.
 */
import type { Bytes, Field, Micros, Position, Topic } from '#core';
import { plainBytes } from './plain-bytes.ts';
import { decimalOf, TIME_SCALE } from './values.ts';

/** What of the body is looked at in one go. A record that is longer is not plain. */
const WINDOW: Bytes = 262_144;
const MEMORY_PAGES = 12;
const [FIELDS, FIELD_BYTES, LITERALS, IN, OUT] = [1024, 16, 8192, 65_536, 65_536 + WINDOW + 64] as const;
const MOST_FIELDS = 250;

/** As plain.as numbers them; `json` is never plain, since its exact text is kept. */
const TYPES = { text: 1, integer: 2, double: 3, decimal: 4, boolean: 5, timestamp: 6, date: 7, json: 8 } as const;
const UNDECLARED = 0;
const EVENT_TIME = 9;

/** A lane's fields as plain.as has them in memory. */
export interface PlainFields {
  readonly image: Uint8Array;
  readonly count: number;
  readonly required: number;
  readonly idPlace: number;
  readonly timePlace: number;
  readonly timeScale: number;
  readonly earliest: Micros;
}

export interface Plain {
  /** What `take` has taken last: how many, the place behind them, how many of them carry no id; `lines` is valid until the next call. */
  readonly taken: { count: number; end: number; undeduplicated: number; lines: Uint8Array };
  /** A new body: nothing of the last one is taken for it. */
  begin(body: Buffer): void;
  /** Takes what is plain from `at` on; `taken.count` is 0 when the record there is not. */
  take(at: number, input: Taking): void;
}

export interface Taking {
  readonly fields: PlainFields;
  readonly array: boolean;
  readonly most: number;
  readonly position: Position;
  readonly received: Micros;
  readonly latest: Micros;
  /** Records without an id are taken, too. */
  readonly withoutId: boolean;
}

/** The host's WebAssembly, of which TypeScript knows only with the browser's library. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

interface Exports {
  configure(count: number, required: number, id: number, time: number, scale: number, earliest: number, recordBytes: number): void;
  run(at: number, until: number, array: boolean, most: number, position: bigint, received: bigint, latest: number, noId: boolean): number;
  consumed(): number;
  lines(): number;
  undeduplicated(): number;
}

/** Null when the topic can't have plain records: too many fields, or names that have to be escaped. */
export function plainFields(
  topic: Topic,
  names: readonly string[],
  declared: readonly { place: number; field: Field; isTime: boolean }[],
): PlainFields | null {
  const literals = names.map((name) => (JSON.stringify(name) === `"${name}"` ? Buffer.from(`"${name}":`) : Buffer.alloc(0)));
  const padded = literals.map((literal) => Math.ceil((literal.length + 8) / 8) * 8);
  const bytes = LITERALS - FIELDS + padded.reduce((sum, length) => sum + length, 0);
  if (names.length > MOST_FIELDS || FIELDS + bytes > IN) return null;
  const image = new Uint8Array(bytes);
  const view = new DataView(image.buffer);
  let literal = LITERALS;
  for (const [place, name] of names.entries()) {
    const at = place * FIELD_BYTES;
    view.setUint32(at, literal, true);
    view.setUint16(at + 4, literals[place]!.length, true);
    image.set(literals[place]!, literal - FIELDS);
    literal += padded[place]!;
    const own = declared.find((one) => one.place === place);
    const type = own === undefined ? UNDECLARED : own.isTime ? EVENT_TIME : TYPES[own.field.type.replace(/\(.*/, '') as keyof typeof TYPES];
    image[at + 6] = type;
    image[at + 7] = own?.field.required || (topic.time?.required && topic.time.field === name) ? 1 : 0;
    if (type !== TYPES.decimal) continue;
    const { precision, scale } = decimalOf(own!.field.type);
    image[at + 8] = precision - scale;
    // Up to four digits after the point no number is so small that DuckDB's reader would print it with an exponent.
    image[at + 9] = Math.min(scale, 4);
  }
  return {
    image,
    count: names.length,
    required: names.filter((_, place) => image[place * FIELD_BYTES + 7] === 1).length,
    idPlace: topic.id === null ? -1 : names.indexOf(topic.id),
    timePlace: topic.time === null ? -1 : names.indexOf(topic.time.field),
    timeScale: topic.time === null || topic.time.unit === 'iso' ? 0 : TIME_SCALE[topic.time.unit],
    earliest: topic.time?.earliest ?? 0,
  };
}

export function openPlain(recordBytes: Bytes): Plain {
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES });
  const compiled = new WebAssembly.Module(Buffer.from(plainBytes, 'base64'));
  const wasm = new WebAssembly.Instance(compiled, { env: { memory } }).exports as Exports;
  const bytes = new Uint8Array(memory.buffer);
  const taken = { count: 0, end: 0, undeduplicated: 0, lines: bytes.subarray(OUT, OUT) };
  let configured: PlainFields | null = null;
  let body: Buffer = Buffer.alloc(0);
  /** What of the body stands at IN. */
  let first = 0;
  let last = 0;

  function look(at: number): void {
    first = at;
    last = Math.min(body.length, at + WINDOW);
    bytes.set(body.subarray(first, last), IN);
  }

  function run(at: number, input: Taking): void {
    taken.count = wasm.run(
      IN + at - first,
      IN + last - first,
      input.array,
      input.most,
      BigInt(input.position),
      BigInt(input.received),
      input.latest,
      input.withoutId,
    );
    taken.end = first + wasm.consumed() - IN;
  }

  return {
    taken,
    begin(next) {
      body = next;
      last = first = 0;
    },
    take(at, input) {
      if (configured !== input.fields) {
        configured = input.fields;
        bytes.set(configured.image, FIELDS);
        const { count, required, idPlace, timePlace, timeScale, earliest } = configured;
        wasm.configure(count, required, idPlace, timePlace, timeScale, earliest, recordBytes);
      }
      if (at < first || at >= last) look(at);
      run(at, input);
      // Cut by the window's end perhaps, not by itself.
      if (taken.count === 0 && last < body.length && at > first) {
        look(at);
        run(at, input);
      }
      if (taken.count === 0) return;
      taken.undeduplicated = wasm.undeduplicated();
      taken.lines = bytes.subarray(OUT, OUT + wasm.lines());
    },
  };
}
