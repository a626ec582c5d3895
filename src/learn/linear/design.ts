import { pack, unpackFloats, unpackIntegers } from '../base64.ts';
import type { Encoded } from '../encode.ts';
import { log } from '../exact.ts';
import { BUCKETS, ngrams } from './text.ts';

/** A sparse table in compressed rows: row i holds columns[starts[i] … starts[i + 1]) and their values. */
export interface Sparse {
  readonly rows: number;
  readonly width: number;
  readonly starts: Uint32Array;
  readonly columns: Uint32Array;
  readonly values: Float64Array;
}

/** How encoded rows become columns of a linear model: plain data, part of the model. */
export interface Design {
  readonly width: number;
  readonly parts: readonly DesignPart[];
  readonly texts: readonly TextPart[];
}

/** A number is standardised (missing: the mean, and an indicator of its own); a category has a column for each level. */
type DesignPart =
  | {
      readonly kind: 'number';
      readonly mean: number;
      readonly deviation: number;
      readonly missing: boolean;
      readonly low: number;
      readonly high: number;
    }
  | { readonly kind: 'levels'; readonly levels: number };

interface TextPart {
  /** Packed [kept]: the buckets that have a column, ascending. */
  readonly buckets: string;
  /** Packed floats [kept]: inverse document frequency of each. */
  readonly weights: string;
}

/** An n-gram must stand in so many rows, or it can only be learned by heart. */
const LEAST_ROWS = 2;
/** Columns of one text at most; the rarest n-grams go first. */
const MOST_NGRAMS = 150_000;

/** Learns the design from training rows. */
export function fitDesign(encoded: Encoded): Design {
  const parts = encoded.features.map((feature): DesignPart => {
    if (feature.kind === 'category') return { kind: 'levels', levels: feature.levels };
    if (feature.cycle !== null) return { kind: 'levels', levels: feature.cycle };
    return numberPart(feature.values);
  });
  const texts = encoded.texts.map(({ values }) => textPart(values));
  const width = parts.reduce((sum, part) => sum + widthOf(part), 0) + texts.reduce((sum, part) => sum + widthOf(part), 0);
  return { width, parts, texts };
}

/** How many columns a part makes. */
export function widthOf(part: DesignPart | TextPart): number {
  if ('buckets' in part) return unpackIntegers(part.buckets).length;
  if (part.kind === 'levels') return part.levels;
  return part.missing ? 2 : 1;
}

/** Beyond this, sums of squares have no end; what stands there is a sign of its own (the largest double for "none"), not a measure. */
const LARGEST = 1e100;

/** Values beyond the training range are held at its ends: a straight line must not run away with an outlier. */
function numberPart(values: Float64Array): DesignPart {
  let count = 0;
  let mean = 0;
  let squares = 0;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    const v = Math.max(-LARGEST, Math.min(LARGEST, value));
    count++;
    const step = v - mean;
    mean += step / count;
    squares += step * (v - mean);
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  const deviation = Math.sqrt(squares / Math.max(1, count));
  return count === 0
    ? { kind: 'number', mean: 0, deviation: 1, missing: true, low: 0, high: 0 }
    : { kind: 'number', mean, deviation: deviation > 0 ? deviation : 1, missing: count < values.length, low, high };
}

function textPart(values: readonly (string | null)[]): TextPart {
  // Most n-grams stand in one row: a map of them all would be larger than the table that is learned from.
  const rowsWith = new Uint32Array(BUCKETS);
  const latest = new Uint32Array(BUCKETS);
  values.forEach((text, row) => {
    const { words, characters } = ngrams(text ?? '');
    for (const grams of [words, characters])
      for (const bucket of grams) {
        if (latest[bucket] === row + 1) continue;
        latest[bucket] = row + 1;
        rowsWith[bucket]!++;
      }
  });
  const kept = Int32Array.from(rowsWith.keys()).filter((bucket) => rowsWith[bucket]! >= LEAST_ROWS);
  const buckets = kept
    .sort((a, b) => rowsWith[b]! - rowsWith[a]! || a - b)
    .slice(0, MOST_NGRAMS)
    .sort();
  const weights = Float32Array.from(buckets, (bucket) => 1 + log((1 + values.length) / (1 + rowsWith[bucket]!)));
  return { buckets: pack(buckets), weights: pack(weights) };
}

