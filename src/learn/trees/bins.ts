/**
 * Values → small bin numbers, so that a split search reads bytes. Bin 0 is "missing" (for a category also "not seen in
 * training"); bins 1 … hold the values in order. A bin's upper bound is a real threshold, so that a tree that was grown on bins
 * routes raw values alike: bin(v) ≤ b ⇔ v ≤ upper[b - 1].
 */
export type FeatureBins =
  | {
      readonly kind: 'numeric' /** Ascending; bin b (1-based) holds upper[b - 2] < v ≤ upper[b - 1], the last bin all above. */;
      readonly upper: Float64Array;
    }
  | { readonly kind: 'category' /** Codes 0 … levels-1 stand in bins 1 … levels. */; readonly levels: number };

/** A feature as the trees see it. NaN is missing. A category's values are codes 0 … levels-1 with levels ≤ 255. */
export interface Feature {
  readonly name: string;
  readonly kind: 'numeric' | 'category';
  readonly levels: number;
  readonly values: Float64Array;
}

/** Bins with the missing bin counted. */
export function binCount(bins: FeatureBins): number {
  return bins.kind === 'numeric' ? bins.upper.length + 2 : bins.levels + 1;
}

/**
 * At most `maxBins` bins of about equal numbers of rows; a value that alone fills a bin has it to itself. With few distinct
 * values each has its own bin. Depends on the set of values only, not on their order. Cost: one sort.
 */
export function featureBins(feature: Feature, maxBins: number): FeatureBins {
  if (feature.kind === 'category') return { kind: 'category', levels: feature.levels };
  const { distinct, counts, rows } = runs(feature.values);
  return { kind: 'numeric', upper: upperBounds(distinct, counts, rows, maxBins) };
}

interface Runs {
  /** Ascending. */
  readonly distinct: Float64Array;
  /** How often each stands there. */
  readonly counts: Uint32Array;
  /** Values that are not missing. */
  readonly rows: number;
}

function runs(values: Float64Array): Runs {
  return wholeRuns(values) ?? sortedRuns(values);
}

/** Whole numbers in a range no larger than their number are counted, not sorted; null for others. */
function wholeRuns(values: Float64Array): Runs | null {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isNaN(value)) continue;
    if (value !== Math.floor(value)) return null;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(high >= low && high - low < values.length)) return null;
  const often = new Uint32Array(high - low + 1);
  for (let i = 0; i < values.length; i++) if (!Number.isNaN(values[i]!)) often[values[i]! - low]!++;
  const distinct: number[] = [];
  const counts: number[] = [];
  let rows = 0;
  often.forEach((count, at) => {
    if (count === 0) return;
    distinct.push(low + at);
    counts.push(count);
    rows += count;
  });
  return { distinct: Float64Array.from(distinct), counts: Uint32Array.from(counts), rows };
}

function sortedRuns(values: Float64Array): Runs {
  const distinct = new Float64Array(values.length);
  let rows = 0;
  for (let i = 0; i < values.length; i++) if (!Number.isNaN(values[i]!)) distinct[rows++] = values[i]!;
  sortAscending(distinct.subarray(0, rows));
  const counts = new Uint32Array(rows);
  let last = -1;
  for (let i = 0; i < rows; i++) {
    if (last < 0 || distinct[last] !== distinct[i]) distinct[++last] = distinct[i]!;
    counts[last] = counts[last]! + 1;
  }
  return { distinct: distinct.subarray(0, last + 1), counts: counts.subarray(0, last + 1), rows };
}

/** Below this many numbers the engine's sort is as fast. */
const RADIX_WORTH = 4096;
const DIGIT = 11;

/** Sorts by radix over the bits (least digit first; a digit that is the same everywhere is skipped): linear, and -0 counts as 0. */
function sortAscending(values: Float64Array): void {
  if (values.length < RADIX_WORTH) {
    values.sort();
    return;
  }
  let from = new Uint32Array(values.length * 2);
  let to = new Uint32Array(values.length * 2);
  const words = new Uint32Array(2);
  const double = new Float64Array(words.buffer);
  for (let i = 0; i < values.length; i++) {
    double[0] = values[i]! + 0;
    const negative = words[1]! >>> 31 === 1;
    from[i * 2] = negative ? ~words[0]! : words[0]!;
    from[i * 2 + 1] = negative ? ~words[1]! : words[1]! | 0x80000000;
  }
  for (let word = 0; word < 2; word++) {
    for (let shift = 0; shift < 32; shift += DIGIT) if (passDigit(from, to, word, shift)) [from, to] = [to, from];
  }
  for (let i = 0; i < values.length; i++) {
    const negative = from[i * 2 + 1]! >>> 31 === 0;
    words[0] = negative ? ~from[i * 2]! : from[i * 2]!;
    words[1] = negative ? ~from[i * 2 + 1]! : from[i * 2 + 1]! ^ 0x80000000;
    values[i] = double[0]!;
  }
}

/** One stable pass; false, and nothing moved, where all keys have the same digit. */
function passDigit(from: Uint32Array, to: Uint32Array, word: number, shift: number): boolean {
  const places = new Uint32Array(1 << DIGIT);
  const mask = (1 << DIGIT) - 1;
  for (let i = word; i < from.length; i += 2) places[(from[i]! >>> shift) & mask]!++;
  if (places[(from[word]! >>> shift) & mask] === from.length / 2) return false;
  for (let digit = 0, sum = 0; digit <= mask; digit++) {
    const count = places[digit]!;
    places[digit] = sum;
    sum += count;
  }
  for (let i = 0; i < from.length; i += 2) {
    const digit = (from[i + word]! >>> shift) & mask;
    const at = places[digit]!;
    places[digit] = at + 1;
    to[at * 2] = from[i]!;
    to[at * 2 + 1] = from[i + 1]!;
  }
  return true;
}

function upperBounds(distinct: Float64Array, counts: Uint32Array, rows: number, maxBins: number): Float64Array {
  const upper: number[] = [];
  if (distinct.length <= maxBins) {
    for (let i = 1; i < distinct.length; i++) upper.push(between(distinct[i - 1]!, distinct[i]!));
    return Float64Array.from(upper);
  }
  let left = rows;
  let filled = 0;
  for (let i = 0; i + 1 < distinct.length && upper.length < maxBins - 1; i++) {
    filled += counts[i]!;
    const share = (left / (maxBins - upper.length)) | 0;
    const nextIsLarge = counts[i + 1]! >= share;
    if (filled >= share || (nextIsLarge && filled * 2 >= share)) {
      upper.push(between(distinct[i]!, distinct[i + 1]!));
      left -= filled;
      filled = 0;
    }
  }
  return Float64Array.from(upper);
}

/** A threshold t with a ≤ t < b. */
function between(a: number, b: number): number {
  const middle = a + (b - a) / 2;
  return middle < b ? middle : a;
}

/** Writes the bins of one feature into column `column` of the row-major table `into` ([rows × width]). */
export function writeBins(bins: FeatureBins, values: Float64Array, into: Uint8Array, column: number, width: number): void {
  let at = column;
  for (let i = 0; i < values.length; i++) {
    into[at] = binOf(bins, values[i]!);
    at += width;
  }
}

export function binOf(bins: FeatureBins, value: number): number {
  if (Number.isNaN(value)) return 0;
  if (bins.kind === 'category') return value < bins.levels ? value + 1 : 0;
  const upper = bins.upper;
  let low = 0;
  let high = upper.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value <= upper[middle]!) high = middle;
    else low = middle + 1;
  }
  return low + 1;
}