/** A design ready to write rows; built once for each model. */
export function designWriter(design: Design): (encoded: Encoded) => Sparse {
  const texts = design.texts.map((part) => textWriter(part));
  return (encoded) => {
    const sink = new SparseSink(encoded.rows, design.width);
    for (let row = 0; row < encoded.rows; row++) {
      let column = 0;
      design.parts.forEach((part, f) => {
        writePart(part, encoded.features[f]!.values[row]!, column, sink);
        column += widthOf(part);
      });
      texts.forEach((write, t) => {
        column += write(encoded.texts[t]!.values[row] ?? '', column, sink);
      });
      sink.endRow();
    }
    return sink.finish();
  };
}

function writePart(part: DesignPart, value: number, column: number, sink: SparseSink): void {
  if (part.kind === 'levels') {
    if (!Number.isNaN(value)) sink.push(column + value, 1);
    return;
  }
  if (Number.isNaN(value)) {
    if (part.missing) sink.push(column + 1, 1);
    return;
  }
  sink.push(column, (Math.max(part.low, Math.min(part.high, value)) - part.mean) / part.deviation);
}

/** Sublinear term frequency times inverse document frequency; words and characters each have length 1. Returns the number of columns. */
function textWriter(part: TextPart): (text: string, column: number, sink: SparseSink) => number {
  const buckets = unpackIntegers(part.buckets);
  const weights = unpackFloats(part.weights);
  const position = new Map<number, number>();
  buckets.forEach((bucket, at) => {
    position.set(bucket, at);
  });
  const writeBlock = (grams: readonly number[], column: number, sink: SparseSink): void => {
    const counts = new Map<number, number>();
    for (const gram of grams) {
      const at = position.get(gram);
      if (at !== undefined) counts.set(at, (counts.get(at) ?? 0) + 1);
    }
    let squares = 0;
    for (const [at, count] of counts) {
      const value = (1 + log(count)) * weights[at]!;
      counts.set(at, value);
      squares += value * value;
    }
    const norm = Math.sqrt(squares);
    for (const [at, value] of counts) sink.push(column + at, value / norm);
  };
  return (text, column, sink) => {
    const { words, characters } = ngrams(text);
    writeBlock(words, column, sink);
    writeBlock(characters, column, sink);
    return buckets.length;
  };
}

/** Entries of the largest piece of a sink. */
const PIECE = 1 << 16;

/** Entries stand in pieces until their number is known: arrays that grow by copies would need several times the memory of the table. */
class SparseSink {
  private readonly starts: Uint32Array;
  private readonly full: { readonly columns: Uint32Array; readonly values: Float64Array }[] = [];
  private columns = new Uint32Array(1024);
  private values = new Float64Array(1024);
  private length = 0;
  /** Entries in the full pieces. */
  private before = 0;
  private row = 0;
  private readonly width: number;

  constructor(rows: number, width: number) {
    this.starts = new Uint32Array(rows + 1);
    this.width = width;
  }

  push(column: number, value: number): void {
    if (this.length === this.columns.length) this.nextPiece();
    this.columns[this.length] = column;
    this.values[this.length++] = value;
  }

  private nextPiece(): void {
    this.full.push({ columns: this.columns, values: this.values });
    this.before += this.length;
    const size = Math.min(PIECE, this.before);
    this.columns = new Uint32Array(size);
    this.values = new Float64Array(size);
    this.length = 0;
  }

  endRow(): void {
    this.starts[++this.row] = this.before + this.length;
  }

  finish(): Sparse {
    const columns = new Uint32Array(this.before + this.length);
    const values = new Float64Array(this.before + this.length);
    let at = 0;
    for (const piece of this.full) {
      columns.set(piece.columns, at);
      values.set(piece.values, at);
      at += piece.columns.length;
    }
    columns.set(this.columns.subarray(0, this.length), at);
    values.set(this.values.subarray(0, this.length), at);
    return { rows: this.row, width: this.width, starts: this.starts, columns, values };
  }
}
